use std::{io, net::SocketAddr, path::PathBuf, pin::Pin, time::Duration};

use async_net::{TcpStream, resolve};
use bind::{
    AnyTransport, Connect, ConnectError, Connector, Network, Reaching, Runtime, WebSocket,
    internal,
    proto::{Config, handshake::Response},
};
use futures_io::{AsyncRead, AsyncWrite};

use crate::io::{Clock, Io};

pub(crate) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The smol runtime, with an executor of the caller's if tasks are to be run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Smol<E = ()>(E);

impl<E: Fn(Boxed<()>)> Smol<E> {
    /// Makes a runtime that runs tasks with `spawn`, for example `move |task|
    /// executor.spawn(task).detach()`.
    pub const fn new(spawn: E) -> Self {
        Self(spawn)
    }
}

impl<E> Network for Smol<E> {
    type Clock = Clock;
    type Tcp = TcpStream;
    type Stream = Io<TcpStream>;
    type Resolving = Boxed<io::Result<Vec<SocketAddr>>>;
    type Connecting = Boxed<io::Result<TcpStream>>;
    type Other = AnyTransport<Clock>;

    fn clock(&self) -> Clock {
        Clock::new()
    }

    fn resolve(&self, host: String, port: u16) -> Self::Resolving {
        Box::pin(resolve((host, port)))
    }

    fn connect(&self, addr: SocketAddr, nodelay: bool, _: Option<Duration>) -> Self::Connecting {
        Box::pin(async move {
            let stream = TcpStream::connect(addr).await?;
            internal::refuse_itself(stream.local_addr()?, stream.peer_addr()?)?;
            stream.set_nodelay(nodelay)?;
            Ok(stream)
        })
    }

    fn stream(&self, tcp: TcpStream, _: &Config) -> Io<TcpStream> {
        Io(tcp)
    }

    #[cfg(unix)]
    fn unix(&self, path: PathBuf) -> Reaching<Self::Other> {
        Box::pin(async {
            Ok(AnyTransport::new(Io(async_net::unix::UnixStream::connect(
                path,
            )
            .await?)))
        })
    }

    fn other(&self, other: Self::Other, _: &Config) -> Self::Other {
        other
    }
}

impl<E: Fn(Boxed<()>)> Runtime for Smol<E> {
    fn spawn(&self, task: Boxed<()>) {
        (self.0)(task);
    }
}

#[doc = include_str!("../docs/connect.md")]
pub async fn connect(
    to: impl Into<Connect>,
) -> Result<(WebSocket<ClientStream>, Response), ConnectError> {
    bind::connect(&Smol(()), to).await
}

/// Connects over a transport that the caller provides, such as one through a proxy. Only TLS, if the URL
/// is `wss://…`, and the opening handshake are done here.
///
/// All state is in the future, so dropping it drops the transport.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    to: impl Into<Connect>,
) -> Result<Over<S>, ConnectError> {
    bind::connect_over(&Smol(()), |_| Io(stream), to).await
}

/// Makes a [`Connector`] of a function that is given a host and a port and connects to them; see
/// [`Connect::connector`](crate::Connect::connector). Dropping the future that it returns must abandon the attempt.
///
/// ```no_run
/// # async fn f() -> Result<(), bowline_smol::ConnectError> {
/// use bowline_smol::{Connect, connect, connector};
/// use smol::net::TcpStream;
///
/// let connector = connector(|host, port| async move {
///     let stream = TcpStream::connect((host, port)).await?;
///     stream.set_ttl(32)?;
///     Ok(stream)
/// });
/// let (socket, _) = connect(Connect::new("ws://a.example").connector(connector)).await?;
/// # Ok(()) }
/// ```
pub fn connector<S, F>(reach: impl Fn(String, u16) -> F + Send + Sync + 'static) -> Connector
where
    S: AsyncRead + AsyncWrite + Unpin + Send + Sync + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    Connector::new(move |host, port, _| {
        let reaching = reach(host, port);
        Box::pin(async { Ok(AnyTransport::new(Io(reaching.await?))) })
    })
}

/// A socket, and the server's response.
type Over<S> = (WebSocket<ClientStream<S>>, Response);

/// The transport of a client: TCP, with TLS if the URL asked for it, and through a tunnel if there is a proxy.
pub type ClientStream<S = TcpStream> = bind::ClientStream<Io<S>>;

/// A client that connects again when its connection is lost.
pub type Reconnect = bind::Reconnect<Smol>;

/// The sending direction of a [`Reconnect`].
pub type ReconnectSender = bind::ReconnectSender<ClientStream>;
