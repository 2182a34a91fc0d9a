use std::sync::Arc;

#[cfg(feature = "tls")]
use bind::OptionalTls;
use bind::{
    Incoming, WebSocket,
    proto::{Config, Lost, Negotiated, Role, handshake::HandshakeError},
};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    io::{Clock, Io},
    runtime::in_runtime,
};

#[doc = include_str!("../docs/accept.md")]
pub fn accept<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<Io<S>>, HandshakeError>> {
    waiting(config, |config| bind::accept(Io(stream), config))
}

/// Opens the connection for any client, from any page and for any path, without a subprotocol.
///
/// # Errors
///
/// As [`accept`].
///
/// # Panics
///
/// As [`accept`].
pub fn accept_any<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<WebSocket<Io<S>>, HandshakeError>> {
    waiting(config, |config| bind::accept_any(Io(stream), config))
}

/// Runs the TLS handshake with a client that has connected, if `tls` is given, and reads the client's
/// request as [`accept`] does. [`handshake_timeout`](Config::handshake_timeout) bounds both together.
///
/// # Errors
///
/// As [`accept`]. [`HandshakeError::Lost`] if TLS fails; the client has then received a TLS alert.
///
/// # Panics
///
/// As [`accept`].
#[cfg(feature = "tls")]
pub fn accept_tls<S: AsyncRead + AsyncWrite + Unpin + 'static>(
    stream: S,
    tls: Option<Arc<bind::rustls::ServerConfig>>,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<OptionalTls<Io<S>>>, HandshakeError>> {
    waiting(config, |config| bind::accept_tls(Io(stream), tls, config))
}

/// Fails outside of a runtime if the handshake has a deadline, because nothing would keep it there.
fn waiting<T, F: Future<Output = Result<T, HandshakeError>>>(
    config: impl Into<Arc<Config>>,
    accept: impl FnOnce(Arc<Config>) -> F,
) -> impl Future<Output = Result<T, HandshakeError>> {
    let config = config.into();
    let timed = config.handshake_timeout.is_some();
    let accepted = accept(config);
    async move {
        if timed && in_runtime().is_err() {
            return Err(HandshakeError::Lost(Lost::Failed));
        }
        accepted.await
    }
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
