//! What can go wrong in what both ends ask for and answer, whatever version of HTTP it is told in.

use core::fmt;

use crate::error::EntropyError;

/// What a client asks for is not valid, or not let in (RFC 6455 §4.2.1, §4.2.2).
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
    /// The page that asks is from an origin that is not let in (RFC 6455 §10.2).
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
            Self::ForeignOrigin => "the request is from a page of an origin that is not let in",
        })
    }
}

impl core::error::Error for Refusal {}

/// What a server answered does not go with what it was asked for (RFC 6455 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Disagreement {
    /// `Sec-WebSocket-Extensions` is empty, malformed or repeated.
    Extensions,
    /// An extension that was not offered, or more than one.
    Extension,
    /// Parameters of an extension that are not valid, or do not answer the offer (RFC 7692 §7).
    ExtensionParameters,
    /// `Sec-WebSocket-Protocol` is empty, not one token, or repeated.
    Subprotocols,
    /// A subprotocol that was not offered.
    Subprotocol,
    /// No subprotocol, and [`require_subprotocol`](crate::Config::require_subprotocol) is on.
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

/// A request that no valid opening handshake can be made of: the caller's side. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum OfferError {
    /// The target does not begin with `/`, or has a character that must be escaped, or a fragment
    /// (RFC 6455 §3).
    Target,
    /// `Host` is missing, repeated, or not a host with at most a port.
    Host,
    /// A field that the handshake itself writes.
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

/// An answer that no client would take: the caller's side. Nothing was sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AnswerError {
    /// The client did not offer this subprotocol (RFC 6455 §4.2.2).
    NotOffered,
    /// A field that the handshake itself writes.
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
