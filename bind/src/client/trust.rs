//! What a client trusts, and by whose cryptography it checks that.

use std::{
    io,
    sync::{Arc, OnceLock},
};

#[cfg(all(feature = "aws-lc", not(feature = "ring")))]
use rustls::crypto::aws_lc_rs as built_in;
#[cfg(feature = "ring")]
use rustls::crypto::ring as built_in;
use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::ServerName};

use super::{error::ConnectError, host::Host, url::UrlError};
#[cfg(feature = "platform")]
use crate::runtime::in_thread;

/// What a client trusts, and who it is: as `config` says, or without one by the roots of the features. It asks for
/// HTTP/1.1.
///
/// # Errors
///
/// [`ConnectError::NoProvider`], [`ConnectError::NoRoots`].
pub(super) async fn client_config(
    config: Option<Arc<ClientConfig>>,
) -> Result<Arc<ClientConfig>, ConnectError> {
    match config {
        Some(config) => Ok(with_alpn(config)),
        None => default_config().await,
    }
}

/// Whom the certificate of a host must be for.
pub(super) fn server_name(host: &Host) -> Result<ServerName<'static>, UrlError> {
    match host {
        Host::Name(name) => ServerName::try_from(name.clone()).map_err(|_| UrlError::ServerName),
        Host::Addr(address) => Ok((*address).into()),
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

/// Made once for each provider, so that sessions are resumed. The default of the process counts from when it is
/// installed, which is once at the most; before that, the provider of the features does.
async fn default_config() -> Result<Arc<ClientConfig>, ConnectError> {
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

/// The provider of the feature `ring`, else of `aws-lc`.
fn built_in() -> Option<Arc<CryptoProvider>> {
    #[cfg(any(feature = "ring", feature = "aws-lc"))]
    {
        Some(Arc::new(built_in::default_provider()))
    }
    #[cfg(not(any(feature = "ring", feature = "aws-lc")))]
    None
}

/// The roots of the platform; if it has none, those of the feature `webpki`.
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

/// None, if the platform has none. It is an error if those it has cannot be read, for then the application is not
/// to trust others in their place.
#[cfg(feature = "platform")]
async fn platform_roots() -> Result<RootCertStore, ConnectError> {
    // That blocks.
    let found = in_thread(rustls_native_certs::load_native_certs).await?;
    let mut roots = RootCertStore::empty();
    // Some stores hold old ones that are not understood.
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
