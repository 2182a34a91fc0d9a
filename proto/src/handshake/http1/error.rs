//! The errors of an HTTP/1.1 handshake, and whose fault each is.

use alloc::boxed::Box;
use core::fmt;

use super::response::Response;
use crate::{
    error::{Deadline, Lost},
    handshake::error::{Disagreement, Refusal},
};

/// The reason why there is no connection.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The client's request is not a valid opening handshake. The [`Exchange`](crate::handshake::Exchange) holds
    /// the answer for the client.
    Request(RequestError),
    /// The server's response is not valid.
    Response(ResponseError),
    /// The server refused. This is its response, with the part of the body that was received.
    Refused(Box<Response>),
    /// The peer's head was not complete within
    /// [`handshake_timeout`](crate::Config::handshake_timeout).
    TimedOut,
    /// The transport ended before the peer sent anything.
    Lost(Lost),
    /// The transport ended within the peer's head.
    Truncated(Lost),
}

impl HandshakeError {
    /// Returns the server's response, if it refused.
    pub fn response(&self) -> Option<&Response> {
        match self {
            Self::Refused(response) => Some(response),
            _ => None,
        }
    }
}

impl From<RequestError> for HandshakeError {
    fn from(error: RequestError) -> Self {
        Self::Request(error)
    }
}

impl From<ResponseError> for HandshakeError {
    fn from(error: ResponseError) -> Self {
        Self::Response(error)
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request(error) => error.fmt(f),
            Self::Response(error) => error.fmt(f),
            Self::Refused(response) => {
                write!(
                    f,
                    "the server refused the connection with status {}",
                    response.status
                )
            }
            Self::TimedOut => Deadline::Handshake.fmt(f),
            Self::Lost(lost) => write!(
                f,
                "the transport {} before the peer sent anything",
                end(*lost)
            ),
            Self::Truncated(lost) => write!(
                f,
                "the transport {} within the opening handshake",
                end(*lost)
            ),
        }
    }
}

impl core::error::Error for HandshakeError {}

const fn end(lost: Lost) -> &'static str {
    match lost {
        Lost::Eof => "ended",
        Lost::Reset => "was reset",
        Lost::Failed => "failed",
    }
}

/// The client's request is not a valid opening handshake (RFC 6455 §4.2.1). Each error has the status of the answer
/// to the client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum RequestError {
    /// 400: the head is not HTTP/1.1.
    Syntax,
    /// 505: another version of HTTP.
    Version,
    /// 400: HTTP/1.0, which has no `Upgrade`.
    Http10,
    /// 405: the method is not GET.
    Method,
    /// 405: the method is neither GET nor HEAD, where pages are served as well
    /// ([`poll_any`](crate::handshake::Server::poll_any)).
    PageMethod,
    /// 400: a request target that names no resource.
    Target,
    /// 414: the request line exceeds [`max_head_line`](crate::Config::max_head_line).
    TargetTooLong,
    /// 431: a field exceeds [`max_head_line`](crate::Config::max_head_line).
    FieldTooLong,
    /// 431: there are more fields than [`max_head_fields`](crate::Config::max_head_fields).
    TooManyFields,
    /// 431: the head exceeds [`max_head_size`](crate::Config::max_head_size).
    HeadTooLarge,
    /// 400: there is a body, or a length that might announce one.
    Body,
    /// 501: a transfer coding that is not understood.
    TransferCoding,
    /// 417: there is an `Expect` field, but no body to wait for.
    Expectation,
    /// 400: `Host` is missing, repeated, or not a host.
    Host,
    /// 426: no `Upgrade: websocket`, or no `Connection: Upgrade`.
    NoUpgrade,
    /// 400: `Sec-WebSocket-Key` is missing, repeated, or not 16 bytes of base64.
    Key,
    /// 400: `Sec-WebSocket-Version` is repeated.
    Versions,
    /// 426: `Sec-WebSocket-Version` is not 13.
    WebSocketVersion,
    /// 400: `Sec-WebSocket-Protocol` is not a list of distinct tokens.
    Subprotocol,
    /// 400: `Sec-WebSocket-Extensions` is malformed.
    Extensions,
    /// 400: `Origin` is repeated, or not text.
    Origin,
    /// 403: the page that sent the request is from an origin that is not allowed (RFC 6455 §10.2).
    ForeignOrigin,
}

impl RequestError {
    /// Returns the status of the answer to the client.
    pub const fn status(self) -> u16 {
        match self {
            Self::ForeignOrigin => 403,
            Self::Method | Self::PageMethod => 405,
            Self::TargetTooLong => 414,
            Self::Expectation => 417,
            Self::NoUpgrade | Self::WebSocketVersion => 426,
            Self::FieldTooLong | Self::TooManyFields | Self::HeadTooLarge => 431,
            Self::TransferCoding => 501,
            Self::Version => 505,
            _ => 400,
        }
    }

