//! Bodies of the fuzz targets: each takes bytes, makes what happens out of them, and panics where a promise
//! is broken. `fuzz/` gives them to libFuzzer; the tests of this crate run them over the committed corpus
//! and over bytes drawn from a seed.

pub mod deflate;
pub mod frame;
pub mod handshake_client;
pub mod handshake_server;
pub mod url_headers;

mod cuts;
mod heads;
mod rfc1951;
mod transport;
