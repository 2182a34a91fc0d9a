use alloc::{format, string::ToString, vec::Vec};
use core::fmt;

use bytes::Bytes;

use crate::handshake::headers::Headers;

/// The server's response.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Response {
    /// The status (RFC 9110 §15).
    pub status: u16,
    /// The header fields.
    pub headers: Headers,
    /// The body; empty if the connection was opened.
    pub body: Bytes,
}

impl Response {
    /// Makes a response without header fields.
    pub fn new(status: u16, body: impl Into<Bytes>) -> Self {
        Self {
            status,
            headers: Headers::new(),
            body: body.into(),
        }
    }

    /// Makes a response whose body is this line of text, of the type `text/plain`. A line feed is added.
    pub fn text(status: u16, text: impl fmt::Display) -> Self {
        let mut response = Self::new(status, format!("{text}\n"));
        response
            .headers
            .set("Content-Type", "text/plain; charset=utf-8");
        response
    }

    /// Encodes the last response before the transport ends, to a request of this `method`.
    pub(super) fn encode_last(mut self, method: Method) -> Vec<u8> {
        // Any other status would open the connection, or make the client wait for more.
        if !(200..=599).contains(&self.status) {
            self.status = 500;
        }
        let headers = &mut self.headers;
        headers.remove("Transfer-Encoding");
        // RFC 9110 §7.8: "A sender of Upgrade MUST also send an "Upgrade" connection option".
        let upgrades = headers.get("Upgrade").is_some();
        headers.set(
            "Connection",
            if upgrades { "close, Upgrade" } else { "close" },
        );
        // RFC 9110 §6.4.1: these have no content; §8.6: a 204 "MUST NOT" have a length.
        if matches!(self.status, 204 | 304) {
            headers.remove("Content-Length");
            self.body = Bytes::new();
        } else {
            headers.set("Content-Length", self.body.len().to_string());
        }
        let mut out = self.encode_head();
        // RFC 9110 §9.3.2: "the server MUST NOT send content" to a HEAD. The length is the one for a GET.
        if method == Method::Get {
            out.extend_from_slice(&self.body);
        }
        out
    }

    pub(super) fn encode_head(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        for part in [
            "HTTP/1.1 ",
            &self.status.to_string(),
            " ",
            reason(self.status),
            "\r\n",
        ] {
            out.extend_from_slice(part.as_bytes());
        }
        self.headers.encode(&mut out);
        out.extend_from_slice(b"\r\n");
        out
    }
}

/// The method of a request (RFC 9110 §9.3).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Method {
    Get,
    Head,
}

/// Returns the reason phrase. It may be empty for a status that is not listed (RFC 9112 §4).
const fn reason(status: u16) -> &'static str {
    match status {
        101 => "Switching Protocols",
        200 => "OK",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        426 => "Upgrade Required",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_errors_and_applications_answer_has_a_phrase() {
        let statuses = [
            101, 200, 301, 302, 303, 304, 307, 308, 400, 401, 403, 404, 405, 408, 410, 414, 417,
            426, 429, 431, 500, 501, 502, 503, 505,
        ];
        for status in statuses {
            assert_ne!(reason(status), "", "{status}");
        }
        assert_eq!((reason(426), reason(299)), ("Upgrade Required", ""));
    }
}
