//! The clock of a socket.

use std::{
    future::{Future, poll_fn},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bind::{Network, Timer, proto::Instant};
use bowline_smol::{Clock, Smol};
use smol::future::FutureExt;

const HOUR: Duration = Duration::from_secs(3600);
const MOMENT: Duration = Duration::from_millis(20);

/// Ends a test that would otherwise wait for an hour.
async fn guarded<T>(test: impl Future<Output = T>) -> T {
    let hang = async {
        async_io::Timer::after(Duration::from_secs(60)).await;
        panic!("the test hangs")
    };
    test.or(hang).await
}

fn after(clock: &Clock, wait: Duration) -> Instant {
    clock.now().checked_add(wait).unwrap()
}

/// Returns whether `deadline` has passed, as seen by a task that waits for it.
async fn has_passed(clock: &mut Clock, deadline: Instant) -> bool {
    poll_fn(|cx| Poll::Ready(clock.poll_until(cx, deadline).is_ready())).await
}

#[test]
fn a_clock_waits_for_the_deadline_it_was_given_last() {
    smol::block_on(guarded(async {
        let mut clock = Smol::<()>::default().clock();
        let far = after(&clock, HOUR);
        assert!(!has_passed(&mut clock, far).await);
        for _ in 0..3 {
            let near = after(&clock, MOMENT);
            poll_fn(|cx| clock.poll_until(cx, near)).await;
            assert!(clock.now() >= near);
            // The deadline stays passed.
            poll_fn(|cx| clock.poll_until(cx, near)).await;
        }
        let near = after(&clock, MOMENT);
        let _ = has_passed(&mut clock, near).await;
        // A clone waits for its own deadline.
        let mut clone = clock.clone();
        assert!(!has_passed(&mut clock, far).await);
        poll_fn(|cx| clone.poll_until(cx, near)).await;
        assert!(!has_passed(&mut clock, far).await);
    }));
}

#[test]
fn the_task_that_asked_last_is_woken() {
    smol::block_on(guarded(async {
        let mut clock = Smol::<()>::default().clock();
        let near = after(&clock, MOMENT);
        let mut nobody = Context::from_waker(Waker::noop());
        let _ = clock.poll_until(&mut nobody, near);
        poll_fn(|cx| clock.poll_until(cx, near)).await;
        assert!(clock.now() >= near);
    }));
}
