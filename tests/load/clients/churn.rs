//! Clients that come, echo and leave.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::Semaphore, task::JoinSet, time::interval};

use super::visit::{Visit, Visitors, echo};

/// The most visits at the same time.
pub(crate) const AT_ONCE: usize = 32;

/// Makes so many visits, and begins so many of them each second.
pub(super) async fn churn(visitors: &Arc<Visitors>, visits: usize, rate: usize) -> String {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut pace = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
    let mut visiting = JoinSet::new();
    for _ in 0..visits {
        pace.tick().await;
        let place = places.clone().acquire_owned().await.unwrap();
        let visitors = visitors.clone();
        visiting.spawn(async move {
            let begin = Instant::now();
            let Visit::Open(mut socket) = visitors.visit(0).await else {
                panic!("a visitor was not let in");
            };
            echo(&mut socket).await;
            socket.close(None).await.unwrap();
            drop((socket, place));
            begin.elapsed()
        });
    }
    let times = visiting.join_all().await;
    format!("done {} {}", times.len(), spread(times))
}

/// Writes the median and the worst of some times.
pub(super) fn spread(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    format!("median {} worst {}", median.as_micros(), worst.as_micros())
}
