use std::{fmt, io, net::SocketAddr, time::Duration};

use proto::Instant;

use super::{builder::Destination, error::ConnectError};
use crate::{
    runtime::Network,
    transport::{Timer, within},
};

/// Resolves the name, and tries the addresses one after the other until there is a connection.
///
/// An address that does not answer leaves time for the others: each one gets the time that is left until
/// `deadline`, divided by the number of addresses that are left, and so the last one gets all of it.
///
/// # Errors
///
/// [`ConnectError::TimedOut`] at the deadline, before that the error of the last address.
pub(super) async fn dial<N: Network>(
    network: &N,
    to: &Destination,
    deadline: Option<Instant>,
) -> Result<N::Stream, ConnectError> {
    let addrs = match to.addr() {
        Some(addr) => vec![addr],
        None => network.resolve(to.host.to_string(), to.port).await?,
    };
    let clock = network.clock();
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (addr, others) in addrs.iter().zip((0..addrs.len()).rev()) {
        let now = clock.now();
        let time = match deadline {
            Some(deadline) => Some(share(left(deadline, now)?, others)),
            None => None,
        };
        let until = time.and_then(|time| now.checked_add(time));
        let connecting = network.connect(*addr, to.nodelay, &to.config, time);
        match within(connecting, clock.clone(), until).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(why)) => error = io::Error::new(why.kind(), Failed { addr: *addr, why }),
            // Another address follows, or the time is over.
            None => {}
        }
    }
    if let Some(deadline) = deadline {
        // Rather that the time is over than that the last address did not answer in it.
        left(deadline, clock.now())?;
    }
    Err(error.into())
}

/// An error that says which address it was.
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

fn left(deadline: Instant, now: Instant) -> Result<Duration, ConnectError> {
    let left = deadline.since_epoch().saturating_sub(now.since_epoch());
    (!left.is_zero())
        .then_some(left)
        .ok_or(ConnectError::TimedOut)
}

/// The part of the time that is left for an address, if `others` are still to be tried after it.
fn share(left: Duration, others: usize) -> Duration {
    left / u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_gets_an_equal_share_of_what_is_left() {
        let ms = Duration::from_millis;
        assert_eq!(share(ms(10_000), 1), ms(5_000));
        assert_eq!(share(ms(5_000), 0), ms(5_000));
        assert_eq!(share(ms(9_000), 2), ms(3_000));
        assert_eq!(share(ms(1), usize::MAX), Duration::ZERO);
    }
}
