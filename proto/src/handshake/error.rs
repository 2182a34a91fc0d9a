//! Errors in what the two ends ask for and answer, independent of the version of HTTP.

use core::fmt;

use crate::error::EntropyError;

/// The client's request is not valid, or not allowed (RFC 6455 §4.2.1, §4.2.2).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// `Sec-WebSocket-Version` is not 13.
    Version,
    /// `Sec-WebSocket-Version` is repeated.
    Versions,
    /// `Sec-WebSocket-Protocol` is not a list of distinct tokens.
    Subprotocol,
    /// `Sec-WebSocket-Extensions` is malformed.
    Extensions,
    /// `Origin` is repeated, or not text.
    Origin,
    /// The page that sent the request is from an origin that is not allowed (RFC 6455 §10.2).
    ForeignOrigin,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Version => "the request's Sec-WebSocket-Version is not 13",
            Self::Versions => "the request has several Sec-WebSocket-Version fields",
            Self::Subprotocol => "the request's Sec-WebSocket-Protocol is not valid",
            Self::Extensions => "the request's Sec-WebSocket-Extensions is not valid",
            Self::Origin => "the request does not have one valid Origin field",
            Self::ForeignOrigin => "the request is from a page of an origin that is not allowed",
        })
    }
}

impl core::error::Error for Refusal {}

/// The server's answer does not match the client's request (RFC 6455 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Disagreement {
    /// `Sec-WebSocket-Extensions` is empty, malformed or repeated.
    Extensions,
    /// The server picked an extension that was not offered, or more than one.
    Extension,
    /// The parameters of an extension are not valid, or do not answer the offer (RFC 7692 §7).
    ExtensionParameters,
    /// `Sec-WebSocket-Protocol` is empty, not one token, or repeated.
    Subprotocols,
    /// The server picked a subprotocol that was not offered.
    Subprotocol,
    /// The server picked no subprotocol, and [`require_subprotocol`](crate::Config::require_subprotocol) is on.
    NoSubprotocol,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Extensions => "the server's Sec-WebSocket-Extensions is not one valid list",
            Self::Extension => "the server picked an extension that was not offered",
            Self::ExtensionParameters => {
                "the server's parameters of an extension do not answer the offer"
            }
            Self::Subprotocols => "the server's Sec-WebSocket-Protocol is not one token",
            Self::Subprotocol => "the server picked a subprotocol that was not offered",
            Self::NoSubprotocol => "the server picked none of the subprotocols that were offered",
        })
    }
}

impl core::error::Error for Disagreement {}

/// The caller's request cannot become a valid opening handshake. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OfferError {
    /// The target does not begin with `/`, or has a character that must be escaped, or a fragment
    /// (RFC 6455 §3).
    Target,
    /// `Host` is missing, repeated, or not a host with at most a port.
    Host,
    /// A field that only the handshake itself may write.
    Reserved(&'static str),
    /// A subprotocol is not a token, or is offered twice (§4.1).
    Subprotocol,
    /// The source of randomness failed, so there is no key.
    Entropy,
}

impl From<EntropyError> for OfferError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

impl fmt::Display for OfferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "the request target is not a valid path and query",
            Self::Host => "the request needs one valid Host field",
            Self::Reserved(name) => return write!(f, "{name} is written by the handshake itself"),
            Self::Subprotocol => "the subprotocols are not distinct tokens",
            Self::Entropy => return EntropyError.fmt(f),
        })
    }
}

impl core::error::Error for OfferError {}

/// The caller's answer would be refused by every client. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AnswerError {
    /// The client did not offer this subprotocol (RFC 6455 §4.2.2).
    NotOffered,
    /// A field that only the handshake itself may write.
    Reserved(&'static str),
}

impl fmt::Display for AnswerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOffered => f.write_str("the client did not offer this subprotocol"),
            Self::Reserved(name) => write!(f, "{name} is written by the handshake itself"),
        }
    }
}

impl core::error::Error for AnswerError {}
