//! The dialogues that open a tunnel through a proxy.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use bytes::Bytes;
use proto::{
    Instant,
    handshake::Exchange,
    tunnel::{HttpTunnel, Socks5, Target},
};

use super::{
    credentials::Authorization,
    destination::Destination,
    error::ConnectError,
    host::Host,
    proxy::{Hop, Scheme},
    proxy_error::ProxyError,
    stream::Tunnel,
};
use crate::{handshake::Link, runtime::Network, tls::OptionalTls, transport::Transport};

/// Opens a tunnel to the server over a transport that leads to the proxy.
pub(super) async fn open<N: Network, S: Transport>(
    hop: &Hop,
    network: &N,
    io: OptionalTls<S>,
    to: &Destination,
    now: Instant,
) -> Result<Tunnel<S>, ConnectError> {
    let config = to.config.clone();
    let (io, received) = match hop.scheme {
        Scheme::Http | Scheme::Https => {
            let mut headers = hop.headers.clone();
            if let Some(credentials) = hop.credentials.clone() {
                headers.push("Proxy-Authorization", credentials.encode()?)?;
            }
            let authority = format!("{}:{}", to.host, to.port);
            let tunnel = HttpTunnel::new(&authority, &headers, config)?;
            dialogue(io, tunnel, HttpTunnel::exchange, HttpTunnel::poll, now).await?
        }
        Scheme::Socks5 | Scheme::Socks5h => {
            let target = match (hop.scheme, &to.host) {
                (Scheme::Socks5h, Host::Name(name)) => Target::Name(name),
                _ => Target::Addr(match to.addresses() {
                    Some(addresses) => first(&addresses)?,
                    None => first(&to.resolve(network, &to.host, to.port).await?)?,
                }),
            };
            let pair = match &hop.credentials {
                Some(Authorization::Basic { user, password }) => {
                    let text = |bytes: &Vec<u8>| String::from_utf8(bytes.clone());
                    let pair = text(user).and_then(|user| Ok((user, text(password)?)));
                    Some(pair.map_err(|_| ProxyError::Url)?)
                }
                _ => None,
            };
            let pair = pair
                .as_ref()
                .map(|(user, password)| (&user[..], &password[..]));
            let tunnel = Socks5::new(target, to.port, pair, config);
            let tunnel = tunnel.map_err(ProxyError::Socks)?;
            dialogue(io, tunnel, Socks5::exchange, Socks5::poll, now).await?
        }
    };
    Ok(Tunnel::new(io, received))
}

fn first(addresses: &[SocketAddr]) -> io::Result<IpAddr> {
    let first = addresses.first();
    first
        .map(SocketAddr::ip)
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the name has no address"))
}

/// Drives a dialogue with a proxy to its end.
async fn dialogue<S: Transport, M, E: Into<ProxyError>>(
    io: S,
    mut machine: M,
    exchange: fn(&mut M) -> &mut Exchange,
    poll: fn(&mut M) -> Result<Option<Bytes>, E>,
    now: Instant,
) -> Result<(S, Bytes), ProxyError> {
    exchange(&mut machine).handle_timeout(now);
    let mut link = Link::new(io);
    loop {
        match poll(&mut machine) {
            Ok(Some(received)) => return Ok((link.into_io(), received)),
            Ok(None) => link.serve(exchange(&mut machine)).await,
            Err(error) => {
                link.shut_down().await;
                return Err(error.into());
            }
        }
    }
}
