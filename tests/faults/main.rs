//! Faults: every scenario on every binding, with and without TLS, in which every call of a transport
//! fails in every way, and every future is dropped while it waits. Whatever fails, the messages received
//! are the first of those sent, the end is reported once, nothing leaks, and no call waits forever.

use std::{
    panic,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

mod bench;
#[path = "../suite/binding/mod.rs"]
mod binding;
mod check;
mod cutter;
mod games;
mod pipe;
mod plan;
mod play;
mod scenarios;
mod script;

/// Makes a test for each fault and each binding.
macro_rules! for_each_fault {
    ($($test:ident $fault:ident,)*) => {
        faults!(tokio Tokio false $($test $fault)*);
        faults!(tokio_tls Tokio true $($test $fault)*);
        faults!(smol Smol false $($test $fault)*);
        faults!(smol_tls Smol true $($test $fault)*);
        faults!(blocking Blocking false $($test $fault)*);
        faults!(blocking_tls Blocking true $($test $fault)*);
    };
}

macro_rules! faults {
    ($name:ident $bench:ident $tls:literal $($test:ident $fault:ident)*) => {
        mod $name {
            use crate::{bench::$bench, games::every_call_fails, plan::Fault, run};

            $(#[test]
            fn $test() {
                run(|| every_call_fails::<$bench>(Fault::$fault, $tls));
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

/// Makes a test for each binding that has futures.
mod every_future_is_dropped {
    use crate::{
        bench::{Smol, Tokio},
        games::every_future_is_dropped,
        run,
    };

    #[test]
    fn tokio() {
        run(|| every_future_is_dropped::<Tokio>(false));
    }

    #[test]
    fn tokio_tls() {
        run(|| every_future_is_dropped::<Tokio>(true));
    }

    #[test]
    fn smol() {
        run(|| every_future_is_dropped::<Smol>(false));
    }

    #[test]
    fn smol_tls() {
        run(|| every_future_is_dropped::<Smol>(true));
    }
}

/// Runs a test that must not hang, on a thread whose stack is large enough for unoptimised code.
fn run(test: fn()) {
    /// Long enough on any machine.
    const HANG: Duration = Duration::from_secs(300);
    let (ending, ended) = mpsc::channel::<()>();
    let guarded = move || {
        let _ending = ending;
        test();
    };
    let thread = thread::Builder::new().stack_size(64 << 20).spawn(guarded);
    if ended.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    let ran = thread.unwrap().join();
    ran.unwrap_or_else(|failed| panic::resume_unwind(failed));
}
