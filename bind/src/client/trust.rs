//! The certificates that a client trusts, and the cryptography that checks them.

use std::{
    io,
    sync::{Arc, OnceLock},
};

#[cfg(all(feature = "aws-lc", not(feature = "ring")))]
use rustls::crypto::aws_lc_rs as built_in;
#[cfg(feature = "ring")]
use rustls::crypto::ring as built_in;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::ServerName};

use super::{
    destination::Destination,
    error::{ConnectError, UrlError},
    host::Host,
    tls::ALPN,
};
#[cfg(feature = "platform")]
use crate::runtime::in_thread;

/// Returns the TLS configuration of a client: the caller's, or one of the caller's options, or one that trusts the roots
/// of the features. Its ALPN protocol is HTTP/1.1.
///
/// # Errors
///
/// [`ConnectError::NoProvider`], [`ConnectError::NoRoots`], and [`ConnectError::Tls`] if the provider does not support
/// the options.
pub(super) async fn client_config(to: &Destination) -> Result<Arc<ClientConfig>, ConnectError> {
    if let Some(config) = &to.tls_config {
        return Ok(with_alpn(config.clone()));
    }
    let Some(options) = &to.tls_options else {
        return default_config().await;
    };
    if let Some(config) = options.made() {
        return Ok(config);
    }
    let provider = CryptoProvider::get_default().cloned().or_else(built_in);
    let provider = provider.ok_or(ConnectError::NoProvider)?;
    let roots = match options.needs_roots() {
        true => roots().await?,
        false => RootCertStore::empty(),
    };
    options.make(provider, roots)
}

/// Returns the name that the certificate of a host must be for.
pub(super) fn server_name(host: &Host) -> Result<ServerName<'static>, UrlError> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| UrlError::ServerName),
        Host::Addr(address) => Ok((*address).into()),
    }
}

/// Sets the ALPN protocol, so that a server that prefers HTTP/2 does not select that.
pub(super) fn with_alpn(config: Arc<ClientConfig>) -> Arc<ClientConfig> {
    if config.alpn_protocols == [ALPN] {
        return config;
    }
    let mut config = ClientConfig::clone(&config);
    config.alpn_protocols = vec![ALPN.to_vec()];
    Arc::new(config)
}

/// Returns the default configuration, which is made once for each provider, so that sessions are resumed. The
/// provider is the default of the process, once one is installed, which happens at most once. Before that it is the
/// provider of the features.
pub(super) async fn default_config() -> Result<Arc<ClientConfig>, ConnectError> {
    static INSTALLED: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    static BUILT_IN: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let installed = CryptoProvider::get_default();
    let made = match installed {
        Some(_) => &INSTALLED,
        None => &BUILT_IN,
    };
    if let Some(config) = made.get() {
        return Ok(config.clone());
    }
    let provider = installed.cloned().or_else(built_in);
    let provider = provider.ok_or(ConnectError::NoProvider)?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots().await?)
        .with_no_client_auth();
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(made.get_or_init(|| Arc::new(config)).clone())
}

/// Returns the provider of the feature `ring`, or else of `aws-lc`.
fn built_in() -> Option<Arc<CryptoProvider>> {
    #[cfg(any(feature = "ring", feature = "aws-lc"))]
    {
        Some(Arc::new(built_in::default_provider()))
    }
    #[cfg(not(any(feature = "ring", feature = "aws-lc")))]
    None
}

/// Returns the roots of the platform; if it has none, those of the feature `webpki`.
async fn roots() -> Result<RootCertStore, ConnectError> {
    let roots = platform_roots().await?;
    #[cfg(feature = "webpki")]
    let roots = match roots.is_empty() {
        true => webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect(),
        false => roots,
    };
    if roots.is_empty() {
        let why = match cfg!(feature = "platform") {
            true => "the platform has none",
            false => "the features `platform` and `webpki` are off",
        };
        let why = io::Error::new(io::ErrorKind::NotFound, why);
        return Err(ConnectError::NoRoots(why));
    }
    Ok(roots)
}

/// Returns the roots of the platform, which may be none. If they cannot be read, that is an error, because the
/// application must not trust others in their place.
#[cfg(feature = "platform")]
async fn platform_roots() -> Result<RootCertStore, ConnectError> {
    // Reading the roots blocks.
    let found = in_thread(rustls_native_certs::load_native_certs).await?;
    let mut roots = RootCertStore::empty();
    // Some stores hold old certificates that cannot be parsed.
    roots.add_parsable_certificates(found.certs);
    match found.errors.into_iter().next() {
        Some(error) if roots.is_empty() => Err(ConnectError::NoRoots(io::Error::other(error))),
        _ => Ok(roots),
    }
}

#[cfg(not(feature = "platform"))]
async fn platform_roots() -> Result<RootCertStore, ConnectError> {
    Ok(RootCertStore::empty())
}
