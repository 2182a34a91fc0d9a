use crate::memory::pool;

/// Inflates incoming compressed messages (RFC 7692 §7.2.2).
pub(crate) struct Inflater {
    takeover: bool,
    state: Option<zlib_rs::Inflate>,
    /// The last bytes of the message, the newest last.
    last: [u8; 4],
    /// Whether the message has any bytes.
    begun: bool,
    /// Whether they end with a block that is marked as the last of its stream.
    ended: bool,
}

/// The error for data that is not a complete DEFLATE stream (RFC 1951).
#[derive(Debug)]
pub(crate) struct Corrupt;

/// The bytes that a sender removes from the end of a message (§7.2.1): the lengths of an empty stored block.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

impl Inflater {
    pub(super) fn new(takeover: bool) -> Self {
        Self {
            takeover,
            state: None,
            last: [0; 4],
            begun: false,
            ended: false,
        }
    }

    /// Inflates `input` into `out`. Returns how much of each was used, even before a fault. If `out` was filled,
    /// more may come without input.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut [u8],
    ) -> (usize, usize, Result<(), Corrupt>) {
        let (taken, given, result) = self.step(input, out, zlib_rs::InflateFlush::NoFlush);
        if taken == 0 && given == 0 && !input.is_empty() {
            return (0, 0, Err(Corrupt)); // Without progress the caller would loop forever.
        }
        for byte in input.iter().take(taken).rev().take(4).rev() {
            self.last.rotate_left(1);
            self.last[3] = *byte;
            self.begun = true;
        }
        (taken, given, result)
    }

    /// Ends the message. Returns an error if it is incomplete.
    pub(crate) fn finish(&mut self) -> Result<(), Corrupt> {
        // A message without bytes is empty, and the last block of a stream has no tail.
        if self.begun && !self.ended {
            // A sender that did not remove the tail has ended its block; it gets one more complete empty block.
            let tail = [0x00, 0x00, 0x00, 0xff, 0xff, 0x00];
            let tail = if self.last == TAIL {
                &tail[..]
            } else {
                &tail[1..]
            };
            // Inflating stops at the end of the empty block, before the byte that follows it. Inside another block
            // it would stop elsewhere, or fail because there is no room.
            let (taken, _, result) = self.step(tail, &mut [], zlib_rs::InflateFlush::Block);
            result?;
            if taken != tail.len().saturating_sub(1) {
                return Err(Corrupt);
            }
            // Only the next call shows whether this block was the last of its stream.
            self.step(&[], &mut [], zlib_rs::InflateFlush::NoFlush).2?;
        }
        (self.begun, self.ended) = (false, false);
        if !self.takeover
            && let Some(state) = self.state.take()
        {
            pool::give_inflate(state);
        }
        Ok(())
    }

    fn step(
        &mut self,
        input: &[u8],
        out: &mut [u8],
        flush: zlib_rs::InflateFlush,
    ) -> (usize, usize, Result<(), Corrupt>) {
        let state = self.state.get_or_insert_with(pool::inflate);
        let before = (state.total_in(), state.total_out());
        let status = state.decompress(input, out, flush);
        let taken = state.total_in().saturating_sub(before.0) as usize;
        let given = state.total_out().saturating_sub(before.1) as usize;
        let Ok(status) = status else {
            self.state = None;
            return (taken, given, Err(Corrupt));
        };
        if status == zlib_rs::Status::StreamEnd {
            // §7.2.3.4 allows a block that ends the stream; another stream may begin after it.
            state.reset(false);
            self.ended = true;
        } else if taken > 0 {
            self.ended = false;
        }
        (taken, given, Ok(()))
    }
}
