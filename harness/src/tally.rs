//! What happened in the runs of a thread: whether they go deep.

use std::{cell::RefCell, collections::BTreeMap};

thread_local! {
    static COUNTS: RefCell<BTreeMap<String, u64>> = const { RefCell::new(BTreeMap::new()) };
}

pub(crate) fn count(what: impl Into<String>) {
    COUNTS.with_borrow_mut(|counts| *counts.entry(what.into()).or_default() += 1);
}

/// How often each thing happened since the last time this was asked.
pub fn take() -> BTreeMap<String, u64> {
    COUNTS.take()
}
