//! Compression against other implementations, its options, and what it costs.

mod bombs;
mod chunks;
mod options;
mod others;
mod prepared;
mod uncompressed;

const KIB: u64 = 1 << 10;
