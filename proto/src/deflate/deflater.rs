use alloc::vec::Vec;

use super::options::{Deflate, Window};
use crate::memory::pool::{self, Shape};

/// Compresses outgoing messages (RFC 7692 §7.2.1).
pub(crate) struct Deflater {
    shape: Shape,
    takeover: bool,
    threshold: usize,
    state: Option<zlib_rs::Deflate>,
    /// Whether the `TAIL` of the previous piece is missing: only the end of the message omits it.
    owed: bool,
    /// Whether anything of the message was compressed.
    begun: bool,
    /// The number of bytes ever compressed.
    taken: u64,
}

/// The bytes that every flush ends with.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

impl Deflater {
    /// The most bytes that are compressed at a time.
    pub(crate) const STEP: usize = 64 << 10;

    pub(crate) fn new(options: &Deflate, window: Window) -> Self {
        Self {
            shape: Shape {
                level: options.level.clamp(1, 9),
                memory_level: options.memory_level.clamp(1, 9),
                bits: window.valid_bits(),
            },
            takeover: window.takeover,
            threshold: options.threshold,
            state: None,
            owed: false,
            begun: false,
            taken: 0,
        }
    }

    /// Returns the least size of a whole message that is compressed.
    pub(crate) fn threshold(&self) -> usize {
        self.threshold
    }

    /// Whether a message compressed by itself within a window of `bits` may be sent.
    pub(crate) fn admits(&self, bits: u8) -> bool {
        !self.takeover && bits <= self.shape.bits
    }

    pub(crate) fn bits(&self) -> u8 {
        self.shape.bits
    }

    /// Returns the number of bytes ever compressed.
    pub(crate) fn taken(&self) -> u64 {
        self.taken
    }

    /// Compresses a piece of a message, and flushes all of it. `fin` marks the last piece. A valid shape never
    /// returns `None`.
    pub(crate) fn deflate(&mut self, piece: &[u8], fin: bool) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        if !piece.is_empty() {
            if self.owed {
                out.extend_from_slice(&TAIL);
            }
            self.flush(piece, &mut out)?;
            out.truncate(out.len().checked_sub(TAIL.len())?);
            (self.owed, self.begun) = (true, true);
        }
        if fin {
            // §7.2.3.6: an empty message is an empty block.
            if !core::mem::take(&mut self.begun) {
                out.push(0);
            }
            self.owed = false;
            if !self.takeover {
                self.release();
            }
        }
        Some(out)
    }

    /// Forgets everything compressed so far, because the peer will not see the last of it. Later messages refer
    /// only to data after this.
    pub(crate) fn forget(&mut self) {
        (self.owed, self.begun) = (false, false);
        match &mut self.state {
            Some(state) if self.takeover => state.reset(),
            _ => self.release(),
        }
    }

    /// Appends the compressed `piece`, flushed to its last bit, and an empty block.
    fn flush(&mut self, piece: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let shape = self.shape;
        let state = self.state.get_or_insert_with(|| pool::deflate(shape));
        self.taken = self.taken.saturating_add(piece.len() as u64);
        let start = state.total_in();
        let mut at = out.len();
        let mut more = piece.len().saturating_add(64);
        loop {
            out.resize(at.saturating_add(more), 0);
            let taken = state.total_in().saturating_sub(start) as usize;
            let before = state.total_out();
            let remainder = piece.get(taken..)?;
            let room = out.get_mut(at..)?;
            let flush = zlib_rs::DeflateFlush::SyncFlush;
            state.compress(remainder, room, flush).ok()?;
            let given = state.total_out().saturating_sub(before) as usize;
            at = at.saturating_add(given);
            if given < more {
                // The room was not filled, so the output is complete.
                out.truncate(at);
                return out.ends_with(&TAIL).then_some(());
            }
            more = 1 << 10;
        }
    }

    fn release(&mut self) {
        if let Some(state) = self.state.take() {
            pool::give_deflate(self.shape, state);
        }
    }
}
