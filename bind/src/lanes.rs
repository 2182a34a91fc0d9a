use std::{sync::Arc, task::Waker};

use crate::{
    output::Seen,
    wakers::{Key, Wakers},
};

/// The wakers of an unsplit socket that several tasks poll: one as a `Stream`, another as a `Sink`, and a third
/// through methods, if the application has put a lock around the socket.
///
/// The transport and the clock only see the joint waker, as with a split socket.
#[derive(Debug)]
pub(crate) struct Lanes {
    wakers: Arc<Wakers>,
    joint: Waker,
    /// The state that the tasks wait for, as it was before the poll.
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

    /// Handles that the task of this lane was polled. If the task is done, its waker is removed. If it has changed
    /// the state that other tasks wait for, they are woken.
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
