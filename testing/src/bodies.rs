//! The bodies of the fuzz targets. Each takes bytes, derives a sequence of events from them, and panics if a
//! promise is broken. `fuzz/` runs them with libFuzzer; the tests of this crate run them on the committed corpus
//! and on bytes generated from a seed.

pub mod binding;
pub mod connection;
pub mod deflate;
pub mod frame;
pub mod handshake_client;
pub mod handshake_server;
pub mod no_proxy;
pub mod pair;
pub mod proxy_protocol;
pub mod tally;
pub mod tunnel;
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
