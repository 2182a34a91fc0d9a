//! Negotiating compression in the opening handshake (RFC 7692 §5, §7.1).

use alloc::{format, string::String};

use super::{
    error::Disagreement,
    extensions::{self, Extension},
    headers::Headers,
};
use crate::{
    deflate::options::{Agreed, Deflate, Window},
    negotiated::Negotiated,
};

const NAME: &str = "permessage-deflate";
const SERVER_NO_TAKEOVER: &str = "server_no_context_takeover";
const CLIENT_NO_TAKEOVER: &str = "client_no_context_takeover";
const SERVER_BITS: &str = "server_max_window_bits";
const CLIENT_BITS: &str = "client_max_window_bits";

/// Returns the client's offer, if compression is on.
pub(super) fn offer(options: Option<Deflate>) -> Option<String> {
    options.map(|deflate| deflate.offer())
}

/// Returns the server's answer, and the parameters that it agrees to. It accepts the first of the client's offers
/// that it can satisfy. RFC 6455 §9.1: they are listed in the client's order of preference.
pub(super) fn answer(request: &Headers, options: Option<Deflate>) -> (Option<String>, Negotiated) {
    let mut negotiated = Negotiated::default();
    let answer = options.and_then(|deflate| {
        let fields = request.get_all(extensions::FIELD);
        let mut offers = fields.filter_map(extensions::parse).flatten();
        let (answer, agreed) = offers.find_map(|offer| deflate.answer(&offer))?;
        negotiated.deflate = Some(agreed);
        Some(answer)
    });
    (answer, negotiated)
}

/// Returns the parameters that the server's answer to our [`offer`] agrees to.
pub(super) fn agree(
    response: &Headers,
    options: Option<Deflate>,
) -> Result<Negotiated, Disagreement> {
    let mut negotiated = Negotiated::default();
    let picked = extensions::picked(response)?;
    // RFC 6455 §4.1, item 5: "an extension that was not present in the client's handshake".
    let (deflate, answer) = match (options, &picked[..]) {
        (_, []) => return Ok(negotiated),
        (Some(deflate), [answer]) if answer.name == NAME.as_bytes() => (deflate, answer),
        _ => return Err(Disagreement::Extension),
    };
    let agreed = deflate.agree(answer);
    negotiated.deflate = Some(agreed.ok_or(Disagreement::ExtensionParameters)?);
    Ok(negotiated)
}

/// The parameters of an offer or an answer.
#[derive(Default)]
struct Params {
    server_no_takeover: bool,
    client_no_takeover: bool,
    server_bits: Option<u8>,
    /// In an offer it may come without a value.
    client_bits: Option<Option<u8>>,
}

impl Deflate {
    /// Returns the client's offer.
    fn offer(&self) -> String {
        let mut offer = String::from(NAME);
        flag(&mut offer, SERVER_NO_TAKEOVER, !self.recv.takeover);
        flag(&mut offer, CLIENT_NO_TAKEOVER, !self.send.takeover);
        let smaller = |window: Window| Some(window.valid_bits()).filter(|bits| *bits < 15);
        value(&mut offer, SERVER_BITS, smaller(self.recv));
        match smaller(self.send) {
            // §7.1.2.2: without a value it means that the server may choose.
            None => flag(&mut offer, CLIENT_BITS, true),
            bits => value(&mut offer, CLIENT_BITS, bits),
        }
        offer
    }

