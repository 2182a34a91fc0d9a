use bytes::Bytes;

use super::{error::OfferError, headers::Headers, origin::is_authority};
use crate::text::utf8::Utf8Bytes;

/// The client's request: a GET of `target`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    target: Utf8Bytes,
    headers: Headers,
}

impl Request {
    /// Makes a request for `target`, a path with an optional query, at `host`, which includes the port unless it is
    /// the default one.
    ///
    /// Add header fields with [`headers_mut`](Self::headers_mut); [`Client`](super::Client) writes those of the
    /// handshake itself.
    pub fn new(
        host: impl Into<Utf8Bytes>,
        target: impl Into<Utf8Bytes>,
    ) -> Result<Self, OfferError> {
        let (host, target) = (host.into(), target.into());
        if !is_authority(&host) {
            return Err(OfferError::Host);
        }
        if !is_origin_form(&target) {
            return Err(OfferError::Target);
        }
        let mut headers = Headers::new();
        headers.set("Host", Bytes::from(host));
        Ok(Self { target, headers })
    }

    pub(super) const fn from_parts(target: Utf8Bytes, headers: Headers) -> Self {
        Self { target, headers }
    }

    /// Returns the path and query as they were received: nothing is decoded.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Returns the part of the target before the first `?`.
    pub fn path(&self) -> &str {
        self.split().0
    }

    /// Returns the part of the target after the first `?`.
    pub fn query(&self) -> Option<&str> {
        self.split().1
    }

    /// Returns the header fields.
    pub const fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the header fields, to change them.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Returns the host, with a port unless it is the default one.
    pub fn host(&self) -> Option<&str> {
        self.headers
            .get("Host")
            .and_then(|host| core::str::from_utf8(host).ok())
    }

    /// Returns the subprotocols that the client offers, in its order of preference (RFC 6455 §1.9).
    pub fn subprotocols(&self) -> impl Iterator<Item = &str> {
        let offers = self.headers.list("Sec-WebSocket-Protocol");
        offers.filter_map(|offer| core::str::from_utf8(offer).ok())
    }

    /// Returns the origin of the web page that made the request (RFC 6454 §7). Clients other than browsers may send
    /// anything, or nothing.
    pub fn origin(&self) -> Option<&str> {
        self.headers
            .get("Origin")
            .and_then(|origin| core::str::from_utf8(origin).ok())
    }

    fn split(&self) -> (&str, Option<&str>) {
        match self.target.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (&self.target, None),
        }
    }
}

/// Whether `target` is a path with at most a query (RFC 9112 §3.2.1). RFC 6455 §3: "Fragment
/// identifiers … MUST NOT be used".
pub(super) fn is_origin_form(target: &str) -> bool {
    target.starts_with('/')
        && target
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#')
}
