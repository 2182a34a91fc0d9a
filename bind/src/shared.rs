use std::{
    fmt, mem,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use proto::{Deadline, Instant, RecvError};

use crate::{
    Read, Timer, Write,
    driver::Access,
    output::Output,
    sync::{Mutex, MutexGuard},
    wakers::{Key, Wakers},
};

/// What the halves share: the sending direction and the transport.
///
/// The lock is held to queue and for one poll of the transport that does not block; never while
/// somebody waits, and never while parsing.
pub(crate) struct Shared<S, T> {
    output: Mutex<Output<S>>,
    wakers: Arc<Wakers>,
    /// [`Wakers`], as the transport sees them.
    joint: Waker,
    /// To be cloned by those who wait.
    timer: T,
}

impl<S, T> Shared<S, T> {
    pub(crate) fn new(output: Output<S>, timer: T) -> Self {
        let wakers = Arc::new(Wakers::default());
        Self {
            joint: Waker::from(wakers.clone()),
            output: Mutex::new(output),
            wakers,
            timer,
        }
    }

    /// Uses the sending direction, and wakes the others if that changed what they wait for.
    pub(crate) fn with<U>(
        &self,
        me: Option<Key>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U {
        let mut output = self.lock();
        let before = output.seen();
        let value = f(&mut output, &mut Context::from_waker(&self.joint));
        let changed = output.seen() != before;
        drop(output);
        if changed {
            self.wakers.wake_others(me);
        }
        value
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Output<S>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn wakers(&self) -> &Wakers {
        &self.wakers
    }
}

impl<S, T> fmt::Debug for Shared<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}

/// The reader's way to the sending direction.
pub(crate) struct Reader<'a, S, T> {
    pub(crate) shared: &'a Shared<S, T>,
    pub(crate) key: Key,
}

impl<S, T> Access<S> for Reader<'_, S, T> {
    fn with<U>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U {
        self.shared.wakers.register(self.key, cx.waker());
        self.shared.with(Some(self.key), f)
    }
}

/// Somebody who waits for output. Has a place among the wakers, and watches the write deadline by a
/// timer of its own, made when it first waits.
pub(crate) struct Waiter<S, T> {
    shared: Arc<Shared<S, T>>,
    key: Key,
    timer: Option<T>,
    waited: bool,
}

impl<S: Read + Write, T: Timer> Waiter<S, T> {
    pub(crate) fn new(shared: &Arc<Shared<S, T>>) -> Self {
        Self {
            shared: shared.clone(),
            key: shared.wakers.enter(),
            timer: None,
            waited: false,
        }
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Waits for `done`.
    pub(crate) fn poll<U>(
        &mut self,
        cx: &mut Context<'_>,
        mut done: impl FnMut(&mut Output<S>, &mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        self.shared.wakers.register(self.key, cx.waker());
        let mut rested = true;
        loop {
            let (polled, deadline) = self.shared.with(Some(self.key), |output, joint| {
                if mem::take(&mut rested) && output.poll_rest(cx).is_pending() {
                    return (Poll::Pending, None);
                }
                (done(output, joint), output.tx.poll_timeout())
            });
            self.waited |= polled.is_pending();
            let (Poll::Pending, Some(deadline)) = (&polled, deadline) else {
                return polled;
            };
            if !self.is_over(cx, deadline) {
                return Poll::Pending;
            }
            let now = self.now();
            self.shared.with(Some(self.key), |output, _| {
                if output.tx.handle_timeout(now).is_err() {
                    output.end(RecvError::TimedOut(Deadline::Write));
                }
            });
        }
    }

    /// Whether `deadline` has come; asks the timer only if it may lie ahead.
    pub(crate) fn is_over(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let timer = self.timer.get_or_insert_with(|| self.shared.timer.clone());
        deadline <= Instant::EPOCH || timer.poll_until(cx, deadline).is_ready()
    }

    pub(crate) fn now(&self) -> Instant {
        self.shared.timer.now()
    }
}

impl<S, T> Drop for Waiter<S, T> {
    fn drop(&mut self) {
        if self.waited {
            let key = self.key;
            self.shared.with(Some(key), |output, _| output.leave(key));
        }
        self.shared.wakers.leave(self.key);
    }
}