    /// Returns the server's answer to one offer, or `None` to decline it. §7: "A server MUST decline an extension
    /// negotiation offer for this extension if" its parameters are not valid, or the server "doesn't support the
    /// offered configuration".
    fn answer(&self, offer: &Extension<'_>) -> Option<(String, Agreed)> {
        let offered = Params::read(offer)?;
        // zlib has no window of 8 bits for raw streams.
        if offered.server_bits == Some(8) {
            return None;
        }
        let send = Window {
            bits: self
                .send
                .valid_bits()
                .min(offered.server_bits.unwrap_or(15)),
            takeover: self.send.takeover && !offered.server_no_takeover,
        };
        // §7.1.1.2: a hint that the client will not use takeover anyway.
        let takeover = self.recv.takeover && !offered.client_no_takeover;
        let limit = self.recv.valid_bits();
        // §7.1.2.2: without the parameter in the offer, the response "MUST NOT include" it.
        let client_bits = offered
            .client_bits
            .and_then(|most| (limit < most.unwrap_or(15)).then_some(limit));

        let mut answer = String::from(NAME);
        flag(&mut answer, SERVER_NO_TAKEOVER, !send.takeover);
        flag(&mut answer, CLIENT_NO_TAKEOVER, !takeover);
        let is_limited = offered.server_bits.is_some() || send.bits < 15;
        value(&mut answer, SERVER_BITS, is_limited.then_some(send.bits));
        value(&mut answer, CLIENT_BITS, client_bits);
        let recv = Window {
            bits: client_bits
                .or_else(|| offered.client_bits.flatten())
                .unwrap_or(15),
            takeover,
        };
        Some((answer, Agreed { send, recv }))
    }

    /// Returns the parameters that the server's answer to our [`offer`](Self::offer) agrees to, or `None` if the
    /// client "MUST _Fail the WebSocket Connection_" (§7).
    fn agree(&self, answer: &Extension<'_>) -> Option<Agreed> {
        let answered = Params::read(answer)?;
        // §7.1.1.1, §7.1.2.1: the server accepts such an offer "by including" the parameter.
        if !self.recv.takeover && !answered.server_no_takeover {
            return None;
        }
        let recv_bits = answered.server_bits.unwrap_or(15);
        let send_bits = match answered.client_bits {
            Some(bits) => bits?,
            None => self.send.valid_bits(),
        };
        if recv_bits > self.recv.valid_bits() || send_bits > self.send.valid_bits() {
            return None;
        }
        Some(Agreed {
            send: Window {
                bits: send_bits,
                takeover: self.send.takeover && !answered.client_no_takeover,
            },
            recv: Window {
                bits: recv_bits,
                takeover: !answered.server_no_takeover,
            },
        })
    }
}

impl Params {
    /// Reads the parameters. Returns `None` for another extension, and for "an extension parameter not defined",
    /// "with an invalid value", or "multiple extension parameters with the same name" (§7).
    fn read(extension: &Extension<'_>) -> Option<Self> {
        if extension.name != NAME.as_bytes() {
            return None;
        }
        let mut params = Self::default();
        for (name, value) in &extension.params {
            let value = value.as_deref();
            let fresh = match core::str::from_utf8(name).ok()? {
                SERVER_NO_TAKEOVER if value.is_none() => {
                    !core::mem::replace(&mut params.server_no_takeover, true)
                }
                CLIENT_NO_TAKEOVER if value.is_none() => {
                    !core::mem::replace(&mut params.client_no_takeover, true)
                }
                SERVER_BITS => params.server_bits.replace(window_bits(value?)?).is_none(),
                CLIENT_BITS => {
                    let bits = match value {
                        Some(value) => Some(window_bits(value)?),
                        None => None,
                    };
                    params.client_bits.replace(bits).is_none()
                }
                _ => return None,
            };
            if !fresh {
                return None;
            }
        }
        Some(params)
    }
}

/// Parses a window size. §7.1.2.1: "a decimal integer value without leading zeroes between 8 to 15, inclusive".
fn window_bits(value: &[u8]) -> Option<u8> {
    match value {
        [digit @ b'8'..=b'9'] => Some(digit.wrapping_sub(b'0')),
        [b'1', digit @ b'0'..=b'5'] => Some(digit.wrapping_sub(b'0').wrapping_add(10)),
        _ => None,
    }
}

fn flag(list: &mut String, name: &str, is_set: bool) {
    if is_set {
        list.push_str("; ");
        list.push_str(name);
    }
}

fn value(list: &mut String, name: &str, bits: Option<u8>) {
    if let Some(bits) = bits {
        list.push_str(&format!("; {name}={bits}"));
    }
}
