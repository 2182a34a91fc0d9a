//! Without the feature `deflate` compression is never offered or agreed on.

use alloc::string::String;

use super::{error::Disagreement, extensions, headers::Headers};
use crate::{deflate::options::Deflate, negotiated::Negotiated};

pub(super) fn offer(_: Option<Deflate>) -> Option<String> {
    None
}

pub(super) fn answer(_: &Headers, _: Option<Deflate>) -> (Option<String>, Negotiated) {
    (None, Negotiated::default())
}

pub(super) fn agree(response: &Headers, _: Option<Deflate>) -> Result<Negotiated, Disagreement> {
    // RFC 6455 §4.1, item 5: "an extension that was not present in the client's handshake".
    match extensions::picked(response)?[..] {
        [] => Ok(Negotiated::default()),
        _ => Err(Disagreement::Extension),
    }
}
