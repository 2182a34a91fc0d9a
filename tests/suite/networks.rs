//! How bindings connect to a server and run tasks.

use std::{net::TcpListener, sync::mpsc, time::Duration};

use bind::{Connect, ConnectError, ProxyError, Runtime, proto::Config};
use bowline_blocking::Threads;
use bowline_smol::{ClientStream as SmolStream, Smol};
use bowline_tokio::{ClientStream as TokioStream, Tokio};

#[test]
fn what_connects_may_move_between_threads_and_so_may_its_sockets() {
    const fn sends<T: Send>(_: &T) {}
    const fn moves<T: Send + Sync + Unpin>() {}
    sends(&bowline_tokio::connect("ws://a.test"));
    sends(&bowline_smol::connect("ws://a.test"));
    sends(&bowline_tokio::connect_over(
        tokio::io::empty(),
        "ws://a.test",
    ));
    let nothing = smol::io::Cursor::new(Vec::new());
    sends(&bowline_smol::connect_over(nothing, "ws://a.test"));
    moves::<bowline_tokio::WebSocket<TokioStream>>();
    moves::<bowline_smol::WebSocket<SmolStream>>();
    moves::<bowline_blocking::WebSocket<bowline_blocking::ClientStream>>();
    moves::<bowline_tokio::ReadHalf<TokioStream>>();
    moves::<bowline_smol::ReadHalf<SmolStream>>();
    moves::<bowline_blocking::ReadHalf<bowline_blocking::ClientStream>>();
    moves::<bowline_tokio::WriteHalf<TokioStream>>();
    moves::<bowline_smol::WriteHalf<SmolStream>>();
    moves::<bowline_blocking::WriteHalf<bowline_blocking::ClientStream>>();
}

/// Checks that a task runs in another thread.
fn spawns(runtime: &impl Runtime) {
    let (ended, ends) = mpsc::channel();
    let here = std::thread::current().id();
    runtime.spawn(Box::pin(async move {
        ended.send(std::thread::current().id()).unwrap();
    }));
    assert_ne!(ends.recv().unwrap(), here);
}

#[test]
fn a_task_runs_on_the_current_runtime_of_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    spawns(&Tokio);
}

#[test]
fn a_task_runs_on_the_executor_that_smol_was_given() {
    let executor = std::sync::Arc::new(smol::Executor::new());
    let runs = executor.clone();
    let thread = std::thread::spawn(move || smol::block_on(runs.tick()));
    spawns(&Smol::new(move |task| executor.spawn(task).detach()));
    thread.join().unwrap();
}

#[test]
fn a_task_is_a_thread_where_calls_block() {
    spawns(&Threads::default());
}

/// The name exists nowhere, so only the resolver can lead to the server.
#[test]
fn a_resolver_works_in_every_binding() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let leaves = std::thread::spawn(move || (0..3).for_each(|_| drop(listener.accept().unwrap())));
    let to = Connect::new("ws://a.invalid/").resolver(move |name, _| async move {
        assert_eq!(name, "a.invalid");
        Ok(vec![server])
    });
    let was_reached =
        |error: ConnectError| assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
    let socket = tokio_runtime().block_on(bind::connect(&Tokio, to.clone()));
    was_reached(socket.map(drop).unwrap_err());
    let socket = smol::block_on(bind::connect(&Smol::<()>::default(), to.clone()));
    was_reached(socket.map(drop).unwrap_err());
    was_reached(bowline_blocking::connect(to).map(drop).unwrap_err());
    leaves.join().unwrap();
}

/// Answers three requests, whatever they are, with a status that says that they came.
#[cfg(unix)]
fn teapot(listener: std::os::unix::net::UnixListener) -> std::thread::JoinHandle<Vec<String>> {
    use std::io::{BufRead, BufReader, Write};

    std::thread::spawn(move || {
        let mut hosts = Vec::new();
        for _ in 0..3 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let mut request = lines
                .by_ref()
                .map(Result::unwrap)
                .take_while(|line| !line.is_empty());
            hosts.push(
                request
                    .by_ref()
                    .find(|line| line.starts_with("Host:"))
                    .unwrap(),
            );
            request.for_each(drop);
            stream
                .write_all(b"HTTP/1.1 418 Here\r\nContent-Length: 0\r\n\r\n")
                .unwrap();
        }
        hosts
    })
}

