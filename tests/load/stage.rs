//! A server in this process, and its clients in another.

use std::{
    collections::BTreeMap,
    io::{self, BufRead, BufReader, Write},
    net::SocketAddr,
    process::{Child, ChildStdin, ChildStdout, Stdio},
    thread,
    time::{Duration, Instant},
};

use bind::{Server, Tracker, proto::Config};

use crate::{bindings::Binding, footprint::Footprint, processes};

/// A server that runs, and its clients.
pub(crate) struct Stage<B: Binding> {
    pub(crate) tracker: Tracker<B::Host>,
    serving: Option<thread::JoinHandle<io::Result<()>>>,
    pub(crate) addr: SocketAddr,
    pub(crate) clients: Clients,
    before: Footprint,
}

/// Makes a server that is to be changed and then started.
pub(crate) fn server<B: Binding>() -> Server<B::Host> {
    let mut config = Config::default();
    // The clients receive only when they are told to.
    config.keep_alive = None;
    config.handshake_timeout = Some(Duration::from_secs(120));
    let server = Server::on(B::host()).listen("127.0.0.1:0").unwrap();
    B::echo(server.config(config))
}

impl<B: Binding> Stage<B> {
    /// Starts the server and the clients, and lets a few of them visit, which starts what stays, such as a reactor.
    pub(crate) fn start(server: Server<B::Host>) -> Self {
        let addr = server.local_addrs()[0];
        let tracker = server.tracker();
        let serving = Some(B::serve(server));
        let mut clients = Clients::start(addr);
        clients.opens(4, SPREAD);
        clients.ask("close 4");
        eventually("the first clients have left", || tracker.count() == 0);
        Self {
            before: Footprint::now::<B>(&tracker),
            tracker,
            serving,
            addr,
            clients,
        }
    }

    pub(crate) fn now(&self) -> Footprint {
        Footprint::now::<B>(&self.tracker)
    }

    /// Waits until what was held for clients is free, and takes what is held then for what is held without clients.
    pub(crate) fn remember(&mut self) -> usize {
        self.before = self.settle(usize::MAX);
        let mut heap = 0;
        // Tasks are freed a moment after their sockets.
        eventually("the heap is at rest", || {
            let before = std::mem::replace(&mut heap, self.now().heap);
            thread::sleep(Duration::from_millis(200));
            before == heap && self.now().heap == heap
        });
        self.before = self.settle(usize::MAX);
        heap
    }

    /// Waits until no more is held than when no client was there. The heap may have grown by so many bytes.
    pub(crate) fn settle(&self, heap: usize) -> Footprint {
        Footprint::settle::<B>(&self.before, heap, &self.tracker)
    }

    /// Stops the server after its clients have left.
    pub(crate) fn stop(mut self) {
        let aborted = B::stop(&self.tracker, Duration::from_secs(10).into());
        assert_eq!(aborted, 0);
        self.serving.take().unwrap().join().unwrap().unwrap();
        self.clients.end();
    }
}

/// The clients of a server, which are a process of their own.
pub(crate) struct Clients {
    process: Child,
    orders: ChildStdin,
    replies: BufReader<ChildStdout>,
}

/// The figures of the clients: numbers, and times in microseconds.
pub(crate) type Reply = BTreeMap<String, usize>;

/// The clients come from several addresses.
pub(crate) const SPREAD: usize = 0;

impl Clients {
    fn start(addr: SocketAddr) -> Self {
        let mut command = processes::this_program(&format!("clients {addr}"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        Self {
            orders: process.stdin.take().unwrap(),
            replies: BufReader::new(process.stdout.take().unwrap()),
            process,
        }
    }

    /// Gives the clients an order, and returns what they answer once it is done.
    pub(crate) fn ask(&mut self, order: &str) -> Reply {
        writeln!(self.orders, "{order}").unwrap();
        let mut line = String::new();
        let len = self.replies.read_line(&mut line).unwrap();
        assert_ne!(len, 0, "the clients have failed at `{order}`");
        let words: Vec<&str> = line.split_whitespace().collect();
        let pairs = words.chunks(2);
        let pairs = pairs.map(|pair| (pair[0].to_owned(), pair[1].parse().unwrap()));
        pairs.collect()
    }

    /// Opens sockets, all of which are let in and stay open.
    pub(crate) fn opens(&mut self, count: usize, source: usize) {
        let reply = self.ask(&format!("open {count} {source}"));
        assert_eq!(reply["opened"], count, "{reply:?}");
    }

    fn end(mut self) {
        drop(self.orders);
        assert!(self.process.wait().unwrap().success());
    }
}

/// Waits until `holds`, because a server learns of the end of a client a little later.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Writes microseconds as milliseconds.
pub(crate) fn millis(micros: usize) -> String {
    format!("{}.{} ms", micros / 1000, micros % 1000 / 100)
}
