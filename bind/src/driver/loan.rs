//! The buffer that is read into: a thread lends it to one socket after the other.

use std::{
    cell::Cell,
    mem,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use proto::RecvBuf;

use super::Input;

/// Its size, in bytes.
const LOAN: usize = 128 << 10;
/// What is worth to be copied out of it, in bytes, where otherwise the socket would keep it.
const COPY_BELOW: usize = 4 << 10;
/// So many sockets of the process may keep one while the application works on what they received.
const MAX_KEPT: usize = 16;

static KEPT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: Cell<Option<Box<RecvBuf>>> = const { Cell::new(None) };
}

impl<T> Input<T> {
    #[inline]
    pub(super) fn borrow_loan(&mut self) {
        if self.rx.wants_loan() {
            let new = || RecvBuf::new(LOAN);
            self.rx.lend(POOL.take().unwrap_or_else(new));
        }
    }

    /// The task runs on, and calls again or does not.
    #[inline]
    pub(super) fn keep_or_give_back(&mut self) {
        if self.rx.unread() < COPY_BELOW || !self.keep() {
            self.give_back();
        }
    }

    /// Whether the loan may stay here until the next call. Few have it at a time, usually one.
    fn keep(&mut self) -> bool {
        let free = |kept: usize| (kept < MAX_KEPT).then_some(kept + 1);
        self.keeps = self.keeps || KEPT.fetch_update(Relaxed, Relaxed, free).is_ok();
        self.keeps
    }

    /// Others need the loan while this task does not run.
    #[inline]
    pub(crate) fn give_back(&mut self) {
        if let Some(loan) = self.rx.take_back() {
            POOL.set(Some(loan));
        }
        self.release();
    }

    #[inline]
    fn release(&mut self) {
        if mem::take(&mut self.keeps) {
            KEPT.fetch_sub(1, Relaxed);
        }
    }
}

impl<T> Drop for Input<T> {
    fn drop(&mut self) {
        self.release();
    }
}
