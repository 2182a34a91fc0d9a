use crate::memory::pool;

/// Inflates the messages that come in compressed (RFC 7692 §7.2.2).
pub(crate) struct Inflater {
    takeover: bool,
    state: Option<zlib_rs::Inflate>,
    /// The last bytes that came, the newest last.
    last: [u8; 4],
    /// Whether the message has any.
    begun: bool,
    /// Whether they end with a block that says to be the last of its stream.
    ended: bool,
}

/// The data is no whole DEFLATE stream (RFC 1951).
#[derive(Debug)]
pub(crate) struct Corrupt;

/// What the sender has taken off the end of a message (§7.2.1): the lengths of an empty stored block.
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

    /// Inflates `input` into `out`, and tells how much of either was used, before a fault as well. More may
    /// come without input if `out` was filled.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut [u8],
    ) -> (usize, usize, Result<(), Corrupt>) {
        let (taken, given, result) = self.step(input, out, zlib_rs::InflateFlush::NoFlush);
        if taken == 0 && given == 0 && !input.is_empty() {
            return (0, 0, Err(Corrupt)); // Without progress there would be no end of it.
        }
        for byte in input.iter().take(taken).rev().take(4).rev() {
            self.last.rotate_left(1);
            self.last[3] = *byte;
            self.begun = true;
        }
        (taken, given, result)
    }

    /// The message ended here: it must be whole.
    pub(crate) fn finish(&mut self) -> Result<(), Corrupt> {
        // Nothing at all is an empty message, and the last block of a stream has no tail.
        if self.begun && !self.ended {
            // Whoever left the tail on is between two blocks now, and gets a whole empty one.
            let tail = [0x00, 0x00, 0x00, 0xff, 0xff, 0x00];
            let tail = if self.last == TAIL {
                &tail[..]
            } else {
                &tail[1..]
            };
            // Inflating stops at the end of the empty block, before the byte that follows. Inside of
            // another block it would stop elsewhere, or for want of room.
            let (taken, _, result) = self.step(tail, &mut [], zlib_rs::InflateFlush::Block);
            result?;
            if taken != tail.len().saturating_sub(1) {
                return Err(Corrupt);
            }
            // That this block was the last of its stream shows only now.
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
            // §7.2.3.4 allows a block that ends the stream; behind it another one begins.
            state.reset(false);
            self.ended = true;
        } else if taken > 0 {
            self.ended = false;
        }
        (taken, given, Ok(()))
    }
}
