//! CPU time of this thread, which other processes on the machine hardly affect.

use std::{path::Path, time::Duration};

use criterion::{
    Criterion,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use rustix::time::{ClockId, clock_gettime};

/// The CPU time of the thread, as a measurement of criterion.
pub(crate) struct CpuTime;

impl CpuTime {
    /// Makes a criterion that measures this for `time` milliseconds and keeps the results in `dir`. The
    /// filter comes from the command line.
    pub(crate) fn criterion(
        dir: &Path,
        warm_up: u64,
        time: u64,
        samples: usize,
    ) -> Criterion<Self> {
        Criterion::default()
            .with_measurement(Self)
            .output_directory(dir)
            .warm_up_time(Duration::from_millis(warm_up))
            .measurement_time(Duration::from_millis(time))
            .sample_size(samples)
            .configure_from_args()
    }

    fn now() -> Duration {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
    }
}

impl Measurement for CpuTime {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        Self::now()
    }

    fn end(&self, start: Duration) -> Duration {
        Self::now().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        value.as_nanos() as f64
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
