use std::{fmt, io};

use proto::handshake::{HandshakeError, InvalidHeader, OfferError, Response};

use super::url::UrlError;

/// Why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL is not one to connect to: the caller's side. Nothing was sent.
    Url(UrlError),
    /// A header field is not valid: the caller's side. Nothing was sent.
    Header(InvalidHeader),
    /// No valid opening handshake can be made of the request: the caller's side. Nothing was sent.
    Request(OfferError),
    /// The name could not be resolved, or the server not be reached, or it left before TLS was agreed
    /// on.
    Io(io::Error),
    /// TLS failed: a certificate is not trusted, or there is nothing that both ends speak.
    #[cfg(feature = "tls")]
    Tls(Box<rustls::Error>),
    /// There is no provider of cryptography for TLS: the caller's side. Nothing was sent.
    #[cfg(feature = "tls")]
    NoProvider,
    /// There are no root certificates to check a server's by: the caller's side, or the platform's. Nothing was sent.
    #[cfg(feature = "tls")]
    NoRoots(io::Error),
    /// The server refused, or its answer is not valid.
    Handshake(HandshakeError),
    /// All of it took longer than [`handshake_timeout`](proto::Config::handshake_timeout).
    TimedOut,
}

impl ConnectError {
    /// What the server answered, if it refused.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Self::Handshake(error) => error.response(),
            _ => None,
        }
    }
}

impl From<UrlError> for ConnectError {
    fn from(error: UrlError) -> Self {
        Self::Url(error)
    }
}

impl From<InvalidHeader> for ConnectError {
    fn from(error: InvalidHeader) -> Self {
        Self::Header(error)
    }
}

impl From<OfferError> for ConnectError {
    fn from(error: OfferError) -> Self {
        Self::Request(error)
    }
}

impl From<HandshakeError> for ConnectError {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

#[cfg(feature = "tls")]
impl From<rustls::Error> for ConnectError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(Box::new(error))
    }
}

/// An error of TLS comes as one of the transport below which it works.
impl From<io::Error> for ConnectError {
    fn from(error: io::Error) -> Self {
        #[cfg(feature = "tls")]
        if let Some(error) = error
            .get_ref()
            .and_then(|error| error.downcast_ref::<rustls::Error>())
        {
            return Self::Tls(Box::new(error.clone()));
        }
        Self::Io(error)
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(error) => error.fmt(f),
            Self::Header(error) => error.fmt(f),
            Self::Request(error) => error.fmt(f),
            Self::Io(error) => write!(f, "cannot connect: {error}"),
            #[cfg(feature = "tls")]
            Self::Tls(error) => write!(f, "TLS failed: {error}"),
            #[cfg(feature = "tls")]
            Self::NoProvider => f.write_str(
                "there is no provider of cryptography for TLS: turn on the feature `ring` or `aws-lc`, call \
                 CryptoProvider::install_default, or give a ClientConfig to Connect::tls",
            ),
            #[cfg(feature = "tls")]
            Self::NoRoots(error) => write!(
                f,
                "there are no root certificates to check the server's by, {error}: turn on the feature `webpki`, or \
                 give a ClientConfig to Connect::tls"
            ),
            Self::Handshake(error) => error.fmt(f),
            Self::TimedOut => f.write_str("connecting took longer than handshake_timeout"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::Tls(error) => Some(error),
            #[cfg(feature = "tls")]
            Self::NoRoots(error) => Some(error),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn errors_are_small() {
        assert!(size_of::<super::ConnectError>() <= 32);
    }
}
