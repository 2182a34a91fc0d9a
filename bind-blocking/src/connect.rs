use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bind::{
    AnyTransport, Connect, ConnectError, Connector, InThread, Network, Reaching, Runtime,
    in_thread, internal,
    proto::{Config, handshake::Response},
};

use crate::{clock::Clock, pipe::Io, run::Runner, socket::WebSocket, transport::BlockingTransport};

/// Connects to a URL, or as a [`Connect`] specifies.
///
/// ```no_run
/// # fn f() -> Result<(), bowline_blocking::ConnectError> {
/// use bowline_blocking::{Connect, connect};
///
/// let (socket, response) = connect("wss://chat.example/room")?;
///
/// let to = Connect::new("wss://chat.example/room").bearer("s3cr3t").subprotocol("chat.v2");
/// let (socket, response) = connect(to)?;
/// # Ok(()) }
/// ```
///
/// The addresses of a name are tried as RFC 8305 says: both families alternately, the next after 250 ms or as soon as
/// one fails, and at most four at a time. The first that answers is used.
///
/// The lookup and each attempt have a thread of their own, because they cannot be interrupted. An attempt ends at the
/// deadline. A lookup may take longer; the call does not wait for it.
///
/// # Errors
///
/// See [`ConnectError`]. [`ConnectError::TimedOut`] if name resolution, TCP, TLS and the opening
/// handshake together take longer than
/// [`handshake_timeout`](crate::Config::handshake_timeout).
pub fn connect(
    to: impl Into<Connect>,
) -> Result<(WebSocket<ClientStream>, Response), ConnectError> {
    let threads = Threads::default();
    let (inner, response) = threads.0.run(bind::connect(&threads, to))?;
    Ok((WebSocket::new(inner, threads.0), response))
}

/// Connects over a transport that the caller provides, such as one through a proxy. Only TLS, if the URL
/// is `wss://…`, and the opening handshake are done here.
///
/// # Errors
///
/// As [`connect`].
pub fn connect_over<S: BlockingTransport>(
    stream: S,
    to: impl Into<Connect>,
) -> Result<Over<S>, ConnectError> {
    let threads = Threads(Runner::new(stream.clock()));
    let over = |config: &Config| threads.0.over(stream, config);
    let (inner, response) = threads.0.run(bind::connect_over(&threads, over, to))?;
    Ok((WebSocket::new(inner, threads.0), response))
}

/// Makes a [`Connector`] of a function that is given a host, a port and the time until the deadline, and connects; see
/// [`Connect::connector`](crate::Connect::connector). It runs in a thread of its own, which nothing interrupts, so it should
/// end after that time.
///
/// ```no_run
/// # fn f() -> Result<(), bowline_blocking::ConnectError> {
/// use std::net::TcpStream;
///
/// use bowline_blocking::{Connect, connect, connector};
///
/// let connector = connector(|host, port, _| {
///     let stream = TcpStream::connect((host, port))?;
///     stream.set_ttl(32)?;
///     Ok(stream)
/// });
/// let (socket, _) = connect(Connect::new("ws://a.example").connector(connector))?;
/// # Ok(()) }
/// ```
pub fn connector<S: BlockingTransport>(
    reach: impl Fn(String, u16, Option<Duration>) -> io::Result<S> + Send + Sync + 'static,
) -> Connector {
    let reach = Arc::new(reach);
    Connector::new(move |host, port, time| {
        let reach = reach.clone();
        Box::pin(Threaded(in_thread(move || {
            let stream = reach(host, port, time)?;
            Ok(Arc::new(stream) as Arc<dyn BlockingTransport>)
        })))
    })
}

/// A socket, and the server's response.
type Over<S> = (WebSocket<ClientStream<S>>, Response);

/// The transport of a client: TCP, with TLS if the URL asked for it, and through a tunnel if there is a proxy.
pub type ClientStream<S = TcpStream> = bind::ClientStream<Io<S>>;

/// A runtime of blocking threads and the system's sockets.
#[derive(Clone, Debug)]
pub struct Threads(Runner);

impl Threads {
    pub(crate) const fn runner(&self) -> &Runner {
        &self.0
    }
}

impl Default for Threads {
    fn default() -> Self {
        Self(Runner::new(Clock::default()))
    }
}

impl Network for Threads {
    type Clock = Clock;
    type Tcp = TcpStream;
    type Stream = Io<TcpStream>;
    type Resolving = Threaded<Vec<SocketAddr>>;
    type Connecting = Threaded<TcpStream>;
    type Other = Arc<dyn BlockingTransport>;

    fn clock(&self) -> Clock {
        self.0.clock().clone()
    }

    /// Runs the lookup in a thread of its own, because it cannot be interrupted.
    fn resolve(&self, host: String, port: u16) -> Self::Resolving {
        Threaded(in_thread(move || {
            (host, port).to_socket_addrs().map(Iterator::collect)
        }))
    }

    /// Connects in a thread of its own, which ends after `time`.
    fn connect(&self, addr: SocketAddr, nodelay: bool, time: Option<Duration>) -> Self::Connecting {
        Threaded(in_thread(move || {
            let stream = match time {
                Some(time) => TcpStream::connect_timeout(&addr, time),
                None => TcpStream::connect(addr),
            }?;
            internal::refuse_itself(stream.local_addr()?, stream.peer_addr()?)?;
            stream.set_nodelay(nodelay)?;
            Ok(stream)
        }))
    }

    fn stream(&self, tcp: TcpStream, config: &Config) -> Io<TcpStream> {
        self.0.over(tcp, config)
    }

    /// Connects in a thread of its own, because that cannot be interrupted and has no timeout.
    #[cfg(unix)]
    fn unix(&self, path: PathBuf) -> Reaching<Self::Other> {
        Box::pin(Threaded(in_thread(move || {
            let stream = std::os::unix::net::UnixStream::connect(path)?;
            Ok(Arc::new(stream) as Self::Other)
        })))
    }

    fn other(&self, other: Self::Other, config: &Config) -> AnyTransport<Clock> {
        AnyTransport::new(self.0.over(other, config))
    }
}

/// An answer of the system that a thread waits for.
#[derive(Debug)]
pub struct Threaded<T>(InThread<io::Result<T>>);

impl<T> Future for Threaded<T> {
    type Output = io::Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx).map(|answer| answer?)
    }
}

impl Runtime for Threads {
    /// Runs a task in a thread of its own, which also serves the transport that was made by this value, if there is one. If
    /// no thread can be started, the task is dropped.
    fn spawn(&self, task: Pin<Box<dyn Future<Output = ()> + Send>>) {
        let runner = self.0.clone();
        let _ = thread::Builder::new().spawn(move || runner.run(task));
    }
}
