//! A server that has no descriptors left.

use std::{
    fs::File,
    net::TcpListener,
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use bind::ServerError;
use rustix::{
    process::{Resource, Rlimit, getrlimit, setrlimit},
    time::{ClockId, clock_gettime},
};

use crate::{
    bindings::Binding,
    stage::{SPREAD, Stage, eventually, millis, server},
};

/// The clients that are there before, and those that come when there are no descriptors.
const INSIDE: usize = 40;
const LATE: usize = 20;

/// How long the server fails before there are descriptors again.
const FAILING: Duration = Duration::from_secs(2);

pub(crate) fn run<B: Binding>(_: usize) {
    let reports = Arc::new(AtomicUsize::new(0));
    let counted = reports.clone();
    let server = server::<B>().on_error(move |error| {
        assert!(matches!(error, ServerError::Accept(_)), "{error}");
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let mut stage = Stage::<B>::start(server);
    stage.clients.opens(INSIDE, SPREAD);
    let limit = getrlimit(Resource::Nofile);
    let current = Some(next_descriptor());
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    stage.clients.ask(&format!("queue {LATE}"));
    eventually("the failure is reported", || {
        reports.load(Ordering::Relaxed) > 0
    });
    let before = cpu_time();
    thread::sleep(FAILING);
    let used = cpu_time() - before;
    let reported = reports.load(Ordering::Relaxed);
    assert_eq!(reported, 1);
    let echoed = stage.clients.ask("echo");
    let waiting = stage.clients.ask("queued")["waiting"];
    assert!(waiting > 0);
    // Some of them get in, and then all.
    let mut closed = 0;
    for more in [LATE / 2, LATE] {
        stage.clients.ask(&format!("close {more}"));
        closed += more;
        let most = waiting.saturating_sub(closed);
        eventually("those that wait get in", || {
            stage.clients.ask("queued")["waiting"] <= most
        });
    }
    let rest = INSIDE + LATE - closed;
    assert_eq!(stage.clients.ask("echo")["echoed"], rest);
    stage.clients.ask(&format!("close {rest}"));
    setrlimit(Resource::Nofile, limit).unwrap();
    stage.settle(usize::MAX);
    println!(
        "{waiting} waited; {} ms of CPU in {} s, worst echo {}, {reported} report, then {} more",
        used.as_millis(),
        FAILING.as_secs(),
        millis(echoed["worst"]),
        reports.load(Ordering::Relaxed) - reported,
    );
    let addr = stage.addr;
    // Stopping needs no descriptor either.
    let current = Some(next_descriptor());
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    stage.stop();
    setrlimit(Resource::Nofile, limit).unwrap();
    TcpListener::bind(addr).unwrap();
}

/// Returns the number of the next descriptor, which is the lowest that is free.
fn next_descriptor() -> u64 {
    let file = File::open("/dev/null").unwrap();
    file.as_raw_fd().try_into().unwrap()
}

/// Returns the CPU time that this process has used.
fn cpu_time() -> Duration {
    clock_gettime(ClockId::ProcessCPUTime).try_into().unwrap()
}
