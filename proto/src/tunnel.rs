//! Tunnels through proxies: HTTP CONNECT (RFC 9110 §9.3.6) and SOCKS5 (RFC 1928, RFC 1929).
//!
//! Each machine has the verbs of the opening handshake: a driver serves its [`Exchange`](crate::handshake::Exchange), and
//! polls it until it returns the bytes that came after the proxy's answer. From then on the transport leads to the server.

mod connect;
mod socks5;

pub use connect::HttpTunnel;
pub use socks5::{Socks5, SocksError, Target};
