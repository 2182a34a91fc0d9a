//! A client's offer, and the check of the server's answer (RFC 6455 §4.1).

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use super::{
    answer::check_subprotocols,
    deflate,
    error::{Disagreement, OfferError},
    extensions,
    headers::{Headers, Repeated, is_token},
};
use crate::{config::Config, deflate::options::Deflate, negotiated::Negotiated};

/// A client's offer in fields that any version of HTTP can carry: the version of the protocol, subprotocols and
/// compression.
///
/// A client of HTTP/1.1 makes its offer itself. This type is for clients with another handshake, such as the
/// extended CONNECT of HTTP/2 (RFC 8441).
#[derive(Clone, Debug)]
pub struct Offer {
    subprotocols: Vec<String>,
    deflate: Option<Deflate>,
    requires_subprotocol: bool,
}

impl Offer {
    /// Makes an offer of the subprotocols listed in `fields`, and of compression if `config` enables it.
    ///
    /// Returns an error if the subprotocols are not distinct tokens.
    pub fn new(fields: &Headers, config: &Config) -> Result<Self, OfferError> {
        check_subprotocols(fields).ok_or(OfferError::Subprotocol)?;
        let subprotocols = fields.list("Sec-WebSocket-Protocol");
        let subprotocols = subprotocols.filter_map(|name| core::str::from_utf8(name).ok());
        Ok(Self {
            subprotocols: subprotocols.map(ToOwned::to_owned).collect(),
            deflate: config.compression(),
            requires_subprotocol: config.require_subprotocol,
        })
    }

    /// Returns the fields that make the offer.
    pub fn fields(&self) -> Headers {
        let mut fields = Headers::new();
        fields.set("Sec-WebSocket-Version", "13");
        if !self.subprotocols.is_empty() {
            // They are sent as one list, because some servers do not combine repeated fields.
            fields.set("Sec-WebSocket-Protocol", self.subprotocols.join(", "));
        }
        if let Some(offer) = deflate::offer(self.deflate) {
            fields.set(extensions::FIELD, offer);
        }
        fields
    }

    /// Returns what both ends agree on, given the `fields` of the server's answer.
    ///
    /// Returns an error if they do not answer this offer: the client "MUST _Fail the WebSocket Connection_".
    pub fn agree(&self, fields: &Headers) -> Result<Negotiated, Disagreement> {
        // Item 5: "an extension that was not present in the client's handshake".
        let mut negotiated = deflate::agree(fields, self.deflate)?;
        // §11.3.4: "MUST NOT appear more than once in an HTTP response".
        let picked = fields
            .single("Sec-WebSocket-Protocol")
            .map_err(|Repeated| Disagreement::Subprotocols)?;
        match picked {
            None if self.requires_subprotocol && !self.subprotocols.is_empty() => {
                Err(Disagreement::NoSubprotocol)
            }
            None => Ok(negotiated),
            // §4.3: the value is one token, not a list. §4.2.2: "The empty string is not the same as the null value
            // for these purposes and is not a legal value for this field".
            Some(picked) if !is_token(picked) => Err(Disagreement::Subprotocols),
            // Item 6: "a subprotocol that was not present in the client's handshake".
            Some(picked) => {
                let offers = &self.subprotocols;
                let offer = offers.iter().find(|offer| offer.as_bytes() == picked);
                negotiated.subprotocol = Some(offer.ok_or(Disagreement::Subprotocol)?.clone());
                Ok(negotiated)
            }
        }
    }
}
