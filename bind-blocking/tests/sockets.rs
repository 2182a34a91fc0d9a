//! Tests over sockets of the system.

use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Barrier,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use bowline_blocking::{
    BlockingTransport, Config, Connect, ConnectError, Io, Negotiated, Role, WebSocket, accept_any,
    connect, connect_over, from_parts,
};

fn serve(f: impl FnOnce(WebSocket<Io<TcpStream>>) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://localhost:{}/", listener.local_addr().unwrap().port());
    thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        f(accept_any(stream, Config::default()).unwrap());
    });
    url
}

#[test]
fn a_name_is_looked_up() {
    let url = serve(|mut socket| {
        let message = socket.recv().unwrap().unwrap();
        socket.send(message).unwrap();
        assert_eq!(socket.recv().unwrap(), None);
    });
    let (mut socket, response) = connect(&url).unwrap();
    assert_eq!(response.status, 101);
    let stream = socket.get_ref().unwrap().get_ref().unwrap();
    assert!(stream.nodelay().unwrap());
    assert_eq!(socket.peer_addr().unwrap(), stream.peer_addr().unwrap());
    socket.send("over a name").unwrap();
    assert_eq!(socket.recv().unwrap(), Some("over a name".into()));
    socket.close(None).unwrap();
    assert!(socket.closed().unwrap().clean);
    assert!(socket.get_ref().is_none());
    assert!(socket.peer_addr().is_err());
}

#[test]
fn a_name_that_does_not_exist() {
    match connect("ws://nobody.invalid/") {
        Err(ConnectError::Io(_)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn one_deadline_is_for_all_of_it() {
    // The listener takes connections and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["ws", "wss"] {
        let mut config = Config::default();
        config.handshake_timeout = Some(Duration::from_millis(50));
        let to = Connect::new(format!("{scheme}://127.0.0.1:{port}/")).config(config);
        match connect(to) {
            Err(ConnectError::TimedOut) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_unix_stream_is_a_transport() {
    use std::os::unix::net::UnixStream;

    let (a, b) = UnixStream::pair().unwrap();
    let serving = thread::spawn(move || {
        let mut socket = accept_any(b, Config::default()).unwrap();
        while let Some(message) = socket.recv().unwrap() {
            socket.send(message).unwrap();
        }
    });
    let (mut socket, _) = connect_over(a, "ws://a.test/").unwrap();
    let unknown = socket.peer_addr().unwrap_err();
    assert_eq!(unknown.kind(), io::ErrorKind::Unsupported);
    socket.send(vec![7; 300_000]).unwrap();
    assert_eq!(socket.recv().unwrap(), Some(vec![7; 300_000].into()));
    socket.close(None).unwrap();
    serving.join().unwrap();
}

/// Counts the reads.
struct Counted<S>(S, AtomicUsize);

impl<S: BlockingTransport> BlockingTransport for Counted<S> {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.read(buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.0.shutdown(how)
    }
}

/// Runs two sockets over non-blocking streams. Each waits for the other for a while, and reads only when
/// something may have arrived.
fn wait_without_spinning<S: BlockingTransport>(near: S, far: S) {
    const WHILE: Duration = Duration::from_millis(200);
    let [near, far] = [near, far].map(|end| Arc::new(Counted(end, AtomicUsize::new(0))));
    let reads = [near.clone(), far.clone()];
    let serving = thread::spawn(move || {
        // Meanwhile the client waits in its handshake.
        thread::sleep(WHILE);
        let mut socket = accept_any(far, Config::default()).unwrap();
        let message = socket.recv().unwrap().unwrap();
        socket.send(message).unwrap();
        assert_eq!(socket.recv().unwrap(), None);
    });
    let (mut socket, _) = connect_over(near, "ws://a.test/").unwrap();
    thread::sleep(WHILE);
    socket.send("after a while").unwrap();
    assert_eq!(socket.recv().unwrap(), Some("after a while".into()));
    socket.close(None).unwrap();
    serving.join().unwrap();
    for end in reads {
        let reads = end.1.load(Ordering::Relaxed);
        assert!(reads < 50, "{reads} reads");
    }
}

/// On macOS and Windows a non-blocking listener returns such streams.
#[test]
fn a_stream_that_does_not_block_is_waited_for() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (far, _) = listener.accept().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    wait_without_spinning(near, far);
}

#[cfg(unix)]
#[test]
fn a_unix_stream_that_does_not_block_is_waited_for() {
    let (near, far) = std::os::unix::net::UnixStream::pair().unwrap();
    near.set_nonblocking(true).unwrap();
    far.set_nonblocking(true).unwrap();
    wait_without_spinning(near, far);
}

#[cfg(unix)]
#[test]
fn a_large_message_is_read_straight_into_its_memory() {
    use std::{ops::Range, os::unix::net::UnixStream, sync::Mutex};

    /// Remembers the memory into which the last read was to put its bytes.
    struct Seen(UnixStream, Mutex<Range<usize>>);

    impl BlockingTransport for Seen {
        fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
            let start = buf.as_ptr().addr();
            let len = BlockingTransport::read(&self.0, buf)?;
            *self.1.lock().unwrap() = start..start + len;
            Ok(len)
        }

        fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            BlockingTransport::write(&self.0, bytes)
        }

        fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
            self.0.set_read_timeout(timeout)
        }

        fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
            self.0.set_write_timeout(timeout)
        }

        fn shutdown(&self, how: Shutdown) -> io::Result<()> {
            self.0.shutdown(how)
        }
    }

    let (a, b) = UnixStream::pair().unwrap();
    let sending = thread::spawn(move || {
        let config = Arc::new(Config::default());
        let mut socket = from_parts(a, &[], Negotiated::default(), Role::Client, config.clone());
        socket.send(vec![7; 1 << 20]).unwrap();
        socket.recv()
    });
    let seen = Arc::new(Seen(b, Mutex::default()));
    let config = Arc::new(Config::default());
    let mut socket = from_parts(
        seen.clone(),
        &[],
        Negotiated::default(),
        Role::Server,
        config.clone(),
    );
    let message = socket.recv().unwrap().unwrap();
    let last = seen.1.lock().unwrap().clone();
    let memory = message.as_bytes().as_ptr_range();
    assert!(!last.is_empty() && last.start > memory.start.addr() && last.end == memory.end.addr());
    drop(socket);
    assert!(sending.join().unwrap().is_err());
}

