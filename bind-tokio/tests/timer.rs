//! The clock of a socket, with tokio's clock paused.

use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

use bind::{Network, Timer};
use bowline_tokio::Tokio;
use tokio::{sync::Semaphore, time};

#[tokio::test(start_paused = true)]
async fn a_clock_waits_for_the_deadline_it_was_given_last() {
    let mut clock = Tokio.clock();
    let start = clock.now();
    let after = |secs| start.checked_add(Duration::from_secs(secs)).unwrap();
    let early = poll_fn(|cx| Poll::Ready(clock.poll_until(cx, after(5)))).await;
    assert!(early.is_pending());
    for secs in [3, 4, 4, 1] {
        poll_fn(|cx| clock.poll_until(cx, after(secs))).await;
        assert!(clock.now() >= after(secs));
        assert!(clock.now() < after(5), "{secs}");
    }
    // A clone waits for its own deadline.
    let mut clone = clock.clone();
    let (first, second) = (after(7), after(6));
    tokio::join!(
        poll_fn(|cx| clock.poll_until(cx, first)),
        poll_fn(|cx| clone.poll_until(cx, second)),
    );
    assert!(clock.now() >= first);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_has_worked_a_lot_is_woken_all_the_same() {
    let work = Semaphore::new(usize::MAX >> 4);
    let mut clock = Tokio.clock();
    let deadline = clock.now().checked_add(Duration::from_secs(1)).unwrap();
    let mut worked = false;
    let waiting = poll_fn(|cx| {
        if !worked {
            // Uses up the task's budget for one turn.
            while pin!(work.acquire()).poll(cx).is_ready() {}
            worked = true;
        }
        clock.poll_until(cx, deadline)
    });
    let woken = time::timeout(Duration::from_secs(2), waiting);
    assert!(woken.await.is_ok());
}
