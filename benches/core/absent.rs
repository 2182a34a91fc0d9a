//! Takes the place of the peers without their feature.

use crate::{
    codec::Codec,
    handshake::Handshake,
    parts::{Check, Mask},
};

pub(crate) const NOTES: [&str; 0] = [];

pub(crate) fn codecs() -> Vec<Codec> {
    Vec::new()
}

pub(crate) fn handshakes() -> Vec<Handshake> {
    Vec::new()
}

pub(crate) fn masks() -> Vec<Mask> {
    Vec::new()
}

pub(crate) fn checks() -> Vec<Check> {
    Vec::new()
}
