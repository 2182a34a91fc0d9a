use std::{
    io,
    sync::{Arc, OnceLock},
};

use rustls::{ClientConfig, RootCertStore, crypto::ring};

use crate::runtime::in_thread;

/// What a client trusts, and who it is: as `config` says, or without one by the roots of the platform. It asks for
/// HTTP/1.1.
///
/// # Errors
///
/// If the platform has no roots.
pub(crate) async fn client_config(
    config: Option<Arc<ClientConfig>>,
) -> io::Result<Arc<ClientConfig>> {
    match config {
        Some(config) => Ok(with_alpn(config)),
        None => platform().await,
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
async fn platform() -> io::Result<Arc<ClientConfig>> {
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
        return Err(io::Error::other(format!(
            "the platform has no TLS roots{why}"
        )));
    }
    // The provider is named, for the default of the process may be missing.
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(CONFIG.get_or_init(|| Arc::new(config)).clone())
}
