use std::fmt;

use proto::{
    handshake::{HandshakeError, Response},
    tunnel::SocksError,
};

/// The reason why there is no tunnel through a proxy.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProxyError {
    /// An error of the caller: the URL of the proxy, or its user or password, is not valid, or it begins with `https` and
    /// the feature `tls` is off. Nothing was sent.
    Url,
    /// The proxy refused, with this response: 407 if it wants a user and a password.
    Refused(Box<Response>),
    /// An HTTP proxy ended the connection, took too long, or its answer is not valid.
    Handshake(HandshakeError),
    /// A SOCKS proxy refused, or failed.
    Socks(SocksError),
}

impl ProxyError {
    /// Whether the same call may succeed later.
    pub(super) fn is_transient(&self) -> bool {
        let handshake = |error: &HandshakeError| {
            matches!(
                error,
                HandshakeError::TimedOut | HandshakeError::Lost(_) | HandshakeError::Truncated(_)
            )
        };
        match self {
            Self::Url => false,
            Self::Refused(response) => matches!(response.status, 408 | 425 | 429 | 500..),
            Self::Handshake(error) | Self::Socks(SocksError::Handshake(error)) => handshake(error),
            // RFC 1928 §6: a general failure, and what may be reachable later.
            Self::Socks(error) => matches!(error, SocksError::Refused(1 | 3..=6)),
        }
    }
}

impl From<HandshakeError> for ProxyError {
    fn from(error: HandshakeError) -> Self {
        match error {
            HandshakeError::Refused(response) => Self::Refused(response),
            error => Self::Handshake(error),
        }
    }
}

impl From<SocksError> for ProxyError {
    fn from(error: SocksError) -> Self {
        Self::Socks(error)
    }
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url => f.write_str(
                "the URL of the proxy is not valid: write http://, https:// (feature `tls`), socks5:// or socks5h://, \
                 then a host and a port, without a path",
            ),
            Self::Refused(response) if response.status == 407 => f.write_str(
                "the proxy wants a user and a password, or does not accept them (status 407): give them to Proxy::basic",
            ),
            Self::Refused(response) => {
                write!(f, "the proxy refused the tunnel with status {}", response.status)
            }
            Self::Handshake(error) => write!(f, "the proxy failed: {error}"),
            Self::Socks(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ProxyError {}
