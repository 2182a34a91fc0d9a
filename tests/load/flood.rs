//! More clients than each limit lets in, while those inside go on echoing.

use bind::Server;

use crate::{
    bindings::Binding,
    footprint::most_descriptors,
    stage::{SPREAD, Stage, millis, server},
};

/// How many clients of a full server are answered at a time.
const ANSWERED: usize = 64;

pub(crate) fn run<B: Binding>(sockets: usize) {
    let (inside, flood) = (sockets / 20 / B::DIVISOR, sockets / 2 / B::DIVISOR);
    let full = server::<B>().max_connections(inside);
    requests::<B>("max_connections", full, inside, flood);
    let few = server::<B>().max_per_address(inside);
    requests::<B>("max_per_address", few, inside, flood);
    let full = server::<B>().max_connections(inside);
    let descriptors = silence::<B>("answers when full", full, inside, flood, ANSWERED);
    // The others are closed at once. One is being accepted, and counting needs one.
    assert!(descriptors <= ANSWERED + 8, "{descriptors}");
    let limit = inside / 2;
    let few = server::<B>().max_handshakes(limit);
    silence::<B>("max_handshakes", few, inside, flood, limit);
}

/// Floods a server on which `inside` clients fill their limit with requests.
fn requests<B: Binding>(what: &str, server: Server<B::Host>, inside: usize, flood: usize) {
    let mut stage = Stage::<B>::start(server);
    stage.clients.opens(inside, 1);
    let reply = stage.clients.ask(&format!("flood {flood} 1"));
    assert_eq!(reply["opened"], 0, "{reply:?}");
    assert_eq!(reply["refused"] + reply["closed"], flood, "{reply:?}");
    assert!(reply["refused"] > 0, "{reply:?}");
    if what == "max_per_address" {
        stage.clients.opens(1, 2);
        stage.clients.ask("close 1");
    }
    assert_eq!(stage.clients.ask("echo")["echoed"], inside);
    stage.clients.ask(&format!("close {inside}"));
    stage.settle(usize::MAX);
    stage.clients.opens(inside, 1);
    stage.clients.ask(&format!("close {inside}"));
    stage.settle(usize::MAX);
    println!(
        "{what} {inside}: {flood} more, {} answered with 503, {} closed; {} echoes inside, worst {}",
        reply["refused"],
        reply["closed"],
        reply["echoes"],
        millis(reply["worst"]),
    );
    stage.stop();
}

/// Floods a server with connections that send nothing, of which it keeps at most `most`. Returns the most descriptors
/// that this took.
fn silence<B: Binding>(
    what: &str,
    server: Server<B::Host>,
    inside: usize,
    flood: usize,
    most: usize,
) -> usize {
    let mut stage = Stage::<B>::start(server);
    // One after the other, because that many handshakes at once may be too many.
    (0..inside).for_each(|_| stage.clients.opens(1, SPREAD));
    let order = format!("silence {flood} {most}");
    let (reply, descriptors) = most_descriptors(|| stage.clients.ask(&order));
    assert!(reply["open"] <= most, "{reply:?}");
    assert_eq!(stage.clients.ask("echo")["echoed"], inside);
    stage.clients.ask(&format!("close {inside}"));
    stage.clients.ask("slow_leave");
    stage.settle(usize::MAX);
    (0..inside).for_each(|_| stage.clients.opens(1, SPREAD));
    stage.clients.ask(&format!("close {inside}"));
    stage.settle(usize::MAX);
    println!(
        "{what} {most}: {flood} that say nothing, {} still open, {descriptors} descriptors at most; {} echoes of {inside} inside, worst {}",
        reply["open"],
        reply["echoes"],
        millis(reply["worst"]),
    );
    stage.stop();
    descriptors
}
