use super::pool;

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
#[derive(Debug, Default)]
pub(crate) struct Corrupt {
    given: usize,
}

impl Corrupt {
    /// How much was inflated in the same call before that showed.
    pub(crate) fn given(&self) -> usize {
        self.given
    }
}

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

    /// Inflates `input` into `out`, and tells how much of either was used. More may come without input
    /// if `out` was filled.
    pub(crate) fn inflate(
        &mut self,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<(usize, usize), Corrupt> {
        let (taken, given) = self.step(input, out, zlib_rs::InflateFlush::NoFlush)?;
        if taken == 0 && given == 0 && !input.is_empty() {
            return Err(Corrupt::default()); // Without progress there would be no end of it.
        }
        for byte in input.iter().take(taken).rev().take(4).rev() {
            self.last.rotate_left(1);
            self.last[3] = *byte;
            self.begun = true;
        }
        Ok((taken, given))
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
            let (taken, _) = self.step(tail, &mut [], zlib_rs::InflateFlush::Block)?;
            if taken != tail.len().saturating_sub(1) {
                return Err(Corrupt::default());
            }
            // That this block was the last of its stream shows only now.
            self.step(&[], &mut [], zlib_rs::InflateFlush::NoFlush)?;
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
    ) -> Result<(usize, usize), Corrupt> {
        let state = self.state.get_or_insert_with(pool::inflate);
        let before = (state.total_in(), state.total_out());
        let Ok(status) = state.decompress(input, out, flush) else {
            let given = state.total_out().saturating_sub(before.1) as usize;
            self.state = None;
            return Err(Corrupt { given });
        };
        let taken = state.total_in().saturating_sub(before.0) as usize;
        let given = state.total_out().saturating_sub(before.1) as usize;
        if status == zlib_rs::Status::StreamEnd {
            // §7.2.3.4 allows a block that ends the stream; behind it another one begins.
            state.reset(false);
            self.ended = true;
        } else if taken > 0 {
            self.ended = false;
        }
        Ok((taken, given))
    }
}
