use std::{fmt, io};

use super::proxy_error::ProxyError;
use proto::{
    handshake::{HandshakeError, InvalidHeader, OfferError, Response},
    tunnel::SocksError,
};

/// The reason why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConnectError {
    /// An error of the caller: the URL cannot be connected to. Nothing was sent.
    Url(UrlError),
    /// An error of the caller: a header field is not valid. Nothing was sent.
    Header(InvalidHeader),
    /// An error of the caller: the request is not a valid opening handshake. Nothing was sent.
    Request(OfferError),
    /// The name could not be resolved, the server could not be reached, or it ended the connection during the TLS
    /// handshake.
    Io(io::Error),
    /// TLS failed: a certificate is not trusted, or the two ends have no version or cipher suite in common.
    #[cfg(feature = "tls")]
    Tls(Box<rustls::Error>),
    /// An error of the caller: there is no provider of cryptography for TLS. Nothing was sent.
    #[cfg(feature = "tls")]
    NoProvider,
    /// An error of the caller or the platform: there are no root certificates to check the server's certificate with.
    /// Nothing was sent.
    #[cfg(feature = "tls")]
    NoRoots(io::Error),
    /// An error of the caller: an option for TLS is not valid. Nothing was sent.
    #[cfg(feature = "tls")]
    TlsOption(TlsOptionError),
    /// An error of the caller: the connector was made by another binding. Nothing was sent.
    Connector,
    /// There is no tunnel through the proxy.
    Proxy(ProxyError),
    /// The server refused, or its answer is not valid.
    Handshake(HandshakeError),
    /// Connecting took longer than [`handshake_timeout`](proto::Config::handshake_timeout).
    TimedOut,
}

impl ConnectError {
    /// Returns the response of a server that refused.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Self::Handshake(error) => error.response(),
            _ => None,
        }
    }

    /// Whether the same call may succeed later.
    ///
    /// It may if the server could not be resolved or reached, disconnected too early, took too long, or refused with
    /// a status that may change: 408, 425, 429, or 500 and above. A client that reconnects on its own should wait
    /// before each attempt, longer each time. The call will not succeed if the URL, a certificate or the server has
    /// to be changed first, as with status 401 or 404, or with a response that is not that of a WebSocket server.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Io(_) | Self::TimedOut => true,
            Self::Proxy(error) => error.is_transient(),
            Self::Handshake(error) => match error {
                HandshakeError::TimedOut
                | HandshakeError::Lost(_)
                | HandshakeError::Truncated(_) => true,
                HandshakeError::Refused(response) => {
                    matches!(response.status, 408 | 425 | 429 | 500..)
                }
                _ => false,
            },
            _ => false,
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
impl From<TlsOptionError> for ConnectError {
    fn from(error: TlsOptionError) -> Self {
        Self::TlsOption(error)
    }
}

#[cfg(feature = "tls")]
impl From<rustls::Error> for ConnectError {
    fn from(error: rustls::Error) -> Self {
        Self::Tls(Box::new(error))
    }
}

/// Finds a TLS error inside the error of the transport.
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
            Self::Tls(error) if is_no_tls(error) => write!(
                f,
                "the server does not speak TLS ({error}): use ws://, or the port where it does"
            ),
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
                "there are no root certificates to check the server's certificate with ({error}): turn on the feature \
                 `webpki`, or give your own to Connect::root_pem"
            ),
            #[cfg(feature = "tls")]
            Self::TlsOption(error) => error.fmt(f),
            Self::Connector => f.write_str(
                "the connector was made by another binding: make it with the function `connector` of the crate whose \
                 `connect` is called",
            ),
            Self::Proxy(error) => error.fmt(f),
            Self::Handshake(error @ HandshakeError::Lost(_)) => {
                write!(f, "{error}: a server that expects wss:// does this to a ws:// client")
            }
            Self::Handshake(error) => error.fmt(f),
            Self::TimedOut => f.write_str("connecting took longer than handshake_timeout"),
        }
    }
}

impl std::error::Error for ConnectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Our message includes that of the cause, so the cause of that comes next.
            Self::Io(error) => error.source(),
            #[cfg(feature = "tls")]
            Self::Tls(error) => error.source(),
            #[cfg(feature = "tls")]
            Self::NoRoots(error) => error.source(),
            _ => None,
        }
    }
}

