//! The server: which networks its proxies are in, and which client a connection is from.

pub(crate) mod subnet;

pub use subnet::{Subnet, SubnetError};
