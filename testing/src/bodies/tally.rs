//! What happened in the runs of a thread: whether they go deep.

use std::{cell::RefCell, collections::BTreeMap};

type Counts = BTreeMap<String, u64>;

thread_local! {
    /// Only in a thread that asked: to count takes a tenth of a run.
    static COUNTS: RefCell<Option<Counts>> = const { RefCell::new(None) };
}

pub(crate) fn count(what: impl Into<String>) {
    COUNTS.with_borrow_mut(|counts| {
        if let Some(counts) = counts {
            *counts.entry(what.into()).or_default() += 1;
        }
    });
}

/// How often each thing happened since the last time this was asked, in this thread.
pub fn take() -> Counts {
    COUNTS.replace(Some(Counts::new())).unwrap_or_default()
}
