//! Bodies of the fuzz targets: each takes bytes, makes what happens out of them, and panics where a promise
//! is broken. `fuzz/` gives them to libFuzzer; the tests of this crate run them over the committed corpus
//! and over bytes drawn from a seed.

pub mod binding;
pub mod connection;
pub mod deflate;
pub mod frame;
pub mod handshake_client;
pub mod handshake_server;
pub mod pair;
pub mod tally;
pub mod url_headers;

mod application;
mod choices;
mod cuts;
mod end;
mod entropy;
mod handshake;
mod heads;
mod inbox;
mod opening;
mod options;
mod outbox;
mod peer;
mod reference;
mod transport;
mod watch;
mod wire;
mod words;
