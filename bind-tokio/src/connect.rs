use std::io;

use bind::{Connect, ConnectError, Destination, proto::handshake::Response};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use crate::{Clock, MaybeTls, WebSocket, tls::Security};

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
    bind::connect(to, Clock::new(), async |to| {
        let security = Security::new(&to).await?;
        let stream = dial(&to).await?;
        stream.set_nodelay(to.nodelay)?;
        security.secure(stream).await
    })
    .await
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
    bind::connect(to, Clock::new(), async |to| {
        Security::new(&to).await?.secure(stream).await
    })
    .await
}

async fn dial(to: &Destination) -> io::Result<TcpStream> {
    match to.addr() {
        Some(addr) => TcpStream::connect(addr).await,
        None => TcpStream::connect((to.host.to_string(), to.port)).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connecting_may_move_between_threads() {
        const fn send<T: Send>(_: &T) {}
        send(&connect("ws://a.test"));
        send(&connect_over(tokio::io::empty(), "ws://a.test"));
    }
}
