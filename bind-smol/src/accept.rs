use std::sync::Arc;

#[cfg(feature = "tls")]
use bind::MaybeTls;
use bind::{
    Incoming, WebSocket,
    proto::{Config, Negotiated, Role, handshake::HandshakeError},
};
use futures_io::{AsyncRead, AsyncWrite};

use crate::io::Io;

#[doc = include_str!("../docs/accept.md")]
pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<Io<S>>, HandshakeError>> {
    bind::accept(Io(stream), config)
}

/// Opens the connection to whoever asks, from any page and for any path, without a subprotocol.
///
/// # Errors
///
/// As [`accept`].
pub fn accept_any<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<WebSocket<Io<S>>, HandshakeError>> {
    bind::accept_any(Io(stream), config)
}

/// Runs the handshake of TLS with a client that has connected, if there is a configuration for it, and reads
/// the client's request as [`accept`] does. [`handshake_timeout`](Config::handshake_timeout) is the deadline of
/// both together.
///
/// # Errors
///
/// As [`accept`]. [`HandshakeError::Lost`] if TLS fails, of which the client was told.
#[cfg(feature = "tls")]
pub fn accept_tls<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    tls: Option<Arc<bind::rustls::ServerConfig>>,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<MaybeTls<Io<S>>>, HandshakeError>> {
    bind::accept_tls(Io(stream), tls, config)
}

#[doc = include_str!("../docs/hosted.md")]
pub fn from_parts<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    leftover: &[u8],
    negotiated: Negotiated,
    role: Role,
    config: impl Into<Arc<Config>>,
) -> WebSocket<Io<S>> {
    WebSocket::from_parts(Io(stream), leftover, negotiated, role, config)
}
