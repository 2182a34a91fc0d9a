//! The order and the times in which the addresses of a server are tried (RFC 8305, Happy Eyeballs).

use std::{net::SocketAddr, time::Duration};

use proto::Instant;

/// The most attempts at a time.
pub(super) const LANES: usize = 4;
/// The time after which the next address is tried beside those that have not answered (RFC 8305 §5: "Connection Attempt
/// Delay").
const DELAY: Duration = Duration::from_millis(250);

/// Decides which address is tried, and when. It does no I/O and reads no clock.
///
/// The next address is tried as soon as an attempt fails, and otherwise after [`DELAY`]. If all lanes are taken, the oldest
/// attempt gives way once it has had its share of the time, so that every address gets its turn before the deadline.
#[derive(Debug)]
pub(super) struct Race {
    /// The number of addresses.
    count: usize,
    /// The address to be tried next.
    next: usize,
    /// When each attempt began.
    lanes: [Option<Instant>; LANES],
    /// When the next address is tried, unless an attempt fails before.
    due: Instant,
    delay: Duration,
    /// The time after which an attempt gives way; `None` without a deadline.
    share: Option<Duration>,
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Try this address in this lane.
    Begin { lane: usize, address: usize },
    /// Drop the attempt in this lane, which has had its share of the time.
    Cancel { lane: usize },
    /// Wait for the attempts, and until this time if there is one.
    Wait(Option<Instant>),
    /// Every address has failed.
    Lost,
}

impl Race {
    /// Starts a race of `count` addresses. `time` is what remains until the deadline.
    pub(super) fn new(count: usize, now: Instant, time: Option<Duration>) -> Self {
        let parts = |parts: usize| u32::try_from(parts.max(1)).unwrap_or(u32::MAX);
        let rounds = parts(count.div_ceil(LANES));
        Self {
            count,
            next: 0,
            lanes: [None; LANES],
            due: now,
            delay: time.map_or(DELAY, |time| DELAY.min(time / parts(count))),
            share: time.map(|time| time / rounds),
        }
    }

    /// Returns what to do at `now`. Call it again after everything that it returns except `Wait`, after an attempt has
    /// failed, and at the time that `Wait` has.
    pub(super) fn step(&mut self, now: Instant) -> Step {
        if self.next == self.count {
            return match self.lanes {
                [None, None, None, None] => Step::Lost,
                _ => Step::Wait(None),
            };
        }
        if now < self.due {
            return Step::Wait(Some(self.due));
        }
        if let Some(lane) = self.lanes.iter().position(Option::is_none) {
            let address = self.next;
            self.next += 1;
            self.lanes[lane] = Some(now);
            self.due = now.checked_add(self.delay).unwrap_or(now);
            return Step::Begin { lane, address };
        }
        let oldest = (0..LANES).min_by_key(|lane| self.lanes[*lane]).unwrap_or(0);
        let ends = self.lanes[oldest].zip(self.share);
        match ends.and_then(|(began, share)| began.checked_add(share)) {
            Some(ends) if ends <= now => {
                self.lanes[oldest] = None;
                Step::Cancel { lane: oldest }
            }
            ends => Step::Wait(ends),
        }
    }

    /// Handles that the attempt in this lane has failed: the next address is tried at once.
    pub(super) fn handle_failure(&mut self, lane: usize, now: Instant) {
        self.lanes[lane] = None;
        self.due = self.due.min(now);
    }
}

/// Puts the addresses of both families alternately, beginning with the family of the first (RFC 8305 §4), and otherwise
/// keeps their order.
pub(super) fn interleave(addresses: &mut [SocketAddr]) {
    let Some(first) = addresses.first().map(SocketAddr::is_ipv4) else {
        return;
    };
    for at in 1..addresses.len() {
        let is_ipv4 = first == at.is_multiple_of(2);
        let found = addresses[at..]
            .iter()
            .position(|it| it.is_ipv4() == is_ipv4);
        let Some(found) = found else { return };
        addresses[at..=at + found].rotate_right(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_epoch(Duration::from_millis(millis))
    }

    #[test]
    fn families_alternate_and_keep_their_order() {
        let addresses = |text: &str| -> Vec<SocketAddr> {
            let address = |it| match it {
                '6' => "[::6]:1".to_owned(),
                it => format!("{it}.0.0.4:1"),
            };
            text.chars()
                .map(|it| address(it).parse().unwrap())
                .collect()
        };
        for (given, expected) in [
            ("", ""),
            ("1", "1"),
            ("123", "123"),
            ("666123", "616263"),
            ("12366", "16263"),
            ("16", "16"),
            ("6612", "6162"),
            ("126", "162"),
        ] {
            let mut addresses_given = addresses(given);
            interleave(&mut addresses_given);
            assert_eq!(addresses_given, addresses(expected), "{given}");
        }
    }

    #[test]
    fn the_next_address_is_tried_after_250_ms_or_at_once_after_a_failure() {
        let mut race = Race::new(3, at(0), Some(Duration::from_secs(10)));
        assert_eq!(
            race.step(at(0)),
            Step::Begin {
                lane: 0,
                address: 0
            }
        );
        assert_eq!(race.step(at(0)), Step::Wait(Some(at(250))));
        assert_eq!(race.step(at(249)), Step::Wait(Some(at(250))));
        assert_eq!(
            race.step(at(250)),
            Step::Begin {
                lane: 1,
                address: 1
            }
        );
        race.handle_failure(0, at(300));
        assert_eq!(
            race.step(at(300)),
            Step::Begin {
                lane: 0,
                address: 2
            }
        );
        assert_eq!(race.step(at(300)), Step::Wait(None));
        race.handle_failure(0, at(400));
        race.handle_failure(1, at(500));
        assert_eq!(race.step(at(500)), Step::Lost);
    }

    #[test]
    fn without_addresses_it_is_lost() {
        assert_eq!(Race::new(0, at(0), None).step(at(0)), Step::Lost);
    }

    /// With a deadline, each of any number of addresses begins before it, and no more than four run at a time.
    #[test]
    fn every_address_has_its_turn_before_the_deadline() {
        for count in 1..40 {
            for seconds in [1, 10, 3600] {
                let time = Duration::from_secs(seconds);
                let mut race = Race::new(count, at(0), Some(time));
                let (mut now, mut running, mut begun) = (at(0), 0, 0);
                loop {
                    match race.step(now) {
                        Step::Begin { address, .. } => {
                            assert_eq!(address, begun);
                            (running, begun) = (running + 1, begun + 1);
                        }
                        Step::Cancel { .. } => running -= 1,
                        Step::Wait(Some(until)) => {
                            assert!(until > now, "it would be asked for ever");
                            now = until;
                        }
                        Step::Wait(None) => break,
                        Step::Lost => unreachable!("nothing fails"),
                    }
                    assert!(running <= LANES);
                }
                assert_eq!(begun, count);
                assert!(
                    now.since_epoch() < time,
                    "{count} addresses, {seconds} s: {now:?}"
                );
            }
        }
    }

    #[test]
    fn without_a_deadline_an_attempt_is_not_cancelled() {
        let mut race = Race::new(5, at(0), None);
        for address in 0..4 {
            let now = at(250 * address as u64);
            assert_eq!(
                race.step(now),
                Step::Begin {
                    lane: address,
                    address
                }
            );
        }
        assert_eq!(race.step(at(1_000_000)), Step::Wait(None));
        race.handle_failure(2, at(1_000_000));
        let begin = Step::Begin {
            lane: 2,
            address: 4,
        };
        assert_eq!(race.step(at(1_000_000)), begin);
    }
}
