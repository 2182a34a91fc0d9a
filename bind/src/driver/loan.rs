//! The buffer that is read into: a thread lends it to one socket after the other.

use std::{
    cell::Cell,
    mem,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use proto::RecvBuf;

use super::Input;

/// Its size in bytes, once reads have filled a smaller one.
const LOAN: usize = 128 << 10;
/// Its size before that: a thread that has one socket and seldom reads needs no more.
const FIRST: usize = 8 << 10;
/// So many reads. The first may be the beginning of a large message, which is read into its own memory.
const FILLED: u8 = 2;
/// What is worth to be copied out of it, in bytes, where otherwise the socket would keep it.
const COPY_BELOW: usize = 4 << 10;
/// So many sockets of the process may keep one while the application works on what they received.
const MAX_KEPT: usize = 16;

static KEPT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: Cell<Option<Box<RecvBuf>>> = const { Cell::new(None) };
    /// How many reads have filled the smaller loan.
    static READS: Cell<u8> = const { Cell::new(0) };
}

/// A loan of the size that this thread needs.
#[cold]
fn loan() -> Box<RecvBuf> {
    RecvBuf::new(if READS.get() < FILLED { FIRST } else { LOAN })
}

/// Gives back what this thread lends.
pub(crate) fn release() {
    POOL.take();
    READS.set(0);
}

impl<T> Input<T> {
    #[inline]
    pub(super) fn borrow_loan(&mut self) {
        if self.rx.wants_loan() {
            self.rx.lend(POOL.take().unwrap_or_else(loan));
        }
    }

    /// A read has filled all the room there was: the loan may be too small for this thread.
    #[cold]
    pub(super) fn filled(&mut self, room: usize) {
        if room <= FIRST && READS.get() < FILLED {
            READS.set(READS.get() + 1);
            self.outgrown = true;
        }
    }

    /// The task runs on, and calls again or does not.
    #[inline(always)]
    pub(super) fn keep_or_give_back(&mut self) {
        if self.rx.unread() < COPY_BELOW || !self.keep() {
            self.give_back();
        }
    }

    /// Whether the loan may stay here until the next call. Few have it at a time, usually one.
    #[cold]
    fn keep(&mut self) -> bool {
        let free = |kept: usize| (kept < MAX_KEPT).then_some(kept + 1);
        self.keeps = self.keeps || KEPT.fetch_update(Relaxed, Relaxed, free).is_ok();
        self.keeps
    }

    /// Others need the loan while this task does not run.
    #[inline]
    pub(crate) fn give_back(&mut self) {
        if let Some(loan) = self.rx.take_back()
            && !mem::take(&mut self.outgrown)
        {
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
