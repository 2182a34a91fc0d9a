//! The read buffer, which a thread lends to one socket after the other.

use std::{
    cell::Cell,
    mem,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
};

use proto::RecvBuf;

use super::Input;

/// The size of the buffer in bytes, once reads have filled a smaller one.
const LOAN: usize = 128 << 10;
/// The size before that. A thread that has one socket and seldom reads needs no more.
const FIRST: usize = 8 << 10;
/// The number of reads that have to fill the smaller buffer. One is not enough, because it may be the beginning of a
/// large message, which is read into its own memory.
const FILLED: u8 = 2;
/// Fewer unread bytes than this are copied out of the buffer. With more, the socket keeps the buffer.
const COPY_BELOW: usize = 4 << 10;
/// The number of sockets of the process that may keep a buffer while the application works on what they received.
const MAX_KEPT: usize = 16;

static KEPT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: Cell<Option<Box<RecvBuf>>> = const { Cell::new(None) };
    /// The number of reads that have filled the smaller buffer.
    static READS: Cell<u8> = const { Cell::new(0) };
}

/// Returns a buffer of the size that this thread needs.
#[cold]
fn loan() -> Box<RecvBuf> {
    RecvBuf::new(if READS.get() < FILLED { FIRST } else { LOAN })
}

/// Frees this thread's buffer.
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

    /// Handles that a read has filled the whole buffer, which may be too small for this thread.
    #[cold]
    pub(super) fn filled(&mut self, room: usize) {
        if room <= FIRST && READS.get() < FILLED {
            READS.set(READS.get() + 1);
            self.outgrown = true;
        }
    }

    /// Keeps the loan or gives it back. The task goes on, and may or may not call again.
    #[inline(always)]
    pub(super) fn keep_or_give_back(&mut self) {
        if self.rx.unread() < COPY_BELOW || !self.keep() {
            self.give_back();
        }
    }

    /// Whether the loan may stay here until the next call. Few sockets keep one at a time, usually one.
    #[cold]
    fn keep(&mut self) -> bool {
        let free = |kept: usize| (kept < MAX_KEPT).then_some(kept + 1);
        self.keeps = self.keeps || KEPT.fetch_update(Relaxed, Relaxed, free).is_ok();
        self.keeps
    }

    /// Gives back the loan, which other sockets need while this task does not run.
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
