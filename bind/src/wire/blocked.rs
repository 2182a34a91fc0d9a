//! A transport that took nothing is asked again only after it has woken us.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
};

use crate::sync::{AtomicBool, Mutex};

/// The waker of a transport that took nothing; it remembers whether it was used.
///
/// Some sockets try to write whenever they are polled, and the kernel may take a little although it has not announced
/// room. At the write deadline that would count as progress, and double the deadline. Therefore the transport is
/// polled with this waker, and is not asked to write again before it has used it.
#[derive(Debug)]
pub(super) struct Blocked {
    woken: AtomicBool,
    next: Mutex<Waker>,
}

impl Blocked {
    /// Calls the transport, unless it took nothing and has not woken us since. If it does not know this waker yet, a
    /// pending call is repeated with it.
    #[inline]
    pub(super) fn ask<U>(
        blocked: &mut Option<Arc<Self>>,
        cx: &mut Context<'_>,
        mut call: impl FnMut(&mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        if blocked.is_none() {
            let polled = call(cx);
            if polled.is_ready() {
                return polled;
            }
        }
        Self::ask_blocked(blocked, cx, call)
    }

    #[cold]
    fn ask_blocked<U>(
        blocked: &mut Option<Arc<Self>>,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        let waits = blocked.get_or_insert_with(|| {
            Arc::new(Self {
                woken: AtomicBool::new(true),
                next: Mutex::new(cx.waker().clone()),
            })
        });
        // The waker is stored before `woken` is read, so that a later wake reaches this task.
        let waker = waits.waker(cx);
        if !waits.woken.swap(false, Ordering::AcqRel) {
            return Poll::Pending;
        }
        let polled = call(&mut Context::from_waker(&waker));
        if polled.is_ready() {
            *blocked = None;
        }
        polled
    }

    /// Calls the transport with the waker that it has to use.
    #[cold]
    pub(super) fn with<U>(
        blocked: &Option<Arc<Self>>,
        cx: &mut Context<'_>,
        call: impl FnOnce(&mut Context<'_>) -> U,
    ) -> U {
        let remembers;
        let waker = match blocked {
            None => cx.waker(),
            Some(waits) => {
                remembers = waits.waker(cx);
                &remembers
            }
        };
        call(&mut Context::from_waker(waker))
    }

    #[cold]
    fn waker(self: &Arc<Self>, cx: &Context<'_>) -> Waker {
        self.wakes(cx.waker());
        Waker::from(self.clone())
    }

    /// Lets the next call ask, because the transport may have forgotten this waker.
    pub(super) fn ask_again(&self) {
        self.woken.store(true, Ordering::Release);
    }

    /// Sets the waker that this one wakes in turn.
    fn wakes(&self, waker: &Waker) {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        next.clone_from(waker);
    }
}

impl Wake for Blocked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let next = self
            .next
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        next.wake();
    }
}
