//! The client: from a URL to an open connection.
//!
//! A task reserves memory for the largest of its futures as long as it lives. Connecting needs more than the socket
//! that it returns, so its futures are boxed.

#[cfg(feature = "tls")]
use std::future::poll_fn;

use proto::{
    Config, Instant,
    handshake::{Client, HandshakeError, Response},
};

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
mod credentials;
mod dial;
mod error;
mod host;
#[cfg(feature = "http")]
mod http;
mod race;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tls")]
mod trust;
mod url;

pub use builder::{Connect, Destination};
#[cfg(feature = "tls")]
pub use error::TlsOptionError;
pub use error::{ConnectError, UrlError};
pub use host::Host;
#[cfg(feature = "tls")]
pub use tls::TlsVersion;
#[cfg(feature = "tls")]
use trust::{client_config, server_name};

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
    open(network, to, true, async |to: &Destination, deadline| {
        dial::dial(network, to, deadline).await
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
    let over = async |to: &Destination, _| Ok(stream(&to.config));
    open(network, to, false, over).await
}

/// A socket, and the server's response.
type Connected<S> = (WebSocket<OptionalTls<S>>, Response);

/// Connects. If there is no deadline, the network has to be able to wait only if this `dials`.
async fn open<N: Network, S: Transport>(
    network: &N,
    to: impl Into<Connect>,
    dials: bool,
    reach: impl AsyncFnOnce(&Destination, Option<Instant>) -> Result<S, ConnectError>,
) -> Result<Connected<S>, ConnectError> {
    let to = to.into();
    Box::pin(async move {
        let to = to.prepare()?;
        let opened = open_to(network, &to, dials, reach).await;
        opened.inspect_err(|error| trace::not_connected(&to.host, to.port, error))
    })
    .await
}

async fn open_to<N: Network, S: Transport>(
    network: &N,
    to: &Destination,
    dials: bool,
    reach: impl AsyncFnOnce(&Destination, Option<Instant>) -> Result<S, ConnectError>,
) -> Result<Connected<S>, ConnectError> {
    let clock = network.clock();
    let started = clock.now();
    let mut client = Client::new(to.request.clone(), to.config.clone())?;
    client.exchange().handle_timeout(started);
    let deadline = to.deadline(started);
    if dials || deadline.is_some() {
        network.ready()?;
    }
    let stream = within(secure(to, reach(to, deadline)), clock, deadline);
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

/// Reaches the server with `reach`, and begins TLS if the URL asks for it. The TLS configuration is made ready
/// before.
async fn secure<S: Transport>(
    to: &Destination,
    reach: impl Future<Output = Result<S, ConnectError>>,
) -> Result<OptionalTls<S>, ConnectError> {
    if !to.tls {
        return Ok(OptionalTls::unencrypted(reach.await?));
    }
    #[cfg(feature = "tls")]
    {
        let name = to
            .server_name
            .clone()
            .map_or_else(|| server_name(&to.host), Ok)?;
        let config = client_config(to).await?;
        let mut stream = TlsStream::client(reach.await?, config, name)?;
        poll_fn(|cx| stream.poll_handshake(cx)).await?;
        Ok(OptionalTls::tls(stream))
    }
    #[cfg(not(feature = "tls"))]
    Err(UrlError::NoTls.into())
}
