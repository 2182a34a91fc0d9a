use std::{io, net::SocketAddr, time::Duration};

use proto::Instant;

use crate::{ConnectError, Timer, handshake::within};

/// Tries the addresses of a server one after the other until `connect` succeeds with one. For bindings.
///
/// An address that does not answer leaves time for the others: each one gets the time that is left until
/// `deadline`, divided by the number of addresses that are left, and so the last one gets all of it.
/// `connect` is told how long it may take, or `None` without a deadline. It is dropped after that time; a
/// `connect` that blocks has to keep the time itself.
///
/// # Errors
///
/// [`ConnectError::TimedOut`] at the deadline, before that the error of the last address.
pub async fn dial<S, T: Timer, F>(
    addrs: Vec<SocketAddr>,
    timer: T,
    deadline: Option<Instant>,
    mut connect: impl FnMut(SocketAddr, Option<Duration>) -> F,
) -> Result<S, ConnectError>
where
    F: Future<Output = io::Result<S>>,
{
    let mut error = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (addr, others) in addrs.iter().zip((0..addrs.len()).rev()) {
        let now = timer.now();
        let time = match deadline {
            Some(deadline) => Some(share(left(deadline, now)?, others)),
            None => None,
        };
        let until = time.and_then(|time| now.checked_add(time));
        match within(connect(*addr, time), timer.clone(), until).await {
            Some(Ok(stream)) => return Ok(stream),
            Some(Err(why)) => error = why,
            // Another address follows, or the time is over.
            None => {}
        }
    }
    if let Some(deadline) = deadline {
        // Rather that the time is over than that the last address did not answer in it.
        left(deadline, timer.now())?;
    }
    Err(error.into())
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
