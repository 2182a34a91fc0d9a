use std::{
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Poll, ready},
    time::Duration,
};

use proto::Instant;

use super::{
    connector::Way,
    destination::Destination,
    error::ConnectError,
    race::{LANES, Race, Step, interleave},
};
use crate::{
    runtime::{Network, Reaching},
    transport::Timer,
};

/// Resolves the name of the server, or of its proxy, and lets its addresses [race](Race) until there is a connection.
///
/// The caller drops this at `deadline`.
///
/// # Errors
///
/// [`ConnectError::TimedOut`] if the deadline has passed before an address is tried. If every address fails, the error
/// of the one that failed last.
pub(super) async fn dial<N: Network>(
    network: &N,
    to: &Destination,
    deadline: Option<Instant>,
) -> Result<N::Stream, ConnectError> {
    let (host, port) = to.first_hop();
    let addresses = match &to.proxy {
        Some(_) => host.addresses(port),
        None => to.addresses(),
    };
    let mut addresses = match addresses {
        Some(addresses) => addresses,
        None => to.resolve(network, host, port).await?,
    };
    interleave(&mut addresses);
    let mut clock = network.clock();
    let now = clock.now();
    let mut race = Race::new(addresses.len(), now, remaining(deadline, now)?);
    let mut attempts = [const { None::<(SocketAddr, N::Connecting)> }; LANES];
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let tcp = poll_fn(|cx| {
        loop {
            for (lane, attempt) in attempts.iter_mut().enumerate() {
                let Some((addr, connecting)) = attempt else {
                    continue;
                };
                match Pin::new(connecting).poll(cx) {
                    Poll::Pending => {}
                    Poll::Ready(Ok(tcp)) => return Poll::Ready(Ok(tcp)),
                    Poll::Ready(Err(why)) => {
                        error = io::Error::new(why.kind(), Failed { addr: *addr, why });
                        *attempt = None;
                        race.handle_failure(lane, clock.now());
                    }
                }
            }
            let now = clock.now();
            match race.step(now) {
                Step::Begin { lane, address } => {
                    let addr = addresses[address];
                    let connecting = network.connect(addr, to.nodelay, remaining(deadline, now)?);
                    attempts[lane] = Some((addr, connecting));
                }
                Step::Cancel { lane } => attempts[lane] = None,
                Step::Wait(None) => return Poll::Pending,
                Step::Wait(Some(until)) => ready!(clock.poll_until(cx, until)),
                Step::Lost => {
                    let error = std::mem::replace(&mut error, io::ErrorKind::NotFound.into());
                    return Poll::Ready(Err(ConnectError::from(error)));
                }
            }
        }
    });
    Ok(network.stream(tcp.await?, &to.config))
}

/// Reaches the server, or its proxy, in another way than TCP. Returns `None` if TCP is the way. The caller drops the future
/// at `deadline`.
///
/// # Errors
///
/// [`ConnectError::Connector`]; [`ConnectError::TimedOut`] if the deadline has passed.
pub(super) fn other<N: Network>(
    network: &N,
    to: &Destination,
    deadline: Option<Instant>,
) -> Result<Option<Reaching<N::Other>>, ConnectError> {
    Ok(Some(match &to.way {
        Way::Tcp => return Ok(None),
        Way::Unix(path) => network.unix(path.clone()),
        Way::Connector(connector) => {
            let reach = connector.get().ok_or(ConnectError::Connector)?;
            let (host, port) = to.first_hop();
            let time = remaining(deadline, network.clock().now())?;
            reach(host.to_string(), port, time)
        }
    }))
}

/// An error together with the address that it is about.
#[derive(Debug)]
struct Failed {
    addr: SocketAddr,
    why: io::Error,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.addr, self.why)
    }
}

impl std::error::Error for Failed {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.why.source()
    }
}

/// Returns the time until the deadline, if there is one.
fn remaining(deadline: Option<Instant>, now: Instant) -> Result<Option<Duration>, ConnectError> {
    let Some(deadline) = deadline else {
        return Ok(None);
    };
    let remaining = deadline.since_epoch().saturating_sub(now.since_epoch());
    match remaining.is_zero() {
        true => Err(ConnectError::TimedOut),
        false => Ok(Some(remaining)),
    }
}
