use core::{num::NonZeroU64, time::Duration};

/// A moment, measured from an epoch that the driver chooses.
///
/// The core reads no clock: it knows only the moments that it gets as arguments. The resolution is a nanosecond and
/// the range 584 years; later moments saturate.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Instant(NonZeroU64);

impl Instant {
    /// The driver's epoch, which is never in the future.
    pub const EPOCH: Self = Self(NonZeroU64::MIN);

    /// Returns the moment `elapsed` after the driver's epoch.
    pub const fn from_epoch(elapsed: Duration) -> Self {
        let nanos = elapsed.as_nanos();
        if nanos > u64::MAX as u128 {
            return Self(NonZeroU64::MAX);
        }
        Self(NonZeroU64::MIN.saturating_add(nanos as u64))
    }

    /// Returns the time since the driver's epoch.
    pub const fn since_epoch(self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(1))
    }

    /// Returns the moment `duration` later, or `None` if it is too late to be represented. As a deadline, `None`
    /// never comes.
    pub fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    /// Returns the time since `earlier`, or zero if `earlier` is later.
    pub const fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.get().saturating_sub(earlier.0.get()))
    }
}

/// A deadline that may not have begun yet.
///
/// The core reads no clock when something happens. It asks for the time instead, with a `poll_timeout` in the past.
///
/// Timers are ordered by urgency: the least of several is the one to serve next.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Alarm(u64);

impl Default for Alarm {
    fn default() -> Self {
        Self::OFF
    }
}

impl Alarm {
    /// The deadline has passed.
    pub(crate) const PASSED: Self = Self(0);
    /// The deadline begins at the next `handle_timeout`.
    pub(crate) const DUE: Self = Self(1);
    /// The deadline has begun, but is too far away to be represented.
    const NEVER: Self = Self(u64::MAX - 1);
    pub(crate) const OFF: Self = Self(u64::MAX);

    /// Makes a timer that begins at the next `handle_timeout`, or no timer if `after` is `None`.
    pub(crate) const fn due(after: Option<Duration>) -> Self {
        if after.is_some() {
            Self::DUE
        } else {
            Self::OFF
        }
    }

    /// Makes a timer that began `now`.
    fn begun(now: Instant, after: Option<Duration>) -> Self {
        match after.map(|after| now.checked_add(after)) {
            Some(Some(Instant::EPOCH)) => Self::PASSED,
            Some(Some(Instant(at))) => Self(at.get()).min(Self::NEVER),
            Some(None) => Self::NEVER,
            None => Self::OFF,
        }
    }

    /// Starts again at the next `handle_timeout`, or turns off if `after` is `None`.
    pub(crate) fn start(&mut self, after: Option<Duration>) {
        *self = Self::due(after);
    }

    /// Starts, unless it was started before.
    pub(crate) fn start_once(&mut self, after: Option<Duration>) {
        if *self == Self::OFF {
            self.start(after);
        }
    }

    /// Returns when to call `handle_timeout`.
    #[inline]
    pub(crate) fn at(self) -> Option<Instant> {
        if self >= Self::NEVER {
            return None;
        }
        NonZeroU64::new(self.0.max(1)).map(Instant)
    }

    /// Whether the deadline has passed. A timer that is due begins `now`.
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
