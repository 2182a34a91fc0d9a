use std::{borrow::Cow, fmt, io, net::SocketAddr, path::PathBuf, sync::Arc};

use proto::{Config, Utf8Bytes, handshake::FieldValue};

#[cfg(feature = "tls")]
use super::tls::{TlsOptions, TlsVersion};
use super::{
    connector::{Connector, Way},
    cookies::CookieStore,
    credentials::Authorization,
    destination::Resolver,
    proxy::Proxy,
};

/// The server to connect to, and the options for that. Pass it to the `connect` of a binding, which also takes a URL.
///
/// Nothing is checked before that, and nothing is sent unless everything is valid.
#[derive(Clone)]
#[must_use = "it does nothing until it is given to `connect`"]
pub struct Connect {
    pub(super) url: String,
    pub(super) headers: Vec<(Utf8Bytes, FieldValue)>,
    pub(super) subprotocols: Vec<String>,
    pub(super) origin: Option<String>,
    pub(super) authorization: Option<Authorization>,
    pub(super) config: Option<Arc<Config>>,
    pub(super) nodelay: bool,
    pub(super) addresses: Option<Vec<SocketAddr>>,
    pub(super) resolver: Option<Arc<Resolver>>,
    pub(super) way: Way,
    pub(super) proxy: Option<Proxy>,
    pub(super) redirects: usize,
    pub(super) cookies: Option<Arc<dyn CookieStore>>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
    #[cfg(feature = "tls")]
    pub(super) tls_options: Option<Box<TlsOptions>>,
    #[cfg(feature = "tls")]
    pub(super) server_name: Option<String>,
}

