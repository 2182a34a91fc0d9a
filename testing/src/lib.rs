//! Shared parts of the tests of several crates, which no published crate needs: ends and links for the core, worlds
//! with virtual time for the drivers, certificates, and the bodies of the fuzz targets.
#![allow(
    missing_docs,
    missing_debug_implementations,
    reason = "only tests use it, and a name says enough"
)]

#[cfg(feature = "bodies")]
pub mod bodies;
#[cfg(feature = "catalogue")]
pub mod catalogue;
#[cfg(feature = "certificates")]
pub mod certificates;
pub mod ends;
pub mod frames;
#[cfg(target_os = "linux")]
pub mod held;
pub mod polls;
pub mod rfc1951;
#[cfg(feature = "threads")]
pub mod threads;
#[cfg(feature = "world")]
pub mod world;
