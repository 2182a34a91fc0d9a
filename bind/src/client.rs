//! The client: from a URL to an open connection.
//!
//! A task reserves memory for the largest of its futures as long as it lives. Connecting needs more than the socket
//! that it returns, so its futures are boxed.

#[cfg(feature = "tls")]
use std::{future::poll_fn, sync::Arc};

use proto::{
    Config, Instant,
    handshake::{Client, HandshakeError, Response},
};

#[cfg(feature = "tls")]
use rustls::{ClientConfig, pki_types::ServerName};

#[cfg(feature = "tls")]
use crate::tls::TlsStream;
use crate::{
    handshake::Link,
    runtime::Network,
    socket::WebSocket,
    tls::OptionalTls,
    trace,
    transport::{Timer, Transport, within},
};

mod builder;
mod connector;
mod cookies;
mod credentials;
mod destination;
mod dial;
mod env;
mod error;
mod host;
#[cfg(feature = "http")]
mod http;
mod prepare;
mod proxy;
mod proxy_error;
mod race;
mod redirect;
mod stream;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod trust;
mod tunnel;
mod url;

pub use builder::Connect;
pub use connector::Connector;
pub use cookies::CookieStore;
pub use destination::Destination;
pub(crate) use env::Environment;
#[cfg(feature = "tls")]
pub use error::TlsOptionError;
pub use error::{ConnectError, UrlError};
pub use host::Host;
pub use proxy::Proxy;
use proxy::{Hop, Scheme};
pub use proxy_error::ProxyError;
use redirect::location;
pub use stream::ClientStream;
#[cfg(feature = "tls")]
pub use tls::TlsVersion;
#[cfg(feature = "tls")]
use trust::{client_config, default_config, server_name, with_alpn};

/// Connects as `to` specifies. One deadline bounds name resolution, TCP, TLS and the opening handshake together.
///
/// All state is in the future: if the future is dropped, or fails, the connection is dropped.
///
/// # Errors
///
/// See [`ConnectError`]. Errors of the caller are returned before anything else is done.
pub async fn connect<N: Network>(
    network: &N,
    to: impl Into<Connect>,
) -> Result<Connected<N::Stream>, ConnectError> {
    let mut to = to.into();
    Box::pin(async move {
        let started = network.clock().now();
        let mut remaining = to.redirects;
        loop {
            // It is needed once more only for a redirect.
            let again = (remaining > 0).then(|| to.clone());
            let destination = to.prepare()?;
            let reach = async |to: &Destination, deadline| match dial::other(network, to, deadline)?
            {
                Some(other) => {
                    let other = async { Ok(network.other(other.await?, &to.config)) };
                    let stream = layers(network, to, other, started).await?;
                    Ok(ClientStream::other(stream))
                }
                None => layers(network, to, dial::dial(network, to, deadline), started).await,
            };
            let error = match open(network, &destination, true, reach, started).await {
                Err(error) => error,
                opened => return opened,
            };
            let next = again.zip(location(&error));
            match next.and_then(|(again, location)| again.redirected(&destination, location)) {
                Some(next) => to = next,
                None => return Err(error),
            }
            remaining -= 1;
        }
    })
    .await
}

/// Connects over a transport that the caller provides, which is made for the configuration of `to`. Only TLS, if the
/// URL is `wss://…`, and the opening handshake are done here.
///
/// All state is in the future: if the future is dropped, or fails, the transport is dropped.
///
/// # Errors
///
/// As [`connect`].
pub async fn connect_over<N: Network, S: Transport<Clock = N::Clock>>(
    network: &N,
    stream: impl FnOnce(&Config) -> S,
    to: impl Into<Connect>,
) -> Result<Connected<S>, ConnectError> {
    let to = to.into();
    Box::pin(async move {
        let started = network.clock().now();
        let over = async |to: &Destination, _| {
            let stream = async { Ok(stream(&to.config)) };
            layers(network, to, stream, started).await
        };
        open(network, &to.prepare()?, false, over, started).await
    })
    .await
}

/// A socket, and the server's response.
type Connected<S> = (WebSocket<ClientStream<S>>, Response);

/// Connects. If there is no deadline, the network has to be able to wait only if this `dials`. The deadline counts from
/// `started`.
async fn open<N: Network, S: Transport>(
    network: &N,
    to: &Destination,
    dials: bool,
    reach: impl AsyncFnOnce(&Destination, Option<Instant>) -> Result<ClientStream<S>, ConnectError>,
    started: Instant,
) -> Result<Connected<S>, ConnectError> {
    let opened = attempt(network, to, dials, reach, started).await;
    let response = match &opened {
        Ok((_, response)) => Some(response),
        Err(error) => error.response(),
    };
    if let Some(response) = response {
        to.store_cookies(response);
    }
    opened.inspect_err(|error| trace::not_connected(&to.host, to.port, error))
}

