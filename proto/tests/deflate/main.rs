//! Compression: interoperability with other implementations, its options, and its cost.

mod bombs;
mod chunks;
mod options;
mod others;
mod prepared;
mod uncompressed;

const KIB: u64 = 1 << 10;
