//! Counts of what happened in the runs of a thread, which show whether the runs go deep.

use std::{cell::RefCell, collections::BTreeMap};

type Counts = BTreeMap<String, u64>;

thread_local! {
    /// Counts only in a thread that asked for it, because counting takes a tenth of a run.
    static COUNTS: RefCell<Option<Counts>> = const { RefCell::new(None) };
}

pub(crate) fn count(what: impl Into<String>) {
    COUNTS.with_borrow_mut(|counts| {
        if let Some(counts) = counts {
            *counts.entry(what.into()).or_default() += 1;
        }
    });
}

/// Returns how often each thing happened in this thread since the last call.
pub fn take() -> Counts {
    COUNTS.replace(Some(Counts::new())).unwrap_or_default()
}
