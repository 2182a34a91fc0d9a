use std::sync::Arc;

use proto::{Config, Lost, handshake::HandshakeError};
use rustls::ServerConfig;

use super::OptionalTls;
use crate::{
    handshake::{Incoming, accept},
    transport::Transport,
};

/// Runs the TLS handshake with a client that has connected, if `tls` is given, and reads the client's request as
/// [`accept`] does. [`handshake_timeout`](Config::handshake_timeout) bounds both together.
///
/// # Errors
///
/// As [`accept`]. [`HandshakeError::Lost`] if TLS fails; the client has then received a TLS alert.
pub fn accept_tls<S: Transport>(
    io: S,
    tls: Option<Arc<ServerConfig>>,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<OptionalTls<S>>, HandshakeError>> {
    let config = config.into();
    async move {
        let stream = OptionalTls::server(io, tls);
        let stream = stream.map_err(|_| HandshakeError::Lost(Lost::Failed))?;
        accept(stream, config).await
    }
}
