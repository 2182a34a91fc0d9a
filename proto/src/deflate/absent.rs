//! Without the feature `deflate` nothing is agreed on: the codec cannot be made.

use alloc::{boxed::Box, string::String, vec::Vec};

use crate::{
    Config, Negotiated,
    handshake::{Headers, ResponseError, extensions},
};

pub(crate) enum Inflater {}
pub(crate) enum Deflater {}
#[derive(Debug)]
pub(crate) enum Corrupt {}

impl Inflater {
    pub(crate) fn inflate(
        &mut self,
        _: &[u8],
        _: &mut [u8],
    ) -> (usize, usize, Result<(), Corrupt>) {
        match *self {}
    }

    pub(crate) fn finish(&mut self) -> Result<(), Corrupt> {
        match *self {}
    }
}

impl Deflater {
    pub(crate) const STEP: usize = 64 << 10;

    pub(crate) fn threshold(&self) -> usize {
        match *self {}
    }

    pub(crate) fn admits(&self, _: u8) -> bool {
        match *self {}
    }

    pub(crate) fn taken(&self) -> u64 {
        match *self {}
    }

    pub(crate) fn deflate(&mut self, _: &[u8], _: bool) -> Option<Vec<u8>> {
        match *self {}
    }

    pub(crate) fn forget(&mut self) {
        match *self {}
    }
}

pub(crate) fn codec(_: &Negotiated, _: &Config) -> (Option<Box<Inflater>>, Option<Box<Deflater>>) {
    (None, None)
}

pub(crate) fn whole(_: &[u8], _: &Config) -> Option<(u8, Vec<u8>)> {
    None
}

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