/// Whether the server answered without TLS.
#[cfg(feature = "tls")]
fn is_no_tls(error: &rustls::Error) -> bool {
    use rustls::{Error, InvalidMessage};
    matches!(
        error,
        Error::InvalidMessage(InvalidMessage::InvalidContentType)
    )
}

/// An error of the caller: an option for TLS is not valid. Nothing was sent.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum TlsOptionError {
    /// `root_pem` has no root certificate, or one that is not valid.
    Root,
    /// The certificates of `client_pem` are missing or not valid.
    Certificate,
    /// The key of `client_pem` is missing or not valid.
    Key,
    /// A whole `ClientConfig` was given as well, which already decides this.
    Config,
}

#[cfg(feature = "tls")]
impl fmt::Display for TlsOptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Root => "root_pem has no valid root certificate: give a PEM file that begins with BEGIN CERTIFICATE",
            Self::Certificate => {
                "the certificates of client_pem are not valid: give a PEM file that begins with BEGIN CERTIFICATE"
            }
            Self::Key => {
                "the key of client_pem is not valid: give a PEM file with a PKCS #8, PKCS #1 or SEC1 key that is not encrypted"
            }
            Self::Config => {
                "Connect::tls already has a ClientConfig: set root certificates, client certificates and versions there"
            }
        })
    }
}

#[cfg(feature = "tls")]
impl std::error::Error for TlsOptionError {}

/// An error of the caller: the URL cannot be connected to (RFC 6455 §3). Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum UrlError {
    /// It has a control character, a space at an end, or one before its path.
    Character,
    /// It does not begin with a scheme and `://`.
    NoScheme,
    /// Its scheme is neither `ws` nor `wss`.
    Scheme,
    /// Its user or password has a character that must be escaped.
    UserInfo,
    /// Its host is missing, or neither a name nor an address.
    Host,
    /// Its host is not ASCII, and the feature `idna` is off.
    NoIdna,
    /// Its port is not a number, or is larger than 65535.
    Port,
    /// Its path or query has a `%` that is not followed by two hexadecimal digits, or there is a backslash before the
    /// query.
    Escape,
    /// It has a fragment.
    Fragment,
    /// No certificate can be for its host.
    ServerName,
    /// It is a `wss` URL, and the feature `tls` is off.
    NoTls,
    /// It is a `ws+unix` URL whose socket has a path that is not absolute or has a character that URLs escape, or whose second
    /// colon is not followed by a slash.
    SocketPath,
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Character => {
                "the URL has a control character, a space at an end, or a space before its path: remove it"
            }
            Self::NoScheme => {
                "the URL does not begin with ws:// or wss://: to reach localhost:80, write ws://localhost:80"
            }
            Self::Scheme => {
                "the URL's scheme is neither ws nor wss: write ws:// for http://, and wss:// for https://"
            }
            Self::UserInfo => {
                "the URL's user or password has a character that must be escaped: write %40 for @, for example, \
                 or give both to Connect::basic as they are"
            }
            Self::Host => {
                "the URL's host is missing or not valid: write a name, an IPv4 address of four decimal numbers, \
                 or an IPv6 address in brackets"
            }
            Self::NoIdna => {
                "the URL's host has characters outside ASCII: turn on the feature `idna`, or write the form of the \
                 name that begins with xn--"
            }
            Self::Port => "the URL's port is not a number up to 65535: correct it, or leave it out",
            Self::Escape => {
                "the URL has a % that is not followed by two hexadecimal digits, or a backslash: write %25 for %, and / or \
                 %5C for a backslash"
            }
            Self::Fragment => {
                "the URL has a fragment, which RFC 6455 does not allow: remove it, or write %23 for #"
            }
            Self::ServerName => {
                "no certificate can be for the URL's host: write a name that is valid in DNS, or an address"
            }
            Self::NoTls => "the URL begins with wss://: turn on the feature `tls`, or write ws://",
            Self::SocketPath => {
                "the URL's socket has no absolute path of plain characters: write ws+unix:/path/of/socket:/path, or give the \
                 socket's path to Connect::unix"
            }
        })
    }
}

impl std::error::Error for UrlError {}

impl From<ProxyError> for ConnectError {
    fn from(error: ProxyError) -> Self {
        match error {
            // The dialogue has the one deadline of connecting.
            ProxyError::Handshake(HandshakeError::TimedOut)
            | ProxyError::Socks(SocksError::Handshake(HandshakeError::TimedOut)) => Self::TimedOut,
            error => Self::Proxy(error),
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
