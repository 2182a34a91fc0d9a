//! What a server checks of a request, whoever parsed it (RFC 6455 §4.2.1), and the 101 (§4.2.2).

use alloc::{borrow::ToOwned, collections::BTreeSet, string::String};

use bytes::Bytes;

use super::{
    deflate,
    error::{AnswerError, RequestError},
    extensions,
    headers::{Headers, Repeated, is_token},
    http1::key,
    origin::{self, is_authority},
};
use crate::{config::Config, negotiated::Negotiated, text::utf8::Utf8Bytes};

/// Answers a request that another HTTP server has parsed: the fields of the 101, and what to give to
/// [`Connection::new`](crate::Connection::new) once it is written.
///
/// `subprotocols` are those that the server speaks; the first of the client's offers that is among them
/// is picked. If there are `origins`, pages of others are refused with 403, as told at
/// [`Incoming::origin_allowed`](super::Incoming::origin_allowed). Add fields of your own as you like. On
/// failure send the error's [`response`](RequestError::response) and close.
pub fn respond<'a>(
    version: HttpVersion,
    method: &str,
    fields: impl IntoIterator<Item = (&'a str, &'a [u8])>,
    subprotocols: &[&str],
    origins: Option<&[&str]>,
    config: &Config,
) -> Result<(Headers, Negotiated), RequestError> {
    match version {
        HttpVersion::Http11 => check_method(method)?,
        HttpVersion::Http10 => return Err(RequestError::Http10),
        HttpVersion::Other => return Err(RequestError::Version),
    }
    let mut headers = Headers::new();
    for (name, value) in fields {
        if headers.len() >= config.max_head_fields {
            return Err(RequestError::TooManyFields);
        }
        // `name: value`
        if name.len().saturating_add(value.len()).saturating_add(2) > config.max_head_line {
            return Err(RequestError::FieldTooLong);
        }
        let name = Utf8Bytes::copy_from(name);
        let pushed = headers.push(name, Bytes::copy_from_slice(value));
        pushed.map_err(|_| RequestError::Syntax)?;
    }
    let accept = check_headers(&headers)?;
    if origins.is_some_and(|origins| !origin_allowed(&headers, origins)) {
        return Err(RequestError::ForeignOrigin);
    }
    let subprotocol = pick(&headers, subprotocols).map(ToOwned::to_owned);
    Ok(switch(accept, subprotocol, &headers, config))
}

/// The version of HTTP that a request is written in, as another server tells it (see [`respond`]).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum HttpVersion {
    /// HTTP/1.0, which has no `Upgrade`.
    Http10,
    /// HTTP/1.1. §4.2.1, item 1: "An HTTP/1.1 or higher GET request".
    Http11,
    /// Before, and behind: what has no `Upgrade` either, as HTTP/2 and HTTP/3.
    Other,
}

/// Whether `headers` tell no origin, or one of `origins`.
pub(super) fn origin_allowed(headers: &Headers, origins: &[&str]) -> bool {
    let origin = headers.get("Origin");
    origin.is_none_or(|origin| {
        core::str::from_utf8(origin).is_ok_and(|origin| origin::is_listed(origin, origins))
    })
}

/// §4.1: "The method of the request MUST be GET"; methods have a case.
pub(super) fn check_method(method: &str) -> Result<(), RequestError> {
    if method == "GET" {
        Ok(())
    } else {
        Err(RequestError::Method)
    }
}

/// §4.2.1, items 2 to 10. The `Sec-WebSocket-Accept` of a valid request.
pub(super) fn check_headers(headers: &Headers) -> Result<String, RequestError> {
    check_body(headers)?;
    // §4.2.1, item 2: "A |Host| header field containing the server's authority."
    let host = headers
        .single("Host")
        .map_err(|Repeated| RequestError::Host)?;
    let host = host.and_then(|host| core::str::from_utf8(host).ok());
    if !host.is_some_and(is_authority) {
        return Err(RequestError::Host);
    }
    // Items 3 and 4: "containing the value "websocket"", "that includes the token "Upgrade"".
    if !headers.list_has("Upgrade", "websocket") || !headers.list_has("Connection", "Upgrade") {
        return Err(RequestError::NoUpgrade);
    }
    // §11.3.1: the key "MUST NOT appear more than once". What has none is from before version 13.
    let key = headers
        .single("Sec-WebSocket-Key")
        .map_err(|Repeated| RequestError::Key)?;
    let key = key.ok_or(RequestError::Key)?;
    // Item 6: "with a value of 13"; its absence is answered in the same way, §4.4.
    let version = headers.single("Sec-WebSocket-Version");
    if version.map_err(|Repeated| RequestError::Versions)? != Some(b"13") {
        return Err(RequestError::WebSocketVersion);
    }
    // Item 5: "when decoded, is 16 bytes in length".
    if !key::is_valid(key) {
        return Err(RequestError::Key);
    }
    let origin = headers
        .single("Origin")
        .map_err(|Repeated| RequestError::Origin)?;
    if !origin.is_none_or(|origin| origin.is_ascii()) {
        return Err(RequestError::Origin);
    }
    check_subprotocols(headers).ok_or(RequestError::Subprotocol)?;
    if !extensions::are_valid(headers) {
        return Err(RequestError::Extensions);
    }
    Ok(key::accept(key))
}

/// A request that upgrades has no body: what follows are frames, and no one may take the one for
/// the other.
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

/// §4.1, item 10: "The elements … MUST all be unique strings", and "MUST be non-empty strings" of
/// token characters. `None` if they are not, or a field has none.
pub(super) fn check_subprotocols(headers: &Headers) -> Option<()> {
    let mut seen = BTreeSet::new();
    for value in headers.list("Sec-WebSocket-Protocol") {
        if !is_token(value) || !seen.insert(value) {
            return None;
        }
    }
    let is_offered = headers.get("Sec-WebSocket-Protocol").is_some();
    (is_offered != seen.is_empty()).then_some(())
}

/// The first of the client's offers that is in `supported`.
pub(super) fn pick<'a>(headers: &'a Headers, supported: &[&str]) -> Option<&'a str> {
    headers
        .list("Sec-WebSocket-Protocol")
        .filter_map(|offer| core::str::from_utf8(offer).ok())
        .find(|offer| supported.contains(offer))
}

/// The fields of the 101 that answers `request` (§4.2.2, item 5), and what is agreed on by it.
pub(super) fn switch(
    accept: String,
    subprotocol: Option<String>,
    request: &Headers,
    config: &Config,
) -> (Headers, Negotiated) {
    let mut headers = Headers::new();
    headers.set("Upgrade", "websocket");
    headers.set("Connection", "Upgrade");
    headers.set("Sec-WebSocket-Accept", accept);
    if let Some(subprotocol) = &subprotocol {
        headers.set("Sec-WebSocket-Protocol", subprotocol.clone());
    }
    let (answer, mut negotiated) = deflate::answer(request, config);
    if let Some(answer) = answer {
        headers.set(extensions::FIELD, answer);
    }
    negotiated.subprotocol = subprotocol;
    (headers, negotiated)
}

/// Fields of the 101 that are not the application's.
pub(super) fn check_extra(extra: &Headers) -> Result<(), AnswerError> {
    let reserved = ["Sec-WebSocket-Protocol"].into_iter().chain(RESERVED);
    match reserved.into_iter().find(|name| extra.get(name).is_some()) {
        Some(name) => Err(AnswerError::Reserved(name)),
        None => Ok(()),
    }
}

/// Fields that the handshake writes, or that would change where its head ends.
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
