use std::{io, net::SocketAddr, path::PathBuf, pin::Pin, time::Duration};

use bind::{
    AnyTransport, Connect, ConnectError, Connector, Network, Reaching, Runtime, WebSocket,
    internal,
    proto::{Config, handshake::Response},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    runtime::Handle,
};

use crate::io::{Clock, Io};

/// The tokio runtime that the caller is in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tokio;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Network for Tokio {
    type Clock = Clock;
    type Tcp = TcpStream;
    type Stream = Io<TcpStream>;
    type Resolving = Boxed<io::Result<Vec<SocketAddr>>>;
    type Connecting = Boxed<io::Result<TcpStream>>;
    type Other = AnyTransport<Clock>;

    fn clock(&self) -> Clock {
        Clock::new()
    }

    fn ready(&self) -> io::Result<()> {
        in_runtime()
    }

    fn resolve(&self, host: String, port: u16) -> Self::Resolving {
        Box::pin(async move { Ok(lookup_host((host, port)).await?.collect()) })
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
            Ok(AnyTransport::new(Io(
                tokio::net::UnixStream::connect(path).await?
            )))
        })
    }

    fn other(&self, other: Self::Other, _: &Config) -> Self::Other {
        other
    }
}

/// # Panics
///
/// Outside of a runtime.
impl Runtime for Tokio {
    fn spawn(&self, task: Boxed<()>) {
        tokio::spawn(task);
    }
}

/// Returns an error outside of a runtime, where tokio would panic.
pub(crate) fn in_runtime() -> io::Result<()> {
    Handle::try_current().map(drop).map_err(io::Error::other)
}

#[doc = include_str!("../docs/connect.md")]
pub async fn connect(
    to: impl Into<Connect>,
) -> Result<(WebSocket<ClientStream>, Response), ConnectError> {
    bind::connect(&Tokio, to).await
}

#[doc = include_str!("../docs/connect_over.md")]
pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    to: impl Into<Connect>,
) -> Result<Over<S>, ConnectError> {
    bind::connect_over(&Tokio, |_| Io(stream), to).await
}

/// Makes a [`Connector`] of a function that is given a host and a port and connects to them; see
/// [`Connect::connector`](crate::Connect::connector). Dropping the future that it returns must abandon the attempt.
///
/// ```no_run
/// # async fn f() -> Result<(), bowline_tokio::ConnectError> {
/// use bowline_tokio::{Connect, connect, connector};
/// use tokio::net::TcpStream;
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
pub type Reconnect = bind::Reconnect<Tokio>;

/// The sending direction of a [`Reconnect`].
pub type ReconnectSender = bind::ReconnectSender<ClientStream>;