/// Each client needs one thread, which is the caller's, and each socket one file descriptor.
#[cfg(target_os = "linux")]
#[test]
fn idle_clients_cost_their_threads_and_nothing_more() {
    const CLIENTS: usize = 100;
    let count = |what: &str| {
        std::fs::read_dir(format!("/proc/self/{what}"))
            .unwrap()
            .count()
    };
    // This runs in a process of its own, because other tests have threads too.
    if std::env::var_os("IDLE_CLIENTS").is_none() {
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "idle_clients_cost_their_threads_and_nothing_more",
            ])
            .env("IDLE_CLIENTS", "1")
            .status();
        assert!(status.unwrap().success());
        return;
    }
    let (threads, files) = (count("task"), count("fd"));
    let all_wait = Arc::new(Barrier::new(CLIENTS + 1));
    let (ends, peers) = mpsc::channel();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let (all_wait, ends) = (all_wait.clone(), ends.clone());
            thread::spawn(move || {
                let listener = TcpListener::bind("127.0.0.1:0").unwrap();
                let peer = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                let (stream, _) = listener.accept().unwrap();
                drop(listener);
                let (config, agreed) = (Arc::new(Config::default()), Negotiated::default());
                let mut socket = from_parts(stream, &[], agreed, Role::Server, config.clone());
                ends.send(peer).unwrap();
                all_wait.wait();
                socket.recv()
            })
        })
        .collect();
    all_wait.wait();
    assert_eq!(count("task"), threads + CLIENTS);
    // There is one socket for each client and one for its peer.
    assert_eq!(count("fd"), files + 2 * CLIENTS);
    drop(peers);
    for client in clients {
        assert!(client.join().unwrap().is_err());
    }
    assert_eq!(count("fd"), files);
}

/// Two threads talk without a port, also when both halves of both ends are in use.
#[test]
fn a_pair_in_memory_needs_no_port() {
    let (client, mut server) = bowline_blocking::pair(Config::default());
    assert!(server.recv_timeout(Duration::from_millis(10)).is_err());
    let echoes = thread::spawn(move || {
        while let Some(message) = server.recv().unwrap() {
            server.send(message).unwrap();
        }
        server.closed().unwrap().clean
    });
    let (mut read, write) = client.split();
    let sends = thread::spawn(move || {
        for number in 0..50 {
            write.send(vec![7; number * 10_000]).unwrap();
        }
        write
    });
    for number in 0..50 {
        assert_eq!(read.recv().unwrap().unwrap().len(), number * 10_000);
    }
    sends.join().unwrap().close(None).unwrap();
    assert!(read.recv().unwrap().is_none());
    assert!(echoes.join().unwrap());

    // A silent peer does not keep a call for longer than its deadline.
    let config = Config::default().close_timeout(Duration::from_millis(50));
    let (mut client, _silent) = bowline_blocking::pair(config);
    assert!(client.close(None).is_err());
}
