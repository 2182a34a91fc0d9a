use std::{io, net::SocketAddr, pin::Pin, time::Duration};

use bind::{
    Connect, ConnectError, Network, Runtime, WebSocket,
    proto::{Config, handshake::Response},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpStream, lookup_host},
    runtime::Handle,
};

use crate::io::{Clock, Io};

/// The tokio runtime that the caller is in.
#[derive(Clone, Copy, Debug)]
pub struct Tokio;

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl Network for Tokio {
    type Clock = Clock;
    type Tcp = TcpStream;
    type Stream = Io<TcpStream>;
    type Resolving = Boxed<io::Result<Vec<SocketAddr>>>;
    type Connecting = Boxed<io::Result<TcpStream>>;

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
            stream.set_nodelay(nodelay)?;
            Ok(stream)
        })
    }

    fn stream(&self, tcp: TcpStream, _: &Config) -> Io<TcpStream> {
        Io(tcp)
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

/// A socket, and the server's response.
type Over<S> = (WebSocket<ClientStream<S>>, Response);

/// The transport of a client: TCP, with TLS if the URL asked for it, and through a tunnel if there is a proxy.
pub type ClientStream<S = TcpStream> = bind::ClientStream<Io<S>>;
