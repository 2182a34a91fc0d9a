//! Thousands of sockets at once, which leave in every way.

use std::time::Instant;

use crate::{
    bindings::Binding,
    stage::{SPREAD, Stage, eventually, millis, server},
};

/// The bytes by which the heap may grow between two rounds of the same size, because pools have kept more, besides what
/// the queues of a runtime have kept.
const KEPT: usize = 64 << 10;

pub(crate) fn run<B: Binding>(sockets: usize) {
    let sockets = sockets / B::DIVISOR;
    let mut stage = Stage::<B>::start(server::<B>().max_connections(sockets));
    let heap = stage.remember();
    // The first round makes queues and pools as large as they become.
    round(&mut stage, sockets);
    let first = stage.remember();
    let begin = Instant::now();
    let (most, worst) = round(&mut stage, sockets);
    let time = begin.elapsed();
    stage.settle(KEPT + sockets * B::QUEUES);
    let last = stage.remember();
    println!(
        "{sockets} sockets in {:.1} s, worst echo {}, heap {} KiB each; kept {} KiB, then {} KiB",
        time.as_secs_f64(),
        millis(worst),
        (most.saturating_sub(first) / sockets) >> 10,
        first.saturating_sub(heap) >> 10,
        last.saturating_sub(heap) >> 10,
    );
    stage.stop();
}

/// Opens the sockets, lets each echo while all are open, and ends them by a Close, a reset, an end of the connection and
/// the tracker. Returns the most bytes of heap, and the worst time of an echo.
fn round<B: Binding>(stage: &mut Stage<B>, sockets: usize) -> (usize, usize) {
    stage.clients.opens(sockets, SPREAD);
    eventually("all are open", || stage.tracker.count() == sockets);
    let echoed = stage.clients.ask("echo");
    assert_eq!(echoed["echoed"], sockets);
    let most = stage.now().heap;
    let kept = stage.clients.ask("leave")["kept"];
    eventually("the others have left", || stage.tracker.count() == kept);
    for socket in stage.tracker.list() {
        assert!(stage.tracker.abort(socket.id));
    }
    assert_eq!(stage.clients.ask("lost")["lost"], kept);
    (most, echoed["worst"])
}
