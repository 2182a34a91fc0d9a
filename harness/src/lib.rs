//! Bodies of the fuzz targets: each takes bytes, makes what happens out of them, and panics where a promise
//! is broken. `fuzz/` gives them to libFuzzer; the tests of this crate run them over the committed corpus
//! and over bytes drawn from a seed.

pub mod connection;
pub mod pair;
pub mod tally;

mod application;
mod choices;
mod end;
mod entropy;
mod inbox;
mod link;
mod opening;
mod options;
mod outbox;
mod peer;
mod reference;
#[allow(unreachable_pub, reason = "the tests of the core have it too")]
#[path = "../../proto/tests/support/strict.rs"]
mod strict;
mod watch;
mod wire;
