use std::fmt;
#[cfg(feature = "tls")]
use std::net::IpAddr;

#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;
#[cfg(feature = "tls")]
use url::Host;
use url::Url;

/// A URL that cannot be connected to (RFC 6455 §3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UrlError {
    /// It is not an absolute URL.
    Syntax(url::ParseError),
    /// It has a space or a control character, which must be escaped.
    Character,
    /// Its scheme is neither `ws` nor `wss`.
    Scheme,
    /// It has no host.
    Host,
    /// It has a fragment.
    Fragment,
    /// Its host has no name that a certificate could be for.
    ServerName,
    /// It is a `wss` URL, and the feature `tls` is off.
    NoTls,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax(error) => return write!(f, "the URL is not valid: {error}"),
            Self::Character => "the URL has a space or a control character",
            Self::Scheme => "the URL's scheme is neither ws nor wss",
            Self::Host => "the URL has no host",
            Self::Fragment => "the URL has a fragment",
            Self::ServerName => "the URL's host is not a name for TLS",
            Self::NoTls => "wss:// needs the feature `tls`",
        })
    }
}

impl std::error::Error for UrlError {}

pub(super) fn parse(text: &str) -> Result<Url, UrlError> {
    // The parser would drop these, or escape them.
    if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err(UrlError::Character);
    }
    let url = Url::parse(text).map_err(UrlError::Syntax)?;
    if !matches!(url.scheme(), "ws" | "wss") {
        return Err(UrlError::Scheme);
    }
    // RFC 6455 §3: "Fragment identifiers … MUST NOT be used".
    if url.fragment().is_some() {
        return Err(UrlError::Fragment);
    }
    Ok(url)
}

/// Whom the certificate of a host must be for.
#[cfg(feature = "tls")]
pub(super) fn server_name(host: &Host<String>) -> Result<ServerName<'static>, UrlError> {
    match host {
        Host::Domain(name) => ServerName::try_from(name.clone()).map_err(|_| UrlError::ServerName),
        Host::Ipv4(address) => Ok(IpAddr::from(*address).into()),
        Host::Ipv6(address) => Ok(IpAddr::from(*address).into()),
    }
}