    /// Returns the answer to the client: the status, the fields that belong to it, and a line of text. It contains
    /// nothing of the request.
    pub fn response(self) -> Response {
        let mut response = Response::text(self.status(), self);
        let headers = &mut response.headers;
        match self.status() {
            // RFC 9110 §15.5.6: "MUST generate an Allow header field in a 405 response".
            405 if self == Self::PageMethod => headers.set("Allow", "GET, HEAD"),
            405 => headers.set("Allow", "GET"),
            426 => {
                // RFC 9110 §15.5.22: "MUST send an Upgrade header field in a 426 response"; §7.8: a sender of
                // `Upgrade` "MUST also send an "Upgrade" connection option".
                headers.set("Upgrade", "websocket");
                headers.set("Connection", "Upgrade");
                // §4.4: "MUST respond with a |Sec-WebSocket-Version| header field".
                headers.set("Sec-WebSocket-Version", "13");
            }
            _ => {}
        }
        response
    }
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the request is not valid HTTP/1.1",
            Self::Version => "the request uses a version of HTTP that is not supported",
            Self::Http10 => "the request is HTTP/1.0, but a WebSocket needs HTTP/1.1",
            Self::Method => "the request's method is not GET",
            Self::PageMethod => "the request's method is neither GET nor HEAD",
            Self::Target => "the request's target is not valid",
            Self::TargetTooLong => "the request line is too long (max_head_line)",
            Self::FieldTooLong => "a header field of the request is too long (max_head_line)",
            Self::TooManyFields => "the request has too many header fields (max_head_fields)",
            Self::HeadTooLarge => "the head of the request is too large (max_head_size)",
            Self::Body => "the request has a body, or a length that is not valid",
            Self::TransferCoding => "the request has an unknown transfer coding",
            Self::Expectation => "the request has an Expect field",
            Self::Host => "the request does not have one valid Host field",
            Self::NoUpgrade => "the request does not ask to upgrade to websocket",
            Self::Key => "the request does not have one valid Sec-WebSocket-Key field",
            Self::Versions => return Refusal::Versions.fmt(f),
            Self::WebSocketVersion => return Refusal::Version.fmt(f),
            Self::Subprotocol => return Refusal::Subprotocol.fmt(f),
            Self::Extensions => return Refusal::Extensions.fmt(f),
            Self::Origin => return Refusal::Origin.fmt(f),
            Self::ForeignOrigin => return Refusal::ForeignOrigin.fmt(f),
        })
    }
}

impl core::error::Error for RequestError {}

impl From<Refusal> for RequestError {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Version => Self::WebSocketVersion,
            Refusal::Versions => Self::Versions,
            Refusal::Subprotocol => Self::Subprotocol,
            Refusal::Extensions => Self::Extensions,
            Refusal::Origin => Self::Origin,
            Refusal::ForeignOrigin => Self::ForeignOrigin,
        }
    }
}

/// The server's response is not valid (RFC 6455 §4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ResponseError {
    /// The head is not HTTP/1.1.
    Syntax,
    /// A line exceeds [`max_head_line`](crate::Config::max_head_line).
    LineTooLong,
    /// There are more fields than [`max_head_fields`](crate::Config::max_head_fields).
    TooManyFields,
    /// The head, together with the interim responses before it, exceeds
    /// [`max_head_size`](crate::Config::max_head_size).
    HeadTooLarge,
    /// There are more interim responses than
    /// [`max_interim_responses`](crate::Config::max_interim_responses).
    TooManyInterim,
    /// The server switches protocols in HTTP/1.0, which has no `Upgrade`.
    Version,
    /// `Upgrade` is not exactly `websocket`.
    Upgrade,
    /// `Connection` has no `Upgrade`.
    Connection,
    /// `Sec-WebSocket-Accept` is missing, repeated, or does not match our key.
    Accept,
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

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "the server's response is not valid HTTP/1.1",
            Self::LineTooLong => "a line of the server's response is too long (max_head_line)",
            Self::TooManyFields => {
                "the server's response has too many header fields (max_head_fields)"
            }
            Self::HeadTooLarge => "the head of the server's response is too large (max_head_size)",
            Self::TooManyInterim => {
                "the server sent too many interim responses (max_interim_responses)"
            }
            Self::Version => "the server switched protocols in HTTP/1.0",
            Self::Upgrade => "the server did not upgrade to websocket",
            Self::Connection => "the server's response has no Connection: Upgrade",
            Self::Accept => "the server's Sec-WebSocket-Accept does not match our key",
            Self::Extensions => return Disagreement::Extensions.fmt(f),
            Self::Extension => return Disagreement::Extension.fmt(f),
            Self::ExtensionParameters => return Disagreement::ExtensionParameters.fmt(f),
            Self::Subprotocols => return Disagreement::Subprotocols.fmt(f),
            Self::Subprotocol => return Disagreement::Subprotocol.fmt(f),
            Self::NoSubprotocol => return Disagreement::NoSubprotocol.fmt(f),
        })
    }
}

impl core::error::Error for ResponseError {}

impl From<Disagreement> for ResponseError {
    fn from(disagreement: Disagreement) -> Self {
        match disagreement {
            Disagreement::Extensions => Self::Extensions,
            Disagreement::Extension => Self::Extension,
            Disagreement::ExtensionParameters => Self::ExtensionParameters,
            Disagreement::Subprotocols => Self::Subprotocols,
            Disagreement::Subprotocol => Self::Subprotocol,
            Disagreement::NoSubprotocol => Self::NoSubprotocol,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handshake::{NotAccepted, OfferError};

    #[test]
    fn errors_are_small() {
        assert!(size_of::<HandshakeError>() <= 32);
        assert!(size_of::<OfferError>() <= 32);
        assert!(size_of::<NotAccepted>() <= 32);
    }
}
