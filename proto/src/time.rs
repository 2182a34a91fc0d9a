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
#[derive(Clone, Copy, Debug)]
pub(crate) enum Timer {
    Off,
    /// It begins at the next `handle_timeout`.
    Due,
    At(Instant),
    /// It has begun, and is so long that it cannot be told.
    Never,
}

impl Timer {
    /// Begins anew, unless there is no deadline.
    pub(crate) fn start(&mut self, after: Option<Duration>) {
        *self = if after.is_some() {
            Self::Due
        } else {
            Self::Off
        };
    }

    /// Begins, unless it has begun.
    pub(crate) fn start_once(&mut self, after: Option<Duration>) {
        if let Self::Off = self {
            self.start(after);
        }
    }

    /// When to call `handle_timeout`.
    #[inline]
    pub(crate) fn at(self) -> Option<Instant> {
        match self {
            Self::Off | Self::Never => None,
            Self::Due => Some(Instant::EPOCH),
            Self::At(at) => Some(at),
        }
    }

    /// Whether the deadline has passed. One that is due begins `now`.
    pub(crate) fn is_over(&mut self, now: Instant, after: Option<Duration>) -> bool {
        match *self {
            Self::Off | Self::Never => false,
            Self::Due => {
                let at = after.and_then(|after| now.checked_add(after));
                *self = at.map_or(Self::Never, Self::At);
                false
            }
            Self::At(at) => at <= now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
