use std::{sync::Arc, task::Waker};

use crate::{
    output::Seen,
    wakers::{Key, Wakers},
};

/// The wakers of a socket that is not split and is polled by several tasks: by one as a `Stream`, by
/// another as a `Sink`, and by a third in a method, if the application has put a lock around it.
///
/// The transport and the clock see the joint waker only, as those of a split socket do.
#[derive(Debug)]
pub(crate) struct Lanes {
    wakers: Arc<Wakers>,
    joint: Waker,
    /// What the tasks wait for, as it was before a poll.
    seen: Option<(Seen, usize)>,
}

impl Default for Lanes {
    fn default() -> Self {
        let wakers = Arc::new(Wakers::with_places(3));
        let joint = Waker::from(wakers.clone());
        Self {
            wakers,
            joint,
            seen: None,
        }
    }
}

impl Lanes {
    /// Puts the task's waker into its lane. Returns the waker for the transport and the clock.
    #[cold]
    pub(crate) fn enter(&mut self, lane: Key, own: &Waker, seen: (Seen, usize)) -> &Waker {
        self.wakers.register(lane, own);
        self.seen = Some(seen);
        &self.joint
    }

    /// The task of this lane was polled. If it is done, it is not woken for what it waited for; if it
    /// changed what others wait for, they are woken.
    #[cold]
    pub(crate) fn leave(&mut self, lane: Key, done: bool, seen: (Seen, usize)) {
        if done {
            self.wakers.clear(lane);
        }
        if self.seen.take() != Some(seen) {
            self.wakers.wake_others(Some(lane));
        }
    }

    pub(crate) fn joint(&self) -> &Waker {
        &self.joint
    }
}
