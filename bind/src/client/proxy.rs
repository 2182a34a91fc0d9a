//! The proxies that a client connects through.

use std::{fmt, sync::Arc};

use proto::{
    Utf8Bytes,
    handshake::{FieldValue, Headers},
};

use super::{
    credentials::{Authorization, userinfo},
    env::Environment,
    error::ConnectError,
    host::Host,
    proxy_error::ProxyError,
    url::Authority,
};

/// A proxy that a client connects through.
///
/// Nothing is checked before it is used.
#[derive(Clone)]
pub struct Proxy {
    source: Source,
    credentials: Option<(String, String)>,
    headers: Vec<(Utf8Bytes, FieldValue)>,
    #[cfg(feature = "tls")]
    tls: Option<Arc<rustls::ClientConfig>>,
}

#[derive(Clone)]
enum Source {
    Url(String),
    Environment(Environment),
    Function(Arc<Choose>),
}

type Choose = dyn Fn(&Host, u16) -> Option<Proxy> + Send + Sync;

impl Proxy {
    /// Uses the proxy that the environment names, as it is now:
    ///
    /// - The first of `socks_proxy`, `all_proxy`, `https_proxy` and `http_proxy` that is set, whatever the scheme of the URL
    ///   (RFC 6455 §4.1 prefers SOCKS), in lower case or else in capitals. Without a scheme it is an HTTP proxy. `HTTP_PROXY`
    ///   in capitals is ignored if `REQUEST_METHOD` is set, because a web server passes a field of the request to CGI
    ///   programs in it.
    /// - `no_proxy` lists servers that are reached directly, separated by commas or spaces: `*` for all, a domain with all
    ///   below it (`y.com`, `.y.com` and `*.y.com` are the same), an address, or a network such as `192.0.2.0/24`. A domain
    ///   or an address may have a port (`y.com:8080`, `[2001:db8::1]:8080`).
    /// - `localhost` and addresses of this machine are always reached directly.
    pub fn from_env() -> Self {
        Self::of(Source::Environment(Environment::read(|name| {
            std::env::var(name).ok()
        })))
    }

    /// Asks `choose` for the proxy of each server, by its host and port. `None` connects directly.
    pub fn with(choose: impl Fn(&Host, u16) -> Option<Self> + Send + Sync + 'static) -> Self {
        Self::of(Source::Function(Arc::new(choose)))
    }

    /// Uses the proxy at `url`. Its scheme says how:
    ///
    /// | scheme | the proxy |
    /// | --- | --- |
    /// | `http://` | HTTP CONNECT (RFC 9110 §9.3.6); port 80 if none is given |
    /// | `https://` | the same, with TLS to the proxy; port 443 |
    /// | `socks5://` | SOCKS 5 (RFC 1928), which gets an address of the server; port 1080 |
    /// | `socks5h://` | SOCKS 5, which gets the name of the server and resolves it; port 1080 |
    ///
    /// A user and a password may stand in the URL, before the host and with escapes.
    pub fn new(url: impl Into<String>) -> Self {
        Self::of(Source::Url(url.into()))
    }

    const fn of(source: Source) -> Self {
        Self {
            source,
            credentials: None,
            headers: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
        }
    }

    /// Uses this configuration for TLS to an `https://` proxy, instead of the default of `connect`. What `Connect` says of
    /// TLS is about the server.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ClientConfig>>) -> Self {
        self.tls = Some(config.into());
        self
    }

    /// Authenticates with a user and a password: `Basic` for HTTP (RFC 7617), RFC 1929 for SOCKS. They are sent to the
    /// proxy only.
    pub fn basic(mut self, user: impl Into<String>, password: impl Into<String>) -> Self {
        self.credentials = Some((user.into(), password.into()));
        self
    }

    /// Adds a header field to CONNECT. A proxy without HTTP gets none.
    pub fn header(mut self, name: impl Into<Utf8Bytes>, value: impl Into<FieldValue>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Returns the proxy for a server, or `None` if that is reached directly.
    pub(super) fn choose(self, host: &Host, port: u16) -> Result<Option<Hop>, ConnectError> {
        match &self.source {
            Source::Url(url) => {
                let url = url.clone();
                self.parse(&url).map(Some)
            }
            Source::Environment(environment) => {
                let url = environment.proxy(host, port).map(str::to_owned);
                url.map(|url| self.parse(&url)).transpose()
            }
            Source::Function(choose) => match choose(host, port) {
                Some(proxy) => proxy.choose(host, port),
                None => Ok(None),
            },
        }
    }

    fn parse(self, url: &str) -> Result<Hop, ConnectError> {
        let schemes = [
            ("http", 80),
            ("https", 443),
            ("socks5", 1080),
            ("socks5h", 1080),
        ];
        let parsed = Authority::parse(url, &schemes).map_err(|_| ProxyError::Url)?;
        let scheme = match parsed.scheme {
            0 => Scheme::Http,
            1 => Scheme::Https,
            2 => Scheme::Socks5,
            _ => Scheme::Socks5h,
        };
        #[cfg(not(feature = "tls"))]
        if scheme == Scheme::Https {
            return Err(ProxyError::Url.into());
        }
        let credentials = match self.credentials {
            Some((user, password)) => Some(Authorization::Basic {
                user: user.into(),
                password: password.into(),
            }),
            None => parsed.userinfo.as_deref().and_then(userinfo),
        };
        let mut headers = Headers::new();
        for (name, value) in self.headers {
            headers.push(name, value)?;
        }
        Ok(Hop {
            scheme,
            host: parsed.host,
            port: parsed.port,
            credentials,
            headers,
            #[cfg(feature = "tls")]
            tls: self.tls,
        })
    }
}

impl From<&str> for Proxy {
    fn from(url: &str) -> Self {
        Self::new(url)
    }
}

impl From<String> for Proxy {
    fn from(url: String) -> Self {
        Self::new(url)
    }
}

/// Leaves out the credentials, which the URL and the header fields may have.
impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy").finish_non_exhaustive()
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Scheme {
    Http,
    Https,
    Socks5,
    Socks5h,
}

/// A proxy whose description was checked.
#[derive(Clone)]
pub(super) struct Hop {
    pub(super) scheme: Scheme,
    pub(super) host: Host,
    pub(super) port: u16,
    pub(super) credentials: Option<Authorization>,
    pub(super) headers: Headers,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
}
