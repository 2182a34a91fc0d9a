use std::sync::Arc;

#[cfg(feature = "tls")]
use bind::OptionalTls;
use bind::{
    Incoming, WebSocket,
    proto::{Config, Negotiated, Role, handshake::HandshakeError},
};
use futures_io::{AsyncRead, AsyncWrite};

use crate::io::{Clock, Io};

#[doc = include_str!("../docs/accept.md")]
pub fn accept<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<Io<S>>, HandshakeError>> {
    bind::accept(Io(stream), config)
}

/// Opens the connection for any client, from any page and for any path, without a subprotocol.
///
/// # Errors
///
/// As [`accept`].
pub fn accept_any<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<WebSocket<Io<S>>, HandshakeError>> {
    bind::accept_any(Io(stream), config)
}

/// Runs the TLS handshake with a client that has connected, if `tls` is given, and reads the client's
/// request as [`accept`] does. [`handshake_timeout`](Config::handshake_timeout) bounds both together.
///
/// # Errors
///
/// As [`accept`]. [`HandshakeError::Lost`] if TLS fails; the client has then received a TLS alert.
#[cfg(feature = "tls")]
pub fn accept_tls<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    tls: Option<Arc<bind::rustls::ServerConfig>>,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<OptionalTls<Io<S>>>, HandshakeError>> {
    bind::accept_tls(Io(stream), tls, config)
}

#[doc = include_str!("../docs/hosted.md")]
pub fn from_parts<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    leftover: &[u8],
    negotiated: Negotiated,
    role: Role,
    config: impl Into<Arc<Config>>,
) -> WebSocket<Io<S>> {
    bind::from_parts(Io(stream), leftover, negotiated, role, config)
}

/// Returns a client and a server that are connected to each other in memory, for tests. See [`bind::pair`].
pub fn pair(config: impl Into<Arc<Config>>) -> (WebSocket<InMemory>, WebSocket<InMemory>) {
    bind::pair(Clock::new(), config)
}

/// The transport of a [`pair`].
pub type InMemory = bind::InMemory<Clock>;
