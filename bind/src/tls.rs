//! The client's half of TLS, by rustls.

use std::{io, sync::Arc, sync::OnceLock};

use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::ServerName};
use url::Host;

use crate::{ConnectError, Destination, UrlError};

impl Destination {
    /// What to give to rustls. Reads the roots of the platform, which blocks, if the caller gave no
    /// configuration, and keeps them for the next time.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Io`] if the platform has no roots.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, ConnectError> {
        let config = match &self.tls_config {
            Some(config) => config.clone(),
            None => platform()?,
        };
        // A server that would rather speak HTTP/2 is not to pick it.
        if config.alpn_protocols == [ALPN] {
            return Ok(config);
        }
        let mut config = ClientConfig::clone(&config);
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Arc::new(config))
    }

    /// Whom the certificate must be for.
    ///
    /// # Errors
    ///
    /// [`UrlError::ServerName`] if there can be none.
    pub fn server_name(&self) -> Result<ServerName<'static>, UrlError> {
        match &self.host {
            Host::Domain(name) => {
                ServerName::try_from(name.clone()).map_err(|_| UrlError::ServerName)
            }
            Host::Ipv4(address) => Ok(ServerName::from(std::net::IpAddr::from(*address))),
            Host::Ipv6(address) => Ok(ServerName::from(std::net::IpAddr::from(*address))),
        }
    }
}

const ALPN: &[u8] = b"http/1.1";

fn platform() -> Result<Arc<ClientConfig>, ConnectError> {
    static CONFIG: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    if let Some(config) = CONFIG.get() {
        return Ok(config.clone());
    }
    let found = rustls_native_certs::load_native_certs();
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

impl From<rustls::Error> for ConnectError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(Box::new(error))
    }
}
