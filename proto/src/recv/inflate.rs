//! Receiving a compressed message (RFC 7692 §6.2, §7.2.2). It is inflated as it arrives, and its limits are checked
//! while it is inflated.

use super::partial::{Mode, Partial};
use crate::{
    config::Config,
    deflate::{Corrupt, Inflater},
    error::ProtocolError,
    wire::mask,
};

impl From<Corrupt> for ProtocolError {
    fn from(_: Corrupt) -> Self {
        Self::Deflate
    }
}

impl Partial {
    /// The least and the most bytes in a block of inflated data. A message is gathered as a list of blocks, so that
    /// nothing is copied before all of it has come; a chunk is one block.
    const LEAST_BLOCK: usize = 512;
    pub(super) const BLOCK: usize = 16 << 10;
    /// The sizes of the buffers that bytes are unmasked into. A small message uses the smaller one, because clearing
    /// the larger one takes longer.
    const FEW: usize = 256;
    const MANY: usize = 4 << 10;

    /// Takes more of the frame from `input`, inflates it and checks it. Returns how much of `input` it took: all,
    /// or enough for a chunk or for a step of skipping.
    #[inline(never)] // Keeps these buffers off the stack of uncompressed messages.
    pub(super) fn inflate(
        &mut self,
        input: &[u8],
        inflater: &mut Inflater,
        config: &Config,
    ) -> Result<usize, ProtocolError> {
        let (max, error) = match self.mode {
            Mode::Whole => {
                let max = config.max_message_size as u64;
                (max, ProtocolError::MessageTooBig { max })
            }
            Mode::Chunks | Mode::Skip => {
                let max = config.max_stream_size;
                (max, ProtocolError::StreamTooBig { max })
            }
        };
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let input = input.get(..wanted).unwrap_or(input);
        let mut rest = input;
        while !rest.is_empty() || self.more {
            let (mut few, mut many);
            let piece: &mut [u8] = if rest.len() <= Self::FEW {
                few = [0; Self::FEW];
                &mut few
            } else {
                many = [0; Self::MANY];
                &mut many
            };
            let len = rest.len().min(piece.len());
            let piece = piece.get_mut(..len).unwrap_or_default();
            mask::copy(rest.get(..len).unwrap_or_default(), piece, self.key);

            let room = self.block(rest.len());
            let most = room.len();
            let (taken, given, result) = inflater.inflate(piece, room);
            rest = rest.get(taken..).unwrap_or_default();
            self.remaining = self.remaining.saturating_sub(taken as u64);
            self.key.rotate_left(taken % 4);
            self.filled = self.filled.saturating_add(given);
            self.total = self.total.saturating_add(given as u64);
            // The verdict must be the same however the input was cut. Judge in this order: text within the limit,
            // then the limit, then a fault in the data after it.
            let over = self.total.saturating_sub(max);
            let within = usize::try_from(over).map_or(0, |over| self.filled.saturating_sub(over));
            self.check(within)?;
            if over > 0 {
                return Err(error);
            }
            result?;
            self.more = given == most;
            if self.filled >= Self::BLOCK {
                match self.mode {
                    Mode::Chunks | Mode::Skip => {
                        return Ok(input.len().saturating_sub(rest.len()));
                    }
                    Mode::Whole => {
                        let block = self.take(self.ready());
                        self.blocks.push(block);
                    }
                }
            }
        }
        if self.remaining == 0 && self.fin {
            inflater.finish()?;
        }
        Ok(input.len())
    }

    /// Returns room to inflate `len` bytes to, which is never empty.
    fn block(&mut self, len: usize) -> &mut [u8] {
        if self.filled == self.body.len() {
            let guess = len.saturating_mul(4).max(self.filled.saturating_mul(2));
            let size = guess.clamp(Self::LEAST_BLOCK, Self::BLOCK);
            self.body.reserve_exact(size.saturating_sub(self.filled));
            self.body.resize(size, 0);
        }
        self.body.get_mut(self.filled..).unwrap_or_default()
    }
}
