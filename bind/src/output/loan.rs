//! The write buffer, which a thread lends to one socket after the other.

use std::cell::Cell;

use proto::Transmit;

use super::Output;

thread_local! {
    static POOL: Cell<Option<Box<Transmit>>> = const { Cell::new(None) };
}

impl<S> Output<S> {
    #[inline]
    pub(super) fn borrow_loan(&mut self) {
        self.tx.lend(|| POOL.take());
    }

    /// Gives the buffer back once all of it is sent.
    #[inline]
    pub(super) fn give_back(&mut self) {
        if let Some(idle) = self.tx.take_back() {
            POOL.set(Some(idle));
        }
    }
}

/// Frees this thread's buffer.
pub(crate) fn release() {
    POOL.take();
}
