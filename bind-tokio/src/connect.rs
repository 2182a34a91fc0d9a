use std::io;

use bind::{
    Connect, ConnectError, Prepared, Timer,
    proto::handshake::{Client, Response},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{Clock, Io, MaybeTls, WebSocket, tls::Security};

/// Connects to a URL, or as a [`Connect`] says.
///
/// ```no_run
/// # async fn f() -> Result<(), bowline_tokio::ConnectError> {
/// use bowline_tokio::{Connect, connect};
///
/// let (socket, response) = connect("wss://chat.example/room").await?;
///
/// let to = Connect::new("wss://chat.example/room").bearer("s3cr3t").subprotocol("chat.v2");
/// let (socket, response) = connect(to).await?;
/// # Ok(()) }
/// ```
///
/// All state is in the future: dropped, it drops the connection.
///
/// # Errors
///
/// See [`ConnectError`]. [`ConnectError::TimedOut`] if name resolution, TCP, TLS and the opening
/// handshake together take longer than
/// [`handshake_timeout`](crate::Config::handshake_timeout).
pub async fn connect(
    to: impl Into<Connect>,
) -> Result<(WebSocket<MaybeTls<TcpStream>>, Response), ConnectError> {
    let to = to.into().prepare()?;
    let clock = Clock::new();
    let started = clock.now();
    let client = Client::new(to.request.clone(), &to.config, started)?;
    let stream = async {
        let security = Security::new(&to).await?;
        let stream = dial(&to).await?;
        stream.set_nodelay(to.nodelay)?;
        security.secure(stream).await
    };
    let stream = to.within(&clock, started, stream).await?;
    bind::connect(Io(stream), client, clock).await
}

/// Connects over a transport that the caller brings, such as one through a proxy: what is left to do
/// is TLS, if the URL is `wss://…`, and the opening handshake.
///
/// All state is in the future: dropped, it drops the transport.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_over<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    to: impl Into<Connect>,
) -> Result<(WebSocket<MaybeTls<S>>, Response), ConnectError> {
    let to = to.into().prepare()?;
    let clock = Clock::new();
    let started = clock.now();
    let client = Client::new(to.request.clone(), &to.config, started)?;
    let stream = async { Security::new(&to).await?.secure(stream).await };
    let stream = to.within(&clock, started, stream).await?;
    bind::connect(Io(stream), client, clock).await
}

async fn dial(to: &Prepared) -> io::Result<TcpStream> {
    match to.addr() {
        Some(addr) => TcpStream::connect(addr).await,
        None => TcpStream::connect((to.host.to_string(), to.port)).await,
    }
}