async fn attempt<N: Network, S: Transport>(
    network: &N,
    to: &Destination,
    dials: bool,
    reach: impl AsyncFnOnce(&Destination, Option<Instant>) -> Result<ClientStream<S>, ConnectError>,
    started: Instant,
) -> Result<Connected<S>, ConnectError> {
    let clock = network.clock();
    let mut client = Client::new(to.request.clone(), to.config.clone())?;
    client.exchange().handle_timeout(started);
    let deadline = to.deadline(started);
    if dials || deadline.is_some() {
        network.ready()?;
    }
    let stream = within(reach(to, deadline), clock, deadline);
    let mut link = Link::new(stream.await.unwrap_or(Err(ConnectError::TimedOut))?);
    loop {
        match client.poll() {
            Ok(Some((response, connection))) => {
                return Ok((link.into_socket(connection), response));
            }
            Ok(None) => link.serve(client.exchange()).await,
            Err(error) => {
                link.shut_down().await;
                if error == HandshakeError::TimedOut {
                    return Err(ConnectError::TimedOut);
                }
                // In TLS 1.3, a server reports only now that it does not trust our certificate.
                #[cfg(feature = "tls")]
                if let Some(error @ ConnectError::Tls(_)) =
                    link.into_error().map(ConnectError::from)
                {
                    return Err(error);
                }
                return Err(error.into());
            }
        }
    }
}

/// Reaches the server, or the proxy, with `reach`, and puts a tunnel and TLS over that. The TLS configuration is made ready
/// before.
async fn layers<N: Network, S: Transport>(
    network: &N,
    to: &Destination,
    reach: impl Future<Output = Result<S, ConnectError>>,
    started: Instant,
) -> Result<ClientStream<S>, ConnectError> {
    let tls = Tls::of_server(to).await?;
    let Some(proxy) = &to.proxy else {
        let stream = reach.await?;
        return Ok(ClientStream::direct(tls.over(stream).await?));
    };
    let tls_of_proxy = Tls::of_proxy(proxy).await?;
    let io = tls_of_proxy.over(reach.await?).await?;
    let tunnel = tunnel::open(proxy, network, io, to, started).await?;
    Ok(ClientStream::tunnel(tls.over(tunnel).await?))
}

/// The name and the configuration for TLS, if it is used.
struct Tls {
    #[cfg(feature = "tls")]
    with: Option<(ServerName<'static>, Arc<ClientConfig>)>,
}

impl Tls {
    async fn of_server(to: &Destination) -> Result<Self, ConnectError> {
        #[cfg(feature = "tls")]
        {
            let with = match (to.tls, &to.server_name) {
                (false, _) => None,
                (true, Some(name)) => Some((name.clone(), client_config(to).await?)),
                (true, None) => Some((server_name(&to.host)?, client_config(to).await?)),
            };
            Ok(Self { with })
        }
        #[cfg(not(feature = "tls"))]
        match to.tls {
            false => Ok(Self {}),
            true => Err(UrlError::NoTls.into()),
        }
    }

    async fn of_proxy(proxy: &Hop) -> Result<Self, ConnectError> {
        #[cfg(feature = "tls")]
        {
            let with = match proxy.scheme {
                Scheme::Https => {
                    let config = match proxy.tls.clone() {
                        Some(config) => with_alpn(config),
                        None => default_config().await?,
                    };
                    Some((server_name(&proxy.host)?, config))
                }
                _ => None,
            };
            Ok(Self { with })
        }
        #[cfg(not(feature = "tls"))]
        match proxy.scheme {
            Scheme::Https => Err(ProxyError::Url.into()),
            _ => Ok(Self {}),
        }
    }

    /// Runs the TLS handshake over `stream`, if TLS is used.
    async fn over<S: Transport>(self, stream: S) -> Result<OptionalTls<S>, ConnectError> {
        #[cfg(feature = "tls")]
        if let Some((name, config)) = self.with {
            let mut stream = TlsStream::client(stream, config, name)?;
            poll_fn(|cx| stream.poll_handshake(cx)).await?;
            return Ok(OptionalTls::tls(stream));
        }
        Ok(OptionalTls::unencrypted(stream))
    }
}
