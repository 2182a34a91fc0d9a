//! Seeded conversations: thousands in each run of the tests, and any of them again by its seed.
//!
//! ```sh
//! BOWLINE_SEED=4711 cargo test -p bowline-testing --test simulation pairs
//! BOWLINE_RUNS=1000000 cargo test --release -p bowline-testing --test simulation -- --nocapture
//! ```

use std::{collections::BTreeMap, env, panic, thread, time::Instant};

use bowline_testing::bodies::{connection, no_proxy, pair, proxy_protocol, tally, tunnel};

#[test]
fn connections() {
    let counts = simulate("connections", 5_000, connection::run);
    assert_happened(
        &counts,
        &[
            "message",
            "chunk",
            "last chunk",
            "Ping",
            "Pong",
            "Close",
            "sent compressed",
            "streamed compressed",
            "keep-alive",
            "unsolicited Pong",
            "abort",
            "Lost(Eof",
            "Lost(Reset",
            "Lost(Failed",
            "TimedOut(Pong",
            "TimedOut(Close",
            "TimedOut(Write",
            "TimedOut(Message",
            "TimedOut(Idle",
            "Entropy",
            "Protocol(ReservedBits",
            "Protocol(Opcode",
            "Protocol(FragmentedControl",
            "Protocol(ControlTooLong",
            "Protocol(Unmasked",
            "Protocol(Masked",
            "Protocol(Length",
            "Protocol(Continuation",
            "Protocol(Interleaved",
            "Protocol(Utf",
            "Protocol(Deflate",
            "Protocol(CloseBody",
            "Protocol(CloseCode",
            "Protocol(FrameTooBig",
            "Protocol(MessageTooBig",
            "Protocol(StreamTooBig",
            "Protocol(TooManyFragments",
        ],
    );
}

#[test]
fn pairs() {
    let counts = simulate("pairs", 1_200, pair::run);
    assert_happened(
        &counts,
        &[
            "message",
            "chunk",
            "last chunk",
            "Ping",
            "Pong",
            "Close",
            "sent compressed",
            "streamed compressed",
            "keep-alive",
            "unsolicited Pong",
            "clean pair",
            "disturbed pair",
            "broken transport",
            "TimedOut(Pong",
            "TimedOut(Close",
            "TimedOut(Write",
            "Lost(Eof",
            "Lost(Reset",
        ],
    );
}

#[test]
fn tunnels() {
    let counts = simulate("tunnels", 20_000, tunnel::dialogue);
    assert_happened(
        &counts,
        &[
            "HTTP: open",
            "HTTP: refused",
            "HTTP: failed",
            "SOCKS: open",
            "SOCKS: syntax",
            "SOCKS: no credentials",
            "SOCKS: no method",
            "SOCKS: denied",
            "SOCKS: refused",
            "SOCKS: ended",
        ],
    );
}

#[test]
fn proxies_of_the_environment() {
    let counts = simulate("lists", 5_000, no_proxy::run);
    assert_happened(
        &counts,
        &[
            "by a proxy",
            "this machine",
            "listed",
            "no proxy at all",
            "`*`",
            "a domain",
            "a domain with a port",
            "an address",
            "an address with a port",
            "a network",
        ],
    );
}

#[test]
fn headers_of_the_proxy_protocol() {
    let counts = simulate("headers", 20_000, proxy_protocol::run);
    assert_happened(
        &counts,
        &[
            "a line of a client",
            "a line of the proxy",
            "binary of a client",
            "binary of the proxy",
            "cut short",
            "Missing",
            "Line",
            "Unassigned",
            "TooShort",
            "TooLong",
        ],
    );
}

fn assert_happened(counts: &BTreeMap<String, u64>, wanted: &[&str]) {
    if env::var("BOWLINE_SEED").is_ok() {
        return;
    }
    let missing = wanted.iter().filter(|what| !counts.contains_key(**what));
    assert_eq!(missing.collect::<Vec<_>>(), [&""; 0], "it never happened");
}

/// Runs the seed that is asked for, or `runs` of them; tells what happened.
fn simulate(name: &str, runs: u64, run: fn(&[u8])) -> BTreeMap<String, u64> {
    let number = |variable| env::var(variable).ok().map(|value| value.parse().unwrap());
    if let Some(seed) = number("BOWLINE_SEED") {
        tally::take();
        run(&bytes(seed));
        return tally::take();
    }
    let runs = number("BOWLINE_RUNS").unwrap_or(runs);
    let threads = thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let start = Instant::now();
    let workers: Vec<_> = (0..threads)
        .map(|first| {
            thread::spawn(move || {
                tally::take();
                for seed in (first..runs).step_by(threads as usize) {
                    let data = bytes(seed);
                    if let Err(panic) = panic::catch_unwind(|| run(&data)) {
                        eprintln!("again: BOWLINE_SEED={seed}");
                        panic::resume_unwind(panic);
                    }
                }
                tally::take()
            })
        })
        .collect();
    let mut counts = BTreeMap::new();
    for worker in workers {
        for (what, count) in worker.join().expect("no conversation fails") {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{name}: {runs} in {:?}: {counts:#?}", start.elapsed());
    counts
}

/// 32 to 512 bytes that belong to `seed` (SplitMix64).
fn bytes(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mut next = || {
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    };
    let len = 32 << (next() % 5);
    (0..len).map(|_| next() as u8).collect()
}
