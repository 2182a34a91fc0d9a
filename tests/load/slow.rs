//! Clients that send their requests byte by byte, and an honest one that connects meanwhile.

use crate::{
    bindings::Binding,
    footprint::{descriptors, most_descriptors},
    stage::{Reply, Stage, eventually, millis, server},
};

/// How often the honest client connects.
const HONEST: usize = 20;

pub(crate) fn run<B: Binding>(sockets: usize) {
    let slow = sockets / 2 / B::DIVISOR;
    let limit = (slow / 4).min(1024);
    let mut stage = Stage::<B>::start(server::<B>().max_handshakes(limit));
    let before = descriptors();
    // Within a second there are at most as many newcomers as there may be handshakes, so an honest client has a second.
    let order = format!("slow {slow} {limit} {HONEST}");
    let (reply, most) = most_descriptors(|| stage.clients.ask(&order));
    assert_eq!(reply["honest"], HONEST);
    // Counting needs a descriptor.
    eventually("no more are in their handshake", || {
        descriptors() <= before + limit
    });
    let mut left = Reply::new();
    eventually("the oldest are closed", || {
        left = stage.clients.ask(&format!("slow_left {limit}"));
        left["open"] == slow - left["first"]
    });
    assert!(left["open"] <= limit, "{left:?}");
    // Each of the honest clients has taken the place of a slow one for a moment.
    assert!(
        left["open"] + HONEST + reply["retries"] >= limit,
        "{left:?}"
    );
    stage.clients.ask("slow_leave");
    stage.settle(usize::MAX);
    println!(
        "{slow} slow clients, {} left of {limit} at most, {} descriptors at most; honest: median {}, worst {} (goal: 50 ms), {} \
         tried again",
        left["open"],
        most,
        millis(reply["median"]),
        millis(reply["worst"]),
        reply["retries"],
    );
    stage.stop();
}
