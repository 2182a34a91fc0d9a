//! The opening handshake (RFC 6455 §4).

use alloc::string::String;

/// What both ends agreed on in the opening handshake.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The subprotocol, if one was picked.
    pub subprotocol: Option<String>,
}
