//! Without the feature `deflate` nothing is offered, and nothing is agreed on.

use alloc::string::String;

use super::{error::ResponseError, extensions, headers::Headers};
use crate::config::Config;
use crate::negotiated::Negotiated;

pub(crate) fn offer(_: &Config) -> Option<String> {
    None
}

pub(crate) fn answer(_: &Headers, _: &Config) -> (Option<String>, Negotiated) {
    (None, Negotiated::default())
}

pub(crate) fn agree(response: &Headers, _: &Config) -> Result<Negotiated, ResponseError> {
    // RFC 6455 §4.1, item 5: "an extension that was not present in the client's handshake".
    match extensions::picked(response)?[..] {
        [] => Ok(Negotiated::default()),
        _ => Err(ResponseError::Extension),
    }
}
