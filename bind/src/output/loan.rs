//! What output is gathered in: a thread lends it to one socket after the other.

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

    /// Once all in it has left.
    #[inline]
    pub(super) fn give_back(&mut self) {
        if let Some(idle) = self.tx.take_back() {
            POOL.set(Some(idle));
        }
    }
}

/// Gives back what this thread lends.
pub(crate) fn release() {
    POOL.take();
}