impl Connect {
    /// Connects to `url`, `ws://…` or `wss://…` (RFC 6455 §3).
    ///
    /// - The path and the query may have any character except control characters, `#`, and, in the path, a backslash.
    ///   Characters that must be escaped are escaped (a space is sent as `%20`), existing escapes are kept, and the
    ///   segments `.` and `..` are removed. A `%` that does not begin an escape is refused.
    /// - The host is a name, an IPv4 address of four decimal numbers, or an IPv6 address in brackets. Other forms of an
    ///   IPv4 address, such as `0x7f.1`, are refused. A name that is not ASCII needs the feature `idna`.
    /// - A user and a password are sent as by [`basic`](Self::basic). In them, every character must be escaped except
    ///   letters, digits and `-._~!$&'()*+,;=`.
    /// - A fragment is refused, and so is a space at either end.
    /// - `ws+unix:/path/of/socket:/path?query` connects to a [Unix socket](Self::unix); the part from the second colon on may
    ///   be missing. The request is for the host `localhost`. The path of the socket is absolute, and cannot have a colon or a
    ///   character that URLs escape.
    pub fn new(url: impl AsRef<str>) -> Self {
        Self {
            url: url.as_ref().to_owned(),
            headers: Vec::new(),
            subprotocols: Vec::new(),
            origin: None,
            authorization: None,
            config: None,
            nodelay: true,
            addresses: None,
            resolver: None,
            way: Way::Tcp,
            proxy: None,
            redirects: 0,
            cookies: None,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "tls")]
            tls_options: None,
            #[cfg(feature = "tls")]
            server_name: None,
        }
    }

    /// Adds a header field to the request. `Host` and the fields of the handshake itself cannot be added.
    ///
    /// With the feature `http`, this also takes a `HeaderName` and a `HeaderValue`.
    pub fn header(mut self, name: impl Into<Utf8Bytes>, value: impl Into<FieldValue>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Offers a subprotocol, after those offered before (RFC 6455 §1.9). The server selects one or none, which
    /// [`WebSocket::subprotocol`](crate::WebSocket::subprotocol) returns.
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

    /// Sets the limits, deadlines and policy of the connection. The default is `Config::default()`.
    ///
    /// [`handshake_timeout`](Config::handshake_timeout) is one deadline for name resolution, TCP, TLS and the opening
    /// handshake together.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = Some(config.into());
        self
    }

    /// Sets whether small messages are sent at once (`TCP_NODELAY`). The default is true. This has no effect on a
    /// transport that the caller provides.
    pub const fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }

    /// Sets how a `wss://` connection checks the server's certificate and identifies the client. ALPN is always
    /// `http/1.1`.
    ///
    /// By default, the cryptography is that of the process (`CryptoProvider::install_default`), or if none was
    /// installed, that of the feature `ring`, or else of `aws-lc`. The roots of the platform are trusted (feature
    /// `platform`), or if there are none, those of Mozilla (feature `webpki`).
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Trusts the root certificates in `pem`, instead of those of the features. Call it again to trust more.
    #[cfg(feature = "tls")]
    pub fn root_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.tls_options().roots.push(pem.into());
        self
    }

    /// Sends a certificate if the server asks for one. `chain` has the certificate and those that lead to a root, in this
    /// order, and `key` has the private key. Both are PEM; one file may contain both.
    #[cfg(feature = "tls")]
    pub fn client_pem(mut self, chain: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.tls_options().identity = Some((chain.into(), key.into()));
        self
    }

    /// Accepts any certificate of the server, even one that has expired or is for another host.
    ///
    /// **Anyone on the network can then read and change the connection.** Use it for tests; to trust a private authority,
    /// use [`root_pem`](Self::root_pem).
    #[cfg(feature = "tls")]
    pub fn danger_accept_invalid_certs(mut self, accepts: bool) -> Self {
        self.tls_options().accepts_invalid = accepts;
        self
    }

    /// Refuses servers that have only older versions of TLS. The default is 1.2.
    #[cfg(feature = "tls")]
    pub fn min_tls_version(mut self, version: TlsVersion) -> Self {
        self.tls_options().minimum = Some(version);
        self
    }

    /// Sends this name to the server (SNI) and requires a certificate for it, instead of one for the URL's host.
    #[cfg(feature = "tls")]
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    #[cfg(feature = "tls")]
    fn tls_options(&mut self) -> &mut TlsOptions {
        let options = self.tls_options.get_or_insert_default();
        // What was made before was made of other options.
        options.made = Arc::default();
        options
    }

    /// Follows at most this many redirects (301, 302, 303, 307, 308; RFC 9110 §15.4). The default is none, and a redirect is
    /// then the error [`HandshakeError::Refused`](proto::handshake::HandshakeError::Refused).
    ///
    /// Redirects to `http://` and `https://` count as redirects to `ws://` and `wss://`. One from `wss://` to `ws://` is
    /// not followed. A redirect that is not followed is returned as the error of its response.
    ///
    /// If a redirect leads to another host, port or scheme, the header fields, `Origin`, credentials,
    /// [`addresses`](Self::addresses), [`unix`](Self::unix) and, with the feature `tls`, `client_pem` and `server_name` are not
    /// used there. The
    /// subprotocols, the proxy and a configuration given to `tls` are.
    ///
    /// `handshake_timeout` is the deadline of all requests together. `connect_over` follows none, because its transport
    /// leads to one server.
    pub const fn redirects(mut self, most: usize) -> Self {
        self.redirects = most;
        self
    }

    /// Sends the cookies that `store` has for the URL, and gives it those that a response sets: the response of an open
    /// connection, a refusal, or a redirect that is followed.
    ///
    /// A field `Cookie` that was added by [`header`](Self::header) is sent instead of the cookies of the store. Cookies of
    /// a proxy are ignored.
    pub fn cookies(mut self, store: Arc<dyn CookieStore>) -> Self {
        self.cookies = Some(store);
        self
    }

    /// Connects through a proxy. With `connect_over`, the transport leads to the proxy.
    ///
    /// A proxy sees the host and the port of the server. What is sent to the server is encrypted only with `wss://`.
    pub fn proxy(mut self, proxy: impl Into<Proxy>) -> Self {
        self.proxy = Some(proxy.into());
        self
    }

    /// Tries these addresses instead of those of the URL's host, which is still the host of the request and of the
    /// certificate.
    pub fn addresses(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.addresses = Some(addresses.into_iter().collect());
        self
    }

    /// Resolves names with `resolve` instead of the operating system: the name of the server, or that of the proxy. It gets the
    /// name and the port, and returns the addresses to try, usually all with that port. It is not called for a host that is
    /// an address, nor for the server if there are [`addresses`](Self::addresses).
    ///
    /// The future runs on the task or thread that connects, so it must not block. It is dropped at the deadline.
    pub fn resolver<F>(mut self, resolve: impl Fn(String, u16) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        self.resolver = Some(Arc::new(move |name, port| Box::pin(resolve(name, port))));
        self
    }

    /// Connects to the Unix socket at `path`, instead of the host and port of the URL, which are still those of the request
    /// and of the certificate. A proxy is not used. In the blocking binding, a thread may wait for a server that does not accept
    /// connections for longer than the deadline.
    ///
    /// This replaces an earlier [`connector`](Self::connector).
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.way = Way::Unix(path.into());
        self
    }

    /// Reaches the server, or its proxy, in the way of `connector`, instead of resolving its name and connecting by TCP. TLS and
    /// the dialogue with a proxy run over what it returns.
    ///
    /// The function `connector` of a binding makes it, and it works only with that binding. It is for socket options, such as
    /// a local address or TCP keep-alive, and for transports of another kind. [`addresses`](Self::addresses),
    /// [`resolver`](Self::resolver) and [`nodelay`](Self::nodelay) do not apply to it.
    ///
    /// This replaces an earlier [`unix`](Self::unix).
    pub fn connector(mut self, connector: Connector) -> Self {
        self.way = Way::Connector(connector);
        self
    }

    /// Returns the configuration that was given, or the default.
    pub(crate) fn current_config(&self) -> Arc<Config> {
        self.config.clone().unwrap_or_default()
    }
}

impl From<&str> for Connect {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<&String> for Connect {
    fn from(url: &String) -> Self {
        Self::new(url)
    }
}

impl From<String> for Connect {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

impl From<Cow<'_, str>> for Connect {
    fn from(url: Cow<'_, str>) -> Self {
        Self::new(url)
    }
}

/// Leaves out credentials.
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
