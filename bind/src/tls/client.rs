use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use url::Host;

use super::TlsStream;
use crate::{
    client::{ConnectError, UrlError},
    runtime::in_thread,
    transport::Transport,
};

/// Reaches the server by `reach`, and runs the handshake of TLS. `config` is the caller's; without one the
/// roots of the platform are trusted.
pub(crate) async fn secure_client<S: Transport>(
    config: Option<Arc<ClientConfig>>,
    host: &Host<String>,
    reach: impl Future<Output = Result<S, ConnectError>>,
) -> Result<TlsStream<S>, ConnectError> {
    let name = server_name(host)?;
    let config = match config {
        Some(config) => config,
        None => platform().await?,
    };
    let mut stream = TlsStream::client(reach.await?, with_alpn(config), name)?;
    poll_fn(|cx| stream.poll_handshake(cx)).await?;
    Ok(stream)
}

/// Whom the certificate must be for.
fn server_name(host: &Host<String>) -> Result<ServerName<'static>, UrlError> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| UrlError::ServerName),
        Host::Ipv4(address) => Ok(IpAddr::from(*address).into()),
        Host::Ipv6(address) => Ok(IpAddr::from(*address).into()),
    }
}

const ALPN: &[u8] = b"http/1.1";

/// A server that would rather speak HTTP/2 is not to pick it.
fn with_alpn(config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    if config.alpn_protocols == [ALPN] {
        return config;
    }
    let mut config = ClientConfig::clone(&config);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// The roots of the platform are read once, in a thread of their own: that blocks.
async fn platform() -> Result<Arc<ClientConfig>, ConnectError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let found = in_thread(rustls_native_certs::load_native_certs).await?;
    let mut roots = RootCertStore::empty();
    // Some stores hold old ones that are not understood.
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.into_iter().next();
        let why = why.map_or_else(String::new, |error| format!(": {error}"));
        return Err(io::Error::other(format!("the platform has no TLS roots{why}")).into());
    }
    // The provider is named, for the default of the process may be missing.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}
