use std::sync::Arc;

use proto::{Config, Lost, handshake::HandshakeError};
use rustls::ServerConfig;

use super::{OptionalTls, TlsStream};
use crate::{
    handshake::{Incoming, accept},
    transport::Transport,
};

/// Runs the handshake of TLS with a client that has connected, if there is a configuration for it, and reads
/// the client's request, as [`accept`] does. [`handshake_timeout`](Config::handshake_timeout) is the deadline of
/// both together.
///
/// # Errors
///
/// Those of [`accept`]. [`HandshakeError::Lost`] if TLS fails, of which the client was told.
pub fn accept_tls<S: Transport>(
    io: S,
    tls: Option<Arc<ServerConfig>>,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<OptionalTls<S>>, HandshakeError>> {
    let config = config.into();
    async move {
        let stream = match tls {
            Some(tls) => {
                let stream = TlsStream::server(io, tls);
                OptionalTls::tls(stream.map_err(|_| HandshakeError::Lost(Lost::Failed))?)
            }
            None => OptionalTls::unencrypted(io),
        };
        accept(stream, config).await
    }
}
