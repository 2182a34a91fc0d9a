//! Without the feature `deflate` compression is never agreed on, so no value of these types can exist.

use alloc::{boxed::Box, vec::Vec};

use options::{Agreed, Deflate};

pub(crate) mod options {
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Deflate {}
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Agreed {}
}

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

pub(crate) fn codec(
    _: Option<Agreed>,
    _: Option<Deflate>,
) -> (Option<Box<Inflater>>, Option<Box<Deflater>>) {
    (None, None)
}

pub(crate) fn whole(_: &[u8], _: Option<Deflate>) -> Option<(u8, Vec<u8>)> {
    None
}
