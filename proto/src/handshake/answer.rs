//! A client's request in fields, and the server's answer (RFC 6455 §4.2).

use alloc::{borrow::ToOwned, collections::BTreeSet};

use super::{
    deflate,
    error::{AnswerError, Refusal},
    extensions,
    headers::{Headers, Repeated, is_token},
    origin::Origins,
};
use crate::{config::Config, negotiated::Negotiated};

/// A client's request in fields that any version of HTTP can carry. Everything that does not depend on that version
/// was checked.
///
/// A server of HTTP/1.1 does this itself, or with [`respond`](super::respond). This type is for servers with
/// another handshake, such as the extended CONNECT of HTTP/2 (RFC 8441).
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    fields: &'a Headers,
}

impl<'a> Asked<'a> {
    /// Checks the `fields` of a request.
    pub fn new(fields: &'a Headers) -> Result<Self, Refusal> {
        // §4.2.1, item 6: "with a value of 13". A missing version is answered in the same way, §4.4.
        let version = fields.single("Sec-WebSocket-Version");
        if version.map_err(|Repeated| Refusal::Versions)? != Some(b"13") {
            return Err(Refusal::Version);
        }
        let origin = fields
            .single("Origin")
            .map_err(|Repeated| Refusal::Origin)?;
        if !origin.is_none_or(|origin| origin.is_ascii()) {
            return Err(Refusal::Origin);
        }
        check_subprotocols(fields).ok_or(Refusal::Subprotocol)?;
        if !extensions::are_valid(fields) {
            return Err(Refusal::Extensions);
        }
        Ok(Self { fields })
    }

    /// Wraps `fields` that were checked when they were received.
    pub(super) const fn checked(fields: &'a Headers) -> Self {
        Self { fields }
    }

    /// Whether the page that sent the request is from one of `origins`; see
    /// [`Incoming::origin_allowed`](super::Incoming::origin_allowed).
    pub fn origin_allowed(&self, origins: &[&str]) -> bool {
        self.is_from(Origins::Listed(origins))
    }

    pub(super) fn is_from(&self, origins: Origins<'_>) -> bool {
        let Some(origin) = self.fields.get("Origin") else {
            return true;
        };
        let host = self.fields.single("Host").ok().flatten();
        let host = host.and_then(|host| core::str::from_utf8(host).ok());
        core::str::from_utf8(origin).is_ok_and(|origin| origins.allow(origin, host))
    }

    /// Returns the first of the client's offers that is in `supported`; pass it to [`answer`](Self::answer).
    pub fn pick_subprotocol(&self, supported: &[&str]) -> Option<&'a str> {
        let offers = self.fields.list("Sec-WebSocket-Protocol");
        let mut offers = offers.filter_map(|offer| core::str::from_utf8(offer).ok());
        offers.find(|offer| supported.contains(offer))
    }

    /// Accepts the client, with the first of its offers that is among the `subprotocols`. Returns an error for pages
    /// of any origin that is not among `origins`.
    pub fn respond(
        &self,
        subprotocols: &[&str],
        origins: Origins<'_>,
        config: &Config,
    ) -> Result<Answer, Refusal> {
        if !self.is_from(origins) {
            return Err(Refusal::ForeignOrigin);
        }
        Ok(self.agree(self.pick_subprotocol(subprotocols), config))
    }

    /// Accepts the client, with this `subprotocol`. Returns an error if the client did not offer it.
    pub fn answer(
        &self,
        subprotocol: Option<&str>,
        config: &Config,
    ) -> Result<Answer, AnswerError> {
        // §4.2.2, item 4: "The value chosen MUST be derived from the client's handshake".
        match subprotocol {
            Some(name) if self.pick_subprotocol(&[name]).is_none() => Err(AnswerError::NotOffered),
            _ => Ok(self.agree(subprotocol, config)),
        }
    }

    pub(super) fn agree(&self, subprotocol: Option<&str>, config: &Config) -> Answer {
        let mut fields = Headers::new();
        if let Some(subprotocol) = subprotocol {
            fields.set("Sec-WebSocket-Protocol", subprotocol.to_owned());
        }
        let (answer, mut negotiated) = deflate::answer(self.fields, config.compression());
        if let Some(answer) = answer {
            fields.set(extensions::FIELD, answer);
        }
        negotiated.subprotocol = subprotocol.map(ToOwned::to_owned);
        Answer { fields, negotiated }
    }
}

/// A server's answer to a client that it accepts.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The fields that inform the client of what was agreed on.
    pub fields: Headers,
    /// The result of the negotiation, for the [`Connection`](crate::Connection::new).
    pub negotiated: Negotiated,
}

/// Checks the client's subprotocols. §4.1, item 10: "The elements … MUST all be unique strings", and "MUST be
/// non-empty strings" of token characters. Returns `None` if they are not, or if a field lists none.
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
