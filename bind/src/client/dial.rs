use std::{fmt, io, net::SocketAddr, time::Duration};

use proto::Instant;

use super::{builder::Destination, error::ConnectError};
use crate::{
    runtime::Network,
    transport::{Timer, within},
};

/// Resolves the name, and tries the addresses one after the other until there is a connection.
///
/// Each address gets an equal share of the time that remains until `deadline`, so that one that does not answer
/// leaves time for the others. The last address gets all the remaining time.
///
/// # Errors
///
/// [`ConnectError::TimedOut`] at the deadline. Before the deadline, the error of the last address.
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
            Some(deadline) => Some(share(remaining(deadline, now)?, others)),
            None => None,
        };
        let until = time.and_then(|time| now.checked_add(time));
        let connecting = network.connect(*addr, to.nodelay, &to.config, time);
        match within(connecting, clock.clone(), until).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(why)) => error = io::Error::new(why.kind(), Failed { addr: *addr, why }),
            // The address did not answer in its share of the time.
            None => {}
        }
    }
    if let Some(deadline) = deadline {
        // If the deadline has passed, report that, and not that the last address did not answer.
        remaining(deadline, clock.now())?;
    }
    Err(error.into())
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

fn remaining(deadline: Instant, now: Instant) -> Result<Duration, ConnectError> {
    let remaining = deadline.since_epoch().saturating_sub(now.since_epoch());
    (!remaining.is_zero())
        .then_some(remaining)
        .ok_or(ConnectError::TimedOut)
}

/// Returns the share of the remaining time for an address, if `others` are still to be tried after it.
fn share(remaining: Duration, others: usize) -> Duration {
    remaining / u32::try_from(others).unwrap_or(u32::MAX).saturating_add(1)
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