#[cfg(unix)]
fn was_served(error: ConnectError) {
    assert_eq!(
        error.response().expect("a response").status,
        418,
        "{error:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_unix_socket_is_reached_in_every_binding() {
    let folder = tempdir();
    let path = folder.join("socket");
    let server = teapot(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let to = Connect::new(format!("ws+unix:{}:/chat", path.display()));
    let runtime = tokio_runtime();
    let socket = runtime.block_on(bowline_tokio::connect(to.clone()));
    was_served(socket.map(drop).unwrap_err());
    let socket = smol::block_on(bowline_smol::connect(to.clone()));
    was_served(socket.map(drop).unwrap_err());
    let to = Connect::new("ws://a.test/chat").unix(&path);
    was_served(bowline_blocking::connect(to).map(drop).unwrap_err());
    let hosts = ["Host: localhost", "Host: localhost", "Host: a.test"];
    assert_eq!(server.join().unwrap(), hosts);
    std::fs::remove_dir_all(folder).unwrap();

    // Nothing listens there any more.
    let gone = |error| assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
    let to = Connect::new("ws://a.test/chat").unix(path);
    let socket = runtime.block_on(bowline_tokio::connect(to.clone()));
    gone(socket.map(drop).unwrap_err());
    let socket = smol::block_on(bowline_smol::connect(to.clone()));
    gone(socket.map(drop).unwrap_err());
    gone(bowline_blocking::connect(to).map(drop).unwrap_err());
}

/// Connectors of the three bindings that lead to a Unix socket, whatever host is asked for.
#[cfg(unix)]
fn connectors(path: &std::path::Path) -> [bind::Connector; 3] {
    let (for_tokio, for_smol, for_blocking) = (path.to_owned(), path.to_owned(), path.to_owned());
    let expected = |host: &str, port| assert_eq!((host, port), ("proxy.invalid", 3128));
    [
        bowline_tokio::connector(move |host, port| {
            expected(&host, port);
            tokio::net::UnixStream::connect(for_tokio.clone())
        }),
        bowline_smol::connector(move |host, port| {
            expected(&host, port);
            smol::net::unix::UnixStream::connect(for_smol.clone())
        }),
        bowline_blocking::connector(move |host, port, time| {
            expected(&host, port);
            assert!(time.is_some_and(|time| !time.is_zero()));
            std::os::unix::net::UnixStream::connect(&for_blocking)
        }),
    ]
}

/// The server drops each connection after one message, until it closes the third.
#[test]
fn a_client_of_smol_connects_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    let server = std::thread::spawn(move || {
        for number in 0..3 {
            let (stream, _) = listener.accept().unwrap();
            let mut socket = bowline_blocking::accept_any(stream, Config::default()).unwrap();
            let first = socket.recv().unwrap().unwrap();
            assert_eq!(first.as_text(), Some("subscribe"));
            socket.send(format!("{number}")).unwrap();
            if number == 2 {
                socket.close(None).unwrap();
            }
        }
    });
    let policy = bind::Backoff::default().base(Duration::from_millis(10));
    let mut socket =
        bowline_smol::Reconnect::new(url)
            .policy(policy)
            .on_connect(|mut socket| async move {
                socket.send("subscribe").await?;
                Ok(socket)
            });
    smol::block_on(async {
        for number in 0..3 {
            let message = socket.recv().await.unwrap().unwrap();
            assert_eq!(message.as_text(), Some(&*number.to_string()));
        }
        assert!(socket.recv().await.unwrap().is_none());
    });
    server.join().unwrap();
}

/// The proxy exists nowhere, so only the connector can lead to it.
#[cfg(unix)]
#[test]
fn a_connector_reaches_the_proxy_in_every_binding() {
    let folder = tempdir();
    let path = folder.join("socket");
    let server = teapot(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let to = Connect::new("ws://a.invalid/").proxy("http://proxy.invalid:3128");
    let [for_tokio, for_smol, for_blocking] = connectors(&path).map(|it| to.clone().connector(it));
    let refused = |error| match error {
        ConnectError::Proxy(ProxyError::Refused(response)) => {
            assert_eq!(response.status, 418);
        }
        error => panic!("{error:?}"),
    };
    let socket = tokio_runtime().block_on(bowline_tokio::connect(for_tokio));
    refused(socket.map(drop).unwrap_err());
    let socket = smol::block_on(bowline_smol::connect(for_smol));
    refused(socket.map(drop).unwrap_err());
    refused(
        bowline_blocking::connect(for_blocking)
            .map(drop)
            .unwrap_err(),
    );
    assert_eq!(server.join().unwrap(), ["Host: a.invalid:80"; 3]);
    std::fs::remove_dir_all(folder).unwrap();
}

#[cfg(unix)]
#[test]
fn a_connector_of_another_binding_is_an_error_of_the_caller() {
    let [for_tokio, for_smol, _] = connectors(std::path::Path::new("/nowhere"));
    let to = |connector| Connect::new("ws://a.invalid/").connector(connector);
    let is_other = |error| assert!(matches!(error, ConnectError::Connector), "{error:?}");
    let socket = tokio_runtime().block_on(bowline_tokio::connect(to(for_smol)));
    is_other(socket.map(drop).unwrap_err());
    let socket = smol::block_on(bowline_smol::connect(to(for_tokio.clone())));
    is_other(socket.map(drop).unwrap_err());
    is_other(
        bowline_blocking::connect(to(for_tokio))
            .map(drop)
            .unwrap_err(),
    );
}

#[cfg(unix)]
fn tempdir() -> std::path::PathBuf {
    use std::sync::atomic::{AtomicUsize, Ordering};

    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("bowline-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir(&folder).unwrap();
    folder
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}
