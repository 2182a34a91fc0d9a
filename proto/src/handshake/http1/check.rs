//! The checks of an HTTP/1.1 request on the server, parsed here or by the caller (RFC 6455 §4.2.1), and the 101 (§4.2.2).

use alloc::string::String;

use bytes::Bytes;

use super::{error::RequestError, key, response::Method};
use crate::{
    config::Config,
    handshake::{
        answer::{Answer, Asked},
        error::AnswerError,
        headers::{Headers, Repeated},
        origin::{Origins, is_authority},
    },
    negotiated::Negotiated,
    text::utf8::Utf8Bytes,
};

/// Answers a request that another HTTP server has parsed. Returns the fields of the 101, and the negotiated
/// parameters for [`Connection::new`](crate::Connection::new), to be called after the 101 is written.
///
/// `subprotocols` are those that the server speaks; the first of the client's offers that is among them is picked.
/// Pages of any origin that is not among `origins` are refused with 403. You may add fields of your own. On an error,
/// send its [`response`](RequestError::response) and close.
pub fn respond<'a>(
    version: HttpVersion,
    method: &str,
    fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    subprotocols: &[&str],
    origins: Origins<'_>,
    config: &Config,
) -> Result<(Headers, Negotiated), RequestError> {
    let method = match version {
        HttpVersion::Http11 => check_method(method, Wanted::Upgrade)?,
        HttpVersion::Http10 => return Err(RequestError::Http10),
        HttpVersion::Other => return Err(RequestError::Version),
    };
    let mut headers = Headers::new();
    for (name, value) in fields {
        if headers.len() >= config.max_head_fields {
            return Err(RequestError::TooManyFields);
        }
        // `name: value`
        if name.len().saturating_add(value.len()).saturating_add(2) > config.max_head_line {
            return Err(RequestError::FieldTooLong);
        }
        let name = Utf8Bytes::from(name);
        let pushed = headers.push(name, Bytes::copy_from_slice(value));
        pushed.map_err(|_| RequestError::Syntax)?;
    }
    let accept = check_headers(&headers, method)?.ok_or(RequestError::NoUpgrade)?;
    let asked = Asked::checked(&headers);
    let answer = asked.respond(subprotocols, origins, config)?;
    Ok(switch(accept, answer))
}

/// The HTTP version of a request, as the server that parsed it reports it (see [`respond`]).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HttpVersion {
    /// HTTP/1.0, which has no `Upgrade`.
    Http10,
    /// HTTP/1.1. §4.2.1, item 1: "An HTTP/1.1 or higher GET request".
    Http11,
    /// Any other version. None of them has `Upgrade`, HTTP/2 and HTTP/3 included.
    Other,
}

/// The requests that the caller asks for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wanted {
    /// Only opening handshakes.
    Upgrade,
    /// Requests for a page as well.
    Any,
}

/// §4.1: "The method of the request MUST be GET"; methods are case-sensitive. A page may be asked for with a HEAD.
pub(super) fn check_method(method: &str, wanted: Wanted) -> Result<Method, RequestError> {
    match (method, wanted) {
        ("GET", _) => Ok(Method::Get),
        ("HEAD", Wanted::Any) => Ok(Method::Head),
        (_, Wanted::Upgrade) => Err(RequestError::Method),
        (_, Wanted::Any) => Err(RequestError::PageMethod),
    }
}

/// Checks the fields of a request. Returns the `Sec-WebSocket-Accept` of a valid opening handshake, and `None` for a
/// request that does not ask for a WebSocket.
pub(super) fn check_headers(
    headers: &Headers,
    method: Method,
) -> Result<Option<String>, RequestError> {
    check_body(headers)?;
    // §4.2.1, item 2: "A |Host| header field containing the server's authority."
    let host = headers
        .single("Host")
        .map_err(|Repeated| RequestError::Host)?;
    let host = host.and_then(|host| core::str::from_utf8(host).ok());
    if !host.is_some_and(is_authority) {
        return Err(RequestError::Host);
    }
    // Item 3: "containing the value "websocket"".
    if !headers.list_has("Upgrade", "websocket") {
        return Ok(None);
    }
    match method {
        Method::Get => check_upgrade(headers).map(Some),
        Method::Head => Err(RequestError::Method),
    }
}

/// Checks §4.2.1, items 4 to 10. Returns the `Sec-WebSocket-Accept`.
fn check_upgrade(headers: &Headers) -> Result<String, RequestError> {
    // Item 4: "that includes the token "Upgrade"".
    if !headers.list_has("Connection", "Upgrade") {
        return Err(RequestError::NoUpgrade);
    }
    // §11.3.1: the key "MUST NOT appear more than once". A request without one is older than version 13.
    let key = headers
        .single("Sec-WebSocket-Key")
        .map_err(|Repeated| RequestError::Key)?;
    let key = key.ok_or(RequestError::Key)?;
    Asked::new(headers)?;
    // Item 5: "when decoded, is 16 bytes in length".
    if !key::is_valid(key) {
        return Err(RequestError::Key);
    }
    Ok(key::accept(key))
}

/// Checks that the request has no body. Frames follow an upgrade, and nothing may mistake them for a body or a body
/// for frames.
fn check_body(headers: &Headers) -> Result<(), RequestError> {
    let length = headers
        .single("Content-Length")
        .map_err(|Repeated| RequestError::Body)?;
    let mut codings = headers.get_all("Transfer-Encoding").peekable();
    if codings.peek().is_some() {
        let known =
            length.is_some() || codings.all(|coding| coding.eq_ignore_ascii_case(b"chunked"));
        return Err(if known {
            RequestError::Body
        } else {
            RequestError::TransferCoding
        });
    }
    if length.is_some_and(|length| length.is_empty() || length.iter().any(|&digit| digit != b'0')) {
        return Err(RequestError::Body);
    }
    // RFC 9110 §10.1.1: "MUST NOT generate a 100-continue expectation in a request that does not
    // include content"; to any other a server "MAY respond with a 417".
    if headers.get("Expect").is_some() {
        Err(RequestError::Expectation)
    } else {
        Ok(())
    }
}

/// Returns the fields of the 101 (§4.2.2, item 5), and the parameters that it agrees to.
pub(super) fn switch(accept: String, answer: Answer) -> (Headers, Negotiated) {
    let mut headers = Headers::new();
    headers.set("Upgrade", "websocket");
    headers.set("Connection", "Upgrade");
    headers.set("Sec-WebSocket-Accept", accept);
    headers.append(answer.fields);
    (headers, answer.negotiated)
}

/// Checks that `extra` has no field that only the handshake itself may write.
pub(super) fn check_extra(extra: &Headers) -> Result<(), AnswerError> {
    let reserved = ["Sec-WebSocket-Protocol"].into_iter().chain(RESERVED);
    match reserved.into_iter().find(|name| extra.get(name).is_some()) {
        Some(name) => Err(AnswerError::Reserved(name)),
        None => Ok(()),
    }
}

/// The fields that only the handshake writes, or that would change where its head ends.
pub(super) const RESERVED: [&str; 8] = [
    "Upgrade",
    "Connection",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Accept",
    "Sec-WebSocket-Extensions",
    "Content-Length",
    "Transfer-Encoding",
];
