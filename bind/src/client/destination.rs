use std::{fmt, io, net::SocketAddr, path::Path, pin::Pin, sync::Arc};

use proto::{
    Config, Instant,
    handshake::{Request, Response},
};
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;

#[cfg(feature = "tls")]
use super::tls::Parsed;
use super::{connector::Way, cookies::Cookies, host::Host, proxy::Hop};
use crate::runtime::Network;

/// The checked content of a [`Connect`](super::Connect), for bindings.
#[derive(Clone)]
#[non_exhaustive]
pub struct Destination {
    /// The name or address of the server.
    pub host: Host,
    /// The port of the server.
    pub port: u16,
    /// Whether TLS is used.
    pub tls: bool,
    /// The request to send.
    pub request: Request,
    /// The limits, deadlines and policy of the connection.
    pub config: Arc<Config>,
    /// Whether to set `TCP_NODELAY`.
    pub nodelay: bool,
    /// The addresses to try, if the caller gave them.
    pub addresses: Option<Vec<SocketAddr>>,
    pub(super) resolver: Option<Arc<Resolver>>,
    pub(super) way: Way,
    pub(super) proxy: Option<Hop>,
    pub(super) cookies: Option<Cookies>,
    /// The configuration for TLS that the caller gave.
    #[cfg(feature = "tls")]
    pub tls_config: Option<Arc<rustls::ClientConfig>>,
    #[cfg(feature = "tls")]
    pub(super) tls_options: Option<Parsed>,
    #[cfg(feature = "tls")]
    pub(super) server_name: Option<ServerName<'static>>,
}

/// The function of [`Connect::resolver`](super::Connect::resolver).
pub(super) type Resolver = dyn Fn(String, u16) -> Resolving + Send + Sync;
type Resolving = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// Leaves out the request, which may have credentials.
impl fmt::Debug for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Destination")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("tls", &self.tls)
            .field("proxy", &self.proxy.is_some())
            .finish_non_exhaustive()
    }
}

impl Destination {
    /// Returns the addresses to try, or `None` if the name has to be resolved.
    pub fn addresses(&self) -> Option<Vec<SocketAddr>> {
        let given = self.addresses.clone();
        given.or_else(|| self.host.addresses(self.port))
    }

    /// Returns the path of the Unix socket to connect to, if it is one.
    pub fn unix_path(&self) -> Option<&Path> {
        match &self.way {
            Way::Unix(path) => Some(path),
            _ => None,
        }
    }

    /// Returns the host and the port that a connection is made to: those of the proxy, if there is one.
    pub(super) const fn first_hop(&self) -> (&Host, u16) {
        match &self.proxy {
            Some(proxy) => (&proxy.host, proxy.port),
            None => (&self.host, self.port),
        }
    }

    /// Returns the addresses of a name.
    pub(super) async fn resolve<N: Network>(
        &self,
        network: &N,
        name: &Host,
        port: u16,
    ) -> io::Result<Vec<SocketAddr>> {
        match &self.resolver {
            Some(resolve) => resolve(name.to_string(), port).await,
            None => network.resolve(name.to_string(), port).await,
        }
    }

    /// Gives the cookies that a response sets to the store of [`Connect::cookies`](super::Connect::cookies).
    pub fn store_cookies(&self, response: &Response) {
        if let Some(cookies) = &self.cookies {
            cookies.store(response);
        }
    }

    /// Returns the deadline for connecting, if that begins `now`.
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        let after = self.config.handshake_timeout;
        after.and_then(|after| now.checked_add(after))
    }
}
