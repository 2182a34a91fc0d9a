//! Connecting to the server.

use std::{
    fmt, io,
    net::SocketAddr,
    sync::{Arc, atomic::AtomicUsize, atomic::Ordering},
    time::Duration,
};

use bind::{
    ClientStream, Connect,
    proto::{Config, Message},
};
use bowline_tokio::{Io, WebSocket, connect_over};
use tokio::{
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

pub(super) type Socket = WebSocket<ClientStream<Io<TcpStream>>>;

/// How clients reach the server.
pub(super) struct Visitors {
    addr: SocketAddr,
    config: Arc<Config>,
    next: AtomicUsize,
}

/// The way in which a client was served.
#[derive(Debug)]
pub(super) enum Visit {
    Open(Box<Socket>),
    /// It was answered with 503.
    Refused,
    Closed,
}

/// The ways in which many clients were served, counted.
#[derive(Default)]
pub(super) struct Outcome {
    pub(super) opened: Vec<Socket>,
    refused: usize,
    closed: usize,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (opened, refused, closed) = (self.opened.len(), self.refused, self.closed);
        write!(f, "opened {opened} refused {refused} closed {closed}")
    }
}

impl Outcome {
    fn add(&mut self, visit: Visit) {
        match visit {
            Visit::Open(socket) => self.opened.push(*socket),
            Visit::Refused => self.refused += 1,
            Visit::Closed => self.closed += 1,
        }
    }
}

impl Visitors {
    /// The most clients that open their sockets at the same time.
    const AT_ONCE: usize = 256;

    pub(super) fn new(addr: SocketAddr) -> Self {
        let mut config = Config::default();
        // The sockets receive only when they are told to.
        config.keep_alive = None;
        config.handshake_timeout = Some(Duration::from_secs(120));
        config.close_timeout = Some(Duration::from_secs(120));
        Self {
            addr,
            config: Arc::new(config),
            next: AtomicUsize::new(0),
        }
    }

    /// Connects from 127.0.0.`source`, or from one of several addresses if that is 0, because an address does not have
    /// enough ports.
    pub(super) async fn reach(&self, source: usize) -> io::Result<TcpStream> {
        const ADDRESSES: usize = 8;
        let next = self.next.fetch_add(1, Ordering::Relaxed);
        let source = match source {
            0 => next % ADDRESSES + 1,
            source => source,
        };
        let socket = TcpSocket::new_v4()?;
        let source = [127, 0, 0, u8::try_from(source).unwrap()];
        socket.bind((source, 0).into())?;
        let stream = socket.connect(self.addr).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Opens a socket, if the server lets it in.
    pub(super) async fn visit(&self, source: usize) -> Visit {
        let stream = self.reach(source).await.unwrap();
        let to = Connect::new("ws://a.test/ws").config(self.config.clone());
        match connect_over(stream, to).await {
            Ok((socket, _)) => Visit::Open(Box::new(socket)),
            Err(error) => match error.response() {
                Some(response) if response.status == 503 => Visit::Refused,
                Some(response) => panic!("{response:?}"),
                None => Visit::Closed,
            },
        }
    }

    /// Opens so many sockets, as far as the server lets them in.
    pub(super) async fn come(self: Arc<Self>, count: usize, source: usize) -> Outcome {
        let mut outcome = Outcome::default();
        let mut coming = JoinSet::new();
        for _ in 0..count {
            if coming.len() == Self::AT_ONCE {
                outcome.add(coming.join_next().await.unwrap().unwrap());
            }
            let own = self.clone();
            coming.spawn(async move { own.visit(source).await });
        }
        while let Some(visit) = coming.join_next().await {
            outcome.add(visit.unwrap());
        }
        outcome
    }
}

/// Sends a message, and receives it again.
pub(super) async fn echo(socket: &mut Socket) {
    socket.send("hello").await.unwrap();
    let echoed = socket.recv().await.unwrap();
    assert_eq!(echoed, Some(Message::from("hello")));
}
