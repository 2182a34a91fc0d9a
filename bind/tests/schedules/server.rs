//! The permits and the orders of a server, in any order of the threads that own the sockets.

use std::{
    convert::Infallible,
    future::{Future, Ready},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bowline_bind::{
    Accepted, AnyTransport, AsyncServerHost, Listen, Listening, Network, Runtime, Stop, Tracker,
    proto::{CloseCode, Config},
};
use shuttle::{future::block_on, thread};

use crate::{End, Socket, Stopped, drain, pair, schedules};

/// A host that only waits.
#[derive(Clone, Default)]
struct Waits;

impl Network for Waits {
    type Clock = Stopped;
    type Tcp = Infallible;
    type Stream = End;
    type Resolving = Ready<io::Result<Vec<SocketAddr>>>;
    type Connecting = Ready<io::Result<Infallible>>;
    type Other = Infallible;

    fn clock(&self) -> Stopped {
        Stopped
    }

    fn resolve(&self, _: String, _: u16) -> Self::Resolving {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn connect(&self, _: SocketAddr, _: bool, _: Option<Duration>) -> Self::Connecting {
        std::future::ready(Err(io::ErrorKind::Unsupported.into()))
    }

    fn stream(&self, tcp: Infallible, _: &Config) -> End {
        match tcp {}
    }

    fn other(&self, other: Infallible, _: &Config) -> AnyTransport<Stopped> {
        match other {}
    }
}

impl Runtime for Waits {
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        thread::spawn(|| block_on(task));
    }
}

impl AsyncServerHost for Waits {}

impl Listen for Waits {
    type Listener = Infallible;

    fn listen(&self, _: Listening) -> io::Result<Infallible> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn poll_accept(
        &self,
        listener: &mut Infallible,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<Self>>> {
        match *listener {}
    }
}

/// Returns a client, and a socket of a server.
fn tracked(tracker: &Tracker<Waits>) -> (Socket, Socket) {
    let (client, mut server) = pair(16);
    tracker.track(&mut server, None, "/");
    (client, server)
}

/// Receives to the end in a thread, and returns the code of the Close.
fn code(mut socket: Socket) -> thread::JoinHandle<Option<u16>> {
    thread::spawn(move || {
        block_on(async {
            while let Ok(Some(_)) = socket.recv().await {}
            socket.closed().map(|closed| closed.code)
        })
    })
}

/// Nothing waits between the Closes, because the clock stands.
fn at_once() -> Stop {
    Stop::within(Duration::from_secs(5)).spread(Duration::ZERO)
}

/// One socket leaves by itself while the server stops, one is split, and one waits.
#[test]
fn a_server_that_stops_while_sockets_leave() {
    schedules(|| {
        let tracker = Tracker::<Waits>::new();
        let (stays, leaves, splits) = (tracked(&tracker), tracked(&tracker), tracked(&tracker));
        let owner = code(stays.1);
        let left = thread::spawn(move || drop(leaves.1));
        let (reader, writer) = splits.1.split();
        let reading = thread::spawn(move || drain(reader));
        let clients = [code(stays.0), code(splits.0)];
        let gone = code(leaves.0);
        let stopping = tracker.stop(at_once());
        let second = tracker.stop(at_once());
        let waits = thread::spawn(|| block_on(second));
        assert_eq!(block_on(stopping), 0);
        assert_eq!(waits.join().unwrap(), 0);
        assert_eq!(tracker.count(), 0);
        for client in clients {
            assert_eq!(client.join().unwrap(), Some(1001));
        }
        assert_eq!(owner.join().unwrap(), Some(1001));
        reading.join().unwrap();
        left.join().unwrap();
        gone.join().unwrap();
        drop(writer);
    });
}

/// The first order to close counts, and an order to end counts in any case.
#[test]
fn orders_that_meet() {
    schedules(|| {
        let tracker = Tracker::<Waits>::new();
        let (client, server) = tracked(&tracker);
        let id = tracker.list()[0].id;
        let (owner, peer) = (code(server), code(client));
        let orders = [CloseCode::NORMAL, CloseCode::SERVICE_RESTART].map(|code| {
            let tracker = tracker.clone();
            thread::spawn(move || tracker.close(id, code))
        });
        for order in orders {
            order.join().unwrap();
        }
        let code = peer.join().unwrap();
        assert!(matches!(code, Some(1000 | 1012)), "{code:?}");
        assert_eq!(owner.join().unwrap(), code);
        let (client, server) = tracked(&tracker);
        let id = tracker.list()[0].id;
        let owner = self::code(server);
        assert!(tracker.abort(id));
        owner.join().unwrap();
        assert_ne!(self::code(client).join().unwrap(), Some(1001));
        assert_eq!(tracker.count(), 0);
    });
}

/// A socket that arrives while the server stops is told to close as well.
#[test]
fn a_socket_that_comes_while_the_server_stops() {
    schedules(|| {
        let tracker = Tracker::<Waits>::new();
        let (client, mut server) = pair(16);
        let coming = {
            let tracker = tracker.clone();
            thread::spawn(move || {
                tracker.track(&mut server, None, "/");
                block_on(async { while let Ok(Some(_)) = server.recv().await {} });
            })
        };
        let peer = code(client);
        assert_eq!(block_on(tracker.stop(at_once())), 0);
        assert_eq!(peer.join().unwrap(), Some(1001));
        coming.join().unwrap();
    });
}
