use core::{num::NonZeroU64, time::Duration};

/// A moment, measured from an epoch the driver chooses.
///
/// The core reads no clock: every moment it knows was an argument. Nanosecond grain, 584 years of
/// range; later moments saturate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The driver's epoch, which is never in the future.
    pub const EPOCH: Self = Self(NonZeroU64::MIN);

    /// The moment `elapsed` after the driver's epoch.
    pub const fn from_epoch(elapsed: Duration) -> Self {
        let nanos = elapsed.as_nanos();
        if nanos > u64::MAX as u128 {
            return Self(NonZeroU64::MAX);
        }
        Self(NonZeroU64::MIN.saturating_add(nanos as u64))
    }

    /// Time since the driver's epoch.
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(1))
    }

    /// The moment `duration` later; `None`, which is no deadline at all, if that cannot be told.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// Time since `earlier`, or zero if that is later.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// A deadline whose start may still have to be told.
///
/// The core reads no clock when something happens; it asks for the time instead, by a
/// `poll_timeout` that lies in the past.
///
/// In the order of when to ask: the least of several comes first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Timer(u64);

impl Default for Timer {
    fn default() -> Self {
        Self::OFF
    }
}

impl Timer {
    /// It is over.
    pub(crate) const PASSED: Self = Self(0);
    /// It begins at the next `handle_timeout`.
    pub(crate) const DUE: Self = Self(1);
    /// It has begun, and is so long that it cannot be told.
    const NEVER: Self = Self(u64::MAX - 1);
    pub(crate) const OFF: Self = Self(u64::MAX);

    /// One that begins at the next `handle_timeout`, unless there is no deadline.
    pub(crate) const fn due(after: Option<Duration>) -> Self {
        if after.is_some() {
            Self::DUE
        } else {
            Self::OFF
        }
    }

    /// One that began `now`.
    fn begun(now: Instant, after: Option<Duration>) -> Self {
        match after.map(|after| now.checked_add(after)) {
            Some(Some(Instant::EPOCH)) => Self::PASSED,
            Some(Some(Instant(at))) => Self(at.get()).min(Self::NEVER),
            Some(None) => Self::NEVER,
            None => Self::OFF,
        }
    }

    /// Begins anew, unless there is no deadline.
    pub(crate) fn start(&mut self, after: Option<Duration>) {
        *self = Self::due(after);
    }

    /// Begins, unless it has begun.
    pub(crate) fn start_once(&mut self, after: Option<Duration>) {
        if *self == Self::OFF {
            self.start(after);
        }
    }

    /// When to call `handle_timeout`.
    #[inline]
    pub(crate) fn at(self) -> Option<Instant> {
        if self >= Self::NEVER {
            return None;
        }
        NonZeroU64::new(self.0.max(1)).map(Instant)
    }

    /// Whether the deadline has passed. One that is due begins `now`.
    pub(crate) fn is_over(&mut self, now: Instant, after: Option<Duration>) -> bool {
        if *self == Self::DUE {
            *self = Self::begun(now, after);
            return false;
        }
        self.at().is_some_and(|at| at <= now)
    }

    /// Whether the deadline has passed, as [`is_over`](Self::is_over): if so, it is turned off.
    pub(crate) fn expires(&mut self, now: Instant, after: Option<Duration>) -> bool {
        let is_over = self.is_over(now, after);
        if is_over {
            *self = Self::OFF;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_that_is_too_late_to_be_told_is_the_last() {
        let last = Instant::from_epoch(Duration::from_nanos(u64::MAX));
        for beyond in [Duration::MAX, Duration::from_secs(u64::MAX)] {
            assert_eq!(Instant::from_epoch(beyond), last);
        }
        assert!(Instant::from_epoch(Duration::from_secs(1)) < last);
    }

    #[test]
    fn a_deadline_beyond_time_is_no_deadline() {
        let now = Instant::from_epoch(Duration::from_secs(5));
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(
            Instant::from_epoch(Duration::MAX).checked_add(Duration::from_nanos(1)),
            None
        );
        assert_eq!(
            now.checked_add(Duration::from_secs(1))
                .map(Instant::since_epoch),
            Some(Duration::from_secs(6))
        );
        assert_eq!(Instant::EPOCH.since_epoch(), Duration::ZERO);
    }
}
