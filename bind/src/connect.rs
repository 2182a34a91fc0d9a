use std::{fmt, io, net::SocketAddr, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use percent_encoding::percent_decode_str;
use proto::{
    Config, EntropyError, Instant, Utf8Bytes,
    handshake::{HandshakeError, InvalidHeader, OfferError, Request, Response},
};
use url::{Host, Url};

/// What to connect to, and how. Give it to the `connect` of a binding, which takes a URL as well.
///
/// Nothing is checked before that, and nothing sent before all is found valid.
#[derive(Clone)]
#[must_use = "it does nothing until it is given to `connect`"]
pub struct Connect {
    url: String,
    headers: Vec<(Utf8Bytes, Vec<u8>)>,
    subprotocols: Vec<String>,
    origin: Option<String>,
    authorization: Option<Authorization>,
    config: Option<Arc<Config>>,
    nodelay: bool,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ClientConfig>>,
}

#[derive(Clone)]
enum Authorization {
    Basic { user: Vec<u8>, password: Vec<u8> },
    Bearer(String),
}

impl Connect {
    /// Connects to `url`, `ws://…` or `wss://…` (RFC 6455 §3).
    ///
    /// A user and password in it are sent as by [`basic`](Self::basic); a fragment is refused.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            authorization: None,
            config: None,
            nodelay: true,
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Adds a header field to the request. Those of the handshake itself, and `Host`, cannot be
    /// added.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Vec<u8>>) -> Self {
        self.headers.push((name.into().into(), value.into()));
        self
    }

    /// Offers a subprotocol, behind those offered before (RFC 6455 §1.9). The server picks one or
    /// none; [`WebSocket::subprotocol`](crate::WebSocket::subprotocol) tells which.
    pub fn subprotocol(mut self, name: impl Into<String>) -> Self {
        self.subprotocols.push(name.into());
        self
    }

    /// Sends an `Origin` (RFC 6454 §7), as a browser does.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origin = Some(origin.into());
        self
    }

    /// Sends `Authorization: Basic` (RFC 7617). The user cannot have a colon.
    pub fn basic(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.authorization = Some(Authorization::Basic {
            user: user.into().into(),
            password: password.into().into(),
        });
        self
    }

    /// Sends `Authorization: Bearer` (RFC 6750 §2.1).
    pub fn bearer(mut self, token: impl Into<String>) -> Self {
        self.authorization = Some(Authorization::Bearer(token.into()));
        self
    }

    /// Limits, deadlines and policy of the connection; [`config`](crate::config) if not given.
    ///
    /// [`handshake_timeout`](Config::handshake_timeout) is the one deadline for all of name
    /// resolution, TCP, TLS and the opening handshake.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// Whether small messages leave at once (`TCP_NODELAY`); they do, unless this is `false`. Nothing
    /// is changed on a transport that the caller brings.
    pub const fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// How `wss://` trusts the server, and tells who we are. If not given, the roots of the platform
    /// are trusted. ALPN is always `http/1.1`.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Checks what was given; for those who connect by themselves.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Url`], [`ConnectError::Header`] or [`ConnectError::Request`]: the caller's.
    pub fn prepare(self) -> Result<Destination, ConnectError> {
        let url = parse(&self.url)?;
        let host = url.host().ok_or(UrlError::Host)?.to_owned();
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            // RFC 9110 §4.2.1: the default port is left out.
            None => host.to_string(),
        };
        let target = match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        };
        let mut request = Request::new(authority, target)?;
        let headers = request.headers_mut();
        for name in self.subprotocols {
            // In a list it would be two, or none.
            if name.is_empty() || name.contains([',', ' ', '\t']) {
                return Err(OfferError::Subprotocol.into());
            }
            headers.push("Sec-WebSocket-Protocol", name.into_bytes())?;
        }
        if let Some(origin) = self.origin {
            headers.push("Origin", graphic(origin)?)?;
        }
        if let Some(authorization) = self.authorization.or_else(|| userinfo(&url)) {
            headers.push("Authorization", authorization.encode()?)?;
        }
        for (name, value) in self.headers {
            headers.push(name, value)?;
        }
        let tls = url.scheme() == "wss";
        #[cfg(not(feature = "tls"))]
        if tls {
            return Err(UrlError::NoTls.into());
        }
        Ok(Destination {
            port: url.port().unwrap_or(if tls { 443 } else { 80 }),
            host,
            tls,
            request,
            config: self.config.unwrap_or_else(|| Arc::new(config())),
            nodelay: self.nodelay,
            #[cfg(feature = "tls")]
            tls_config: self.tls,
        })
    }
}

