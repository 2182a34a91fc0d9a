//! Faults: every scenario, with every call of a transport failing in every way, on every binding, plain
//! and by TLS. Whatever fails, what came is the beginning of what was sent, the end is one and told once,
//! nothing is left behind, and nobody waits for ever.

use std::{
    panic,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

mod bench;
#[path = "../suite/binding/mod.rs"]
mod binding;
#[path = "../suite/certificates.rs"]
#[allow(dead_code, reason = "the suite uses more of it")]
mod certificates;
mod check;
mod pipe;
mod plan;
mod play;
mod scenarios;
mod script;
#[path = "../../bind-blocking/tests/support/mod.rs"]
mod threads;

/// A test for each way to fail, for each binding.
macro_rules! for_each_fault {
    ($($test:ident $fault:ident,)*) => {
        mod tokio {
            $(#[test]
            fn $test() {
                crate::run::<crate::bench::Tokio>(crate::plan::Fault::$fault, false);
            })*
        }
        mod tokio_tls {
            $(#[test]
            fn $test() {
                crate::run::<crate::bench::Tokio>(crate::plan::Fault::$fault, true);
            })*
        }
        mod smol {
            $(#[test]
            fn $test() {
                crate::run::<crate::bench::Smol>(crate::plan::Fault::$fault, false);
            })*
        }
        mod smol_tls {
            $(#[test]
            fn $test() {
                crate::run::<crate::bench::Smol>(crate::plan::Fault::$fault, true);
            })*
        }
        mod blocking {
            $(#[test]
            fn $test() {
                crate::run::<crate::bench::Blocking>(crate::plan::Fault::$fault, false);
            })*
        }
        mod blocking_tls {
            $(#[test]
            fn $test() {
                crate::run::<crate::bench::Blocking>(crate::plan::Fault::$fault, true);
            })*
        }
    };
}

for_each_fault! {
    an_error Error,
    the_end Eof,
    a_reset Reset,
    an_interrupt Interrupted,
    not_yet Pending,
    one_byte Short,
    no_byte Zero,
}

/// Runs the test, which must not hang, on a thread with room for what is not optimised.
fn run<B: bench::Bench>(fault: plan::Fault, tls: bool) {
    /// Long enough for any machine.
    const HANG: Duration = Duration::from_secs(300);
    let (ending, ended) = mpsc::channel::<()>();
    let test = move || {
        let _ending = ending;
        check::every_call_fails::<B>(fault, tls);
    };
    let thread = thread::Builder::new().stack_size(64 << 20).spawn(test);
    if ended.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    let ran = thread.unwrap().join();
    ran.unwrap_or_else(|failed| panic::resume_unwind(failed));
}
