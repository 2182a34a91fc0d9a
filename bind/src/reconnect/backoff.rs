use std::time::Duration;

use proto::Instant;

/// The delays between the attempts to connect, and when to give up.
///
/// Start with `Backoff::default()` and change what matters. The first delay is [`base`](field@Self::base), each further
/// one is [`factor`](field@Self::factor) times as long, and none is longer than [`cap`](field@Self::cap).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Backoff {
    /// The first delay. Default: 1 s.
    pub base: Duration,
    /// The number by which each delay is multiplied to get the next. Default: 2.
    pub factor: u32,
    /// The longest delay. Default: 30 s.
    pub cap: Duration,
    /// Whether each delay is a random part of what it would be, between nothing and all of it. Without this, all clients
    /// of a server that restarts come back at the same moments. Default: `true`.
    pub jitter: bool,
    /// The attempts in a row that may fail. A connection that was lost before [`reset_after`](field@Self::reset_after)
    /// counts as a failed attempt. If it is `None`, there is no limit. Default: `None`.
    pub attempts: Option<u32>,
    /// The time from the first failure in a row after which no attempt begins. If it is `None`, there is no limit.
    /// Default: `None`.
    pub total: Option<Duration>,
    /// The time after which an open connection ends the row of failures. Default: 10 s.
    pub reset_after: Duration,
    /// The longest time to wait because a server asks for it with `Retry-After` (RFC 9110 §10.2.3). Default: 5 min.
    pub max_retry_after: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            base: Duration::from_secs(1),
            factor: 2,
            cap: Duration::from_secs(30),
            jitter: true,
            attempts: None,
            total: None,
            reset_after: Duration::from_secs(10),
            max_retry_after: Duration::from_secs(300),
        }
    }
}

/// Makes methods that set the field of their name and return the policy, so that calls can be chained.
macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, value: $type) -> Self {
            self.$field = value.into();
            self
        }
    )*};
}

impl Backoff {
    setters! {
        base: Duration,
        factor: u32,
        cap: Duration,
        jitter: bool,
        attempts: impl Into<Option<u32>>,
        total: impl Into<Option<Duration>>,
        reset_after: Duration,
        max_retry_after: Duration,
    }

    /// Returns a delay of which `earlier` delays came before it in the row. `random` decides which part of it is taken.
    pub(super) fn delay(&self, earlier: u32, random: u64) -> Duration {
        let factor = self.factor.saturating_pow(earlier);
        self.part(self.base.saturating_mul(factor).min(self.cap), random)
    }

    fn part(&self, delay: Duration, random: u64) -> Duration {
        if !self.jitter {
            return delay;
        }
        // A delay that needs more than 64 bits is longer than 500 years.
        let nanos = u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX);
        let part = (u128::from(nanos) * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(part).unwrap_or(nanos))
    }
}

/// A row of failures.
#[derive(Debug, Default)]
pub(super) struct Row {
    /// The attempts that failed.
    failures: u32,
    /// The delays that were taken.
    delays: u32,
    /// The time of the first failure.
    began: Option<Instant>,
    /// The time since which a connection is open.
    opened: Option<Instant>,
}

/// The reason why there is no further attempt.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Exhausted {
    Attempts,
    Total,
}

impl Row {
    pub(super) const fn failures(&self) -> u32 {
        self.failures
    }

    /// Records that a connection is open.
    pub(super) const fn handle_open(&mut self, now: Instant) {
        self.opened = Some(now);
    }