impl<U: AsRef<str>> From<U> for Connect {
    fn from(url: U) -> Self {
        Self::new(url)
    }
}

/// Credentials are left out.
impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("subprotocols", &self.subprotocols)
            .field("origin", &self.origin)
            .field("config", &self.config)
            .field("nodelay", &self.nodelay)
            .finish_non_exhaustive()
    }
}

/// What a [`Connect`] comes to; for bindings.
#[derive(Clone)]
#[non_exhaustive]
pub struct Destination {
    /// Where to: a name, ready for DNS, or an address.
    pub host: Host<String>,
    /// Where to.
    pub port: u16,
    /// Whether by TLS.
    pub tls: bool,
    /// What to ask for.
    pub request: Request,
    /// Limits, deadlines and policy.
    pub config: Arc<Config>,
    /// Whether to set `TCP_NODELAY`.
    pub nodelay: bool,
    /// What the caller gave for TLS.
    #[cfg(feature = "tls")]
    pub tls_config: Option<Arc<rustls::ClientConfig>>,
}

/// Credentials are left out, and so is what else the caller asks for.
impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

impl Destination {
    /// The address, if the URL has one in the place of a name.
    pub fn addr(&self) -> Option<SocketAddr> {
        match &self.host {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some((*address, self.port).into()),
            Host::Ipv6(address) => Some((*address, self.port).into()),
        }
    }

    /// When all has to be done that begins `now`.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let after = self.config.handshake_timeout;
        after.and_then(|after| now.checked_add(after))
    }
}

fn parse(text: &str) -> Result<Url, UrlError> {
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

fn userinfo(url: &Url) -> Option<Authorization> {
    let decode = |text| percent_decode_str(text).collect();
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    Some(Authorization::Basic {
        user: decode(url.username()),
        password: decode(url.password().unwrap_or_default()),
    })
}

impl Authorization {
    fn encode(self) -> Result<Vec<u8>, InvalidHeader> {
        match self {
            Self::Basic { user, password } => {
                // RFC 7617 §2: they "MUST NOT contain any control characters".
                let has_control = user.iter().chain(&password).any(u8::is_ascii_control);
                if has_control || user.contains(&b':') {
                    return Err(InvalidHeader::Value);
                }
                let pair = BASE64_STANDARD.encode([user, vec![b':'], password].concat());
                Ok(format!("Basic {pair}").into())
            }
            Self::Bearer(token) => Ok([b"Bearer ".to_vec(), graphic(token)?].concat()),
        }
    }
}

/// A value that has no spaces.
fn graphic(value: String) -> Result<Vec<u8>, InvalidHeader> {
    let valid = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_graphic());
    valid.then(|| value.into()).ok_or(InvalidHeader::Value)
}

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
    /// The server refused, or its answer is not valid.
    Handshake(HandshakeError),
    /// All of it took longer than [`handshake_timeout`](Config::handshake_timeout).
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
            _ => None,
        }
    }
}

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

/// The default [`Config`], with the randomness of the operating system.
pub fn config() -> Config {
    Config::new(|buf| getrandom::fill(buf).map_err(|_| EntropyError))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_small() {
        assert!(size_of::<ConnectError>() <= 32);
    }

    #[test]
    fn credentials_are_not_printed() {
        let to = Connect::new("ws://user:s3cr3t@a.test/?s3cr3t")
            .bearer("s3cr3t")
            .header("X-Key", "s3cr3t");
        assert!(!format!("{to:?}").contains("s3cr3t"));
        assert!(!format!("{:?}", to.prepare().unwrap()).contains("s3cr3t"));
    }
}
