//! The server: which networks its proxies are in, and which client a connection is from.

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the server will ask who its client is")
)]
mod forwarded;
pub(crate) mod subnet;

pub use subnet::{Subnet, SubnetError};