    /// Records that an attempt has failed, or that the connection was lost. Returns the delay before the next attempt.
    pub(super) fn handle_failure(
        &mut self,
        policy: &Backoff,
        now: Instant,
        random: u64,
        retry_after: Option<Duration>,
    ) -> Result<Duration, Exhausted> {
        let opened = self.opened.take();
        if opened.is_some_and(|since| now.saturating_duration_since(since) >= policy.reset_after) {
            *self = Self::default();
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        let began = *self.began.get_or_insert(now);
        if policy.attempts.is_some_and(|most| self.failures >= most) {
            return Err(Exhausted::Attempts);
        }
        // The server is not asked before the time that it named, and the clients that it told so are still spread.
        let wait = match retry_after.map(|wait| wait.min(policy.max_retry_after)) {
            Some(wait) if policy.jitter => wait.saturating_add(policy.delay(self.delays, random)),
            Some(wait) => wait,
            None => policy.delay(self.delays, random),
        };
        self.delays = self.delays.saturating_add(1);
        let waited = now.saturating_duration_since(began).saturating_add(wait);
        match policy.total {
            Some(total) if waited > total => Err(Exhausted::Total),
            _ => Ok(wait),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: u64 = 1 << 63;

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn at(secs: u64) -> Instant {
        Instant::from_epoch(Duration::from_secs(1000 + secs))
    }

    /// Fails `count` times at the same moment, and returns the delays.
    fn delays(policy: &Backoff, count: usize, random: u64) -> Vec<Duration> {
        let mut row = Row::default();
        let fail = |_| row.handle_failure(policy, at(0), random, None).unwrap();
        (0..count).map(fail).collect()
    }

    #[test]
    fn without_jitter_the_delays_double_up_to_the_cap() {
        let policy = Backoff::default().jitter(false);
        let expected = [1, 2, 4, 8, 16, 30, 30, 30].map(secs);
        assert_eq!(delays(&policy, 8, 0), expected);
        let policy = policy.base(secs(2)).factor(3).cap(secs(20));
        assert_eq!(delays(&policy, 4, 0), [2, 6, 18, 20].map(secs));
    }

    #[test]
    fn jitter_takes_a_part_of_every_delay_and_of_the_first() {
        let policy = Backoff::default();
        assert_eq!(delays(&policy, 3, 0), [secs(0); 3]);
        let half = [500, 1000, 2000].map(Duration::from_millis);
        assert_eq!(delays(&policy, 3, HALF), half);
        let all = delays(&policy, 6, u64::MAX);
        for (delay, most) in all.into_iter().zip([1, 2, 4, 8, 16, 30].map(secs)) {
            assert!(delay < most && delay > most - Duration::from_millis(1));
        }
    }

    #[test]
    fn ten_attempts_are_ten() {
        let policy = Backoff::default().attempts(10);
        let mut row = Row::default();
        for failure in 1..10 {
            assert!(row.handle_failure(&policy, at(0), 0, None).is_ok());
            assert_eq!(row.failures(), failure);
        }
        let last = row.handle_failure(&policy, at(0), 0, None);
        assert_eq!(last, Err(Exhausted::Attempts));
        assert_eq!(row.failures(), 10);
    }

    #[test]
    fn no_attempt_begins_after_the_total_time() {
        let policy = Backoff::default().jitter(false).total(secs(10));
        let mut row = Row::default();
        let mut fail = |now| row.handle_failure(&policy, at(now), 0, None);
        assert_eq!(fail(0), Ok(secs(1)));
        assert_eq!(fail(2), Ok(secs(2)));
        assert_eq!(fail(6), Ok(secs(4)), "that attempt begins exactly in time");
        assert_eq!(fail(10), Err(Exhausted::Total));
    }

    #[test]
    fn a_connection_that_stays_open_ends_the_row() {
        let policy = Backoff::default().jitter(false).attempts(3);
        let mut row = Row::default();
        assert_eq!(row.handle_failure(&policy, at(0), 0, None), Ok(secs(1)));
        row.handle_open(at(1));
        let lost = row.handle_failure(&policy, at(10), 0, None);
        assert_eq!((lost, row.failures()), (Ok(secs(2)), 2));
        row.handle_open(at(20));
        let lost = row.handle_failure(&policy, at(30), 0, None);
        assert_eq!((lost, row.failures()), (Ok(secs(1)), 0));
        // The next failure is the first of three.
        assert_eq!(row.handle_failure(&policy, at(40), 0, None), Ok(secs(2)));
        assert_eq!(row.failures(), 1);
    }

    #[test]
    fn the_server_decides_how_long_to_wait_up_to_a_limit() {
        let policy = Backoff::default();
        let wait = |policy: &Backoff, random, asked| {
            let mut row = Row::default();
            row.handle_failure(policy, at(0), random, Some(secs(asked)))
        };
        assert_eq!(wait(&policy.clone().jitter(false), HALF, 7), Ok(secs(7)));
        let spread = Ok(Duration::from_millis(7500));
        assert_eq!(wait(&policy, HALF, 7), spread);
        assert_eq!(wait(&policy, 0, 1_000_000), Ok(secs(300)));
        let short = policy.max_retry_after(secs(5));
        assert_eq!(wait(&short, 0, 7), Ok(secs(5)));
    }

    #[test]
    fn extreme_values_do_not_overflow() {
        let policy = Backoff::default()
            .base(Duration::MAX)
            .factor(u32::MAX)
            .cap(Duration::MAX)
            .max_retry_after(Duration::MAX);
        for random in [0, u64::MAX] {
            let mut row = Row::default();
            for _ in 0..3 {
                let end = Instant::from_epoch(Duration::MAX);
                let wait = row.handle_failure(&policy, end, random, Some(Duration::MAX));
                assert_eq!(wait, Ok(Duration::MAX));
            }
        }
        assert_eq!(policy.clone().factor(0).delay(1, u64::MAX), secs(0));
        assert_eq!(policy.jitter(false).delay(9, 0), Duration::MAX);
    }
}
