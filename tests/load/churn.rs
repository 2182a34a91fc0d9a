//! Many short visits, one after the other.

use crate::{
    bindings::Binding,
    stage::{SPREAD, Stage, millis, server},
};

/// The connections of a server on which at most [`clients::AT_ONCE`](crate::clients::churn::AT_ONCE) are open. The others
/// are those that the server has not forgotten yet.
const SLOTS: usize = 64;

/// In visits each second.
const RATE: usize = 200;

pub(crate) fn run<B: Binding>(sockets: usize) {
    let seconds = (sockets / 1000).clamp(3, 20);
    let mut stage = Stage::<B>::start(server::<B>().max_connections(SLOTS));
    let visits = seconds * RATE;
    let reply = stage.clients.ask(&format!("churn {visits} {RATE}"));
    assert_eq!(reply["done"], visits);
    let heap = stage.settle(usize::MAX).heap;
    // No visit has kept a slot.
    stage.clients.opens(SLOTS, SPREAD);
    assert_eq!(stage.clients.ask(&format!("open 1 {SPREAD}"))["opened"], 0);
    stage.clients.ask(&format!("close {SLOTS}"));
    stage.settle(usize::MAX);
    println!(
        "{visits} visits, {RATE} each second; median {}, worst {}; heap {} KiB afterwards",
        millis(reply["median"]),
        millis(reply["worst"]),
        heap >> 10,
    );
    stage.stop();
}
