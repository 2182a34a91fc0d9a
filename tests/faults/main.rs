//! Faults: every scenario, with every call of a transport failing in every way, on every binding, plain
//! and by TLS; and every future dropped whenever it waits. Whatever fails, what came is the beginning of
//! what was sent, the end is one and told once, nothing is left behind, and nobody waits for ever.

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

/// A test for each way to fail, for each binding.
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

/// A test for each binding that has futures.
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

/// Runs the test, which must not hang, on a thread with room for what is not optimised.
fn run(test: fn()) {
    /// Long enough for any machine.
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
