//! Locks and threads: those of std, or in tests those of shuttle, which tries other orders of threads at
//! each use.

#[cfg(shuttle)]
pub(crate) use shuttle::{
    sync::{Mutex, MutexGuard, atomic::AtomicBool},
    thread::{self, Thread},
    thread_local,
};
#[cfg(not(shuttle))]
pub(crate) use std::{
    sync::{Mutex, MutexGuard, atomic::AtomicBool},
    thread::{self, Thread},
    thread_local,
};
