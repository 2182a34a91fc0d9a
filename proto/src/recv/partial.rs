use alloc::vec::Vec;

use bytes::Bytes;

use crate::{
    error::ProtocolError,
    event::Pull,
    memory::spare,
    message::{Chunk, Kind, Message},
    text::utf8,
    wire::{frame::Header, mask},
};

/// A message that has begun and not ended (RFC 6455 §5.4).
///
/// ```text
/// | delivered | unused | text that was checked | half a character | room |
///             0 …      start …                 checked …          filled … body.len()
/// ```
pub(super) struct Partial {
    pub(super) kind: Kind,
    pub(super) mode: Mode,
    compressed: bool,
    /// Whether more can be inflated without input.
    pub(super) more: bool,
    /// The current frame, or the last one: how much of it is missing, the mask key rotated so that it begins with
    /// the next byte, and whether the frame ends the message.
    pub(super) remaining: u64,
    pub(super) key: [u8; 4],
    pub(super) fin: bool,
    pub(super) body: Vec<u8>,
    start: usize,
    pub(super) filled: usize,
    pub(super) checked: usize,
    /// Inflated data that comes before `body`; see `inflate.rs`.
    pub(super) blocks: Vec<Vec<u8>>,
    /// Bytes at the end of `filled` that are still masked.
    fresh: usize,
    /// Whether a chunk was given out.
    delivered: bool,
    /// The payload so far, as announced or as inflated, and the number of frames.
    pub(super) total: u64,
    frames: u32,
}

/// The way in which a message is delivered. It belongs to the [`Pull`] that first saw it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Mode {
    Whole,
    Chunks,
    /// The message was first pulled in chunks and then whole, so the remainder of it is skipped.
    Skip,
}

impl From<Pull> for Mode {
    fn from(pull: Pull) -> Self {
        match pull {
            Pull::Messages => Self::Whole,
            Pull::Chunks => Self::Chunks,
        }
    }
}

/// The result of [`Partial::next`].
pub(super) enum Step {
    /// More input is needed, or another call: see [`Partial::is_skipping`].
    Wait,
    /// The frame ended, but the message did not.
    NextFrame,
    Chunk(Chunk),
    /// The skipped message ended.
    Skipped,
}

impl Partial {
    /// A frame that lacks more than this many bytes may be read straight into `body`.
    const DIRECT: u64 = 4 << 10;
    /// Reading straight into `body` begins only after this much has come: an announced length alone gets no memory.
    const DIRECT_AFTER: usize = 16 << 10;
    /// The most that is read at a time, so that the bytes are still in the cache when they are unmasked and
    /// checked.
    const READ: usize = 128 << 10;
    /// The most that is unmasked and checked at a time, so that it stays in the nearest cache.
    const CACHED: usize = 16 << 10;

    pub(super) fn new(kind: Kind, compressed: bool, mode: Mode) -> Self {
        Self {
            kind,
            mode,
            compressed,
            more: false,
            remaining: 0,
            key: [0; 4],
            fin: false,
            body: Vec::new(),
            start: 0,
            filled: 0,
            checked: 0,
            blocks: Vec::new(),
            fresh: 0,
            delivered: false,
            total: 0,
            frames: 0,
        }
    }

    /// Begins another frame of the message.
    pub(super) fn begin(&mut self, header: &Header) {
        self.remaining = header.len;
        self.key = header.mask.unwrap_or_default();
        self.fin = header.fin;
        if !self.compressed {
            self.total = self.total.saturating_add(header.len);
        }
        self.frames = self.frames.saturating_add(1);
        // An announced length alone gets no new memory, but it may use spare memory that is already allocated.
        if self.frames == 1
            && self.fin
            && self.mode == Mode::Whole
            && !self.compressed
            && let Ok(len) = usize::try_from(header.len)
            && let Some((memory, start)) = spare::take(len, &[])
        {
            (self.body, self.start) = (memory, start);
            (self.filled, self.checked) = (start, start);
            self.body.resize(start.saturating_add(len), 0);
        }
    }

    /// Returns how much of the frame is missing.
    pub(super) fn remaining(&self) -> u64 {
        self.remaining
    }

    pub(super) fn is_compressed(&self) -> bool {
        self.compressed
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn frames(&self) -> u32 {
        self.frames
    }

    /// Notes how the application pulls now, and returns how the message is delivered from here on. A message of
    /// which no chunk was given out can still be assembled, if it is not larger than `max`.
    pub(super) fn pull_by(&mut self, pull: Pull, max: usize) -> Mode {
        let whole = !self.delivered && self.total <= max as u64;
        self.mode = match (self.mode, pull) {
            (Mode::Whole, pull) => pull.into(),
            (Mode::Chunks, Pull::Messages) if whole => Mode::Whole,
            (Mode::Chunks, Pull::Chunks) => Mode::Chunks,
            (Mode::Chunks | Mode::Skip, _) => Mode::Skip,
        };
        self.mode
    }

    /// Puts back a chunk that the application has not seen, after the chunks that were put back before. The message
    /// belongs to no pull method until the application sees a chunk.
    pub(super) fn put_back(&mut self, chunk: Chunk) {
        if self.mode == Mode::Chunks {
            self.blocks.push(chunk.data.into_bytes().into());
            self.delivered = false;
        }
    }

    /// Whether a step of skipping is done, but more of the input can be inflated.
    pub(super) fn is_skipping(&self) -> bool {
        self.more && self.mode == Mode::Skip
    }

    /// Whether the next read goes straight into `body`.
    #[inline]
    pub(super) fn is_direct(&self) -> bool {
        self.remaining > Self::DIRECT
            && self.filled.saturating_sub(self.start) >= Self::DIRECT_AFTER
            && self.mode == Mode::Whole
            && !self.compressed
    }

    /// Returns room to read into. The body grows only when less than `DIRECT` bytes are free; it doubles, or grows
    /// to hold the whole frame if that needs at most a sixteenth more.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let least = self.filled.saturating_add(Self::DIRECT as usize);
        if self.body.len() < least {
            let remaining = usize::try_from(self.remaining).unwrap_or(usize::MAX);
            let whole = self.filled.saturating_add(remaining);
            let mut end = self.body.len().saturating_mul(2);
            if whole.saturating_sub(end) <= end / 16 {
                end = whole;
            }
            let more = end.saturating_sub(self.body.len());
            spare::reserve(&mut self.body, more);
            self.body.resize(end, 0);
        }
        let room = self.body.get_mut(self.filled..).unwrap_or_default();
        let most = Self::READ.saturating_add(Self::DIRECT as usize);
        if room.len() > most {
            return room.get_mut(..Self::READ).unwrap_or_default();
        }
        room
    }

    pub(super) fn handle_input(&mut self, len: usize) {
        let len = len.min(self.body.len().saturating_sub(self.filled));
        self.filled = self.filled.saturating_add(len);
        self.fresh = self.fresh.saturating_add(len);
    }

    /// Unmasks and checks the bytes that were read straight into `body`, and takes more of the frame from `input`.
    /// Returns how much of `input` it took.
    pub(super) fn absorb(&mut self, input: &[u8]) -> Result<usize, ProtocolError> {
        let fresh = core::mem::take(&mut self.fresh);
        self.remaining = self.remaining.saturating_sub(fresh as u64);
        let from = self.filled.saturating_sub(fresh);
        for at in (from..self.filled).step_by(Self::CACHED) {
            let end = at.saturating_add(Self::CACHED).min(self.filled);
            mask::apply(self.body.get_mut(at..end).unwrap_or_default(), self.key, 0);
            self.key.rotate_left(end.saturating_sub(at) % 4);
            self.check(end)?;
        }
        let wanted = usize::try_from(self.remaining).unwrap_or(usize::MAX);
        let taken = input.get(..wanted).unwrap_or(input);
        let end = self.filled.saturating_add(taken.len());
        if self.body.len() < end {
            self.body.resize(end, 0);
        }
        for piece in taken.chunks(Self::CACHED) {
            let end = self.filled.saturating_add(piece.len());
            let room = self.body.get_mut(self.filled..end).unwrap_or_default();
            mask::copy(piece, room, self.key);
            self.key.rotate_left(piece.len() % 4);
            self.filled = end;
            self.check(end)?;
        }
        self.remaining = self.remaining.saturating_sub(taken.len() as u64);
        Ok(taken.len())
    }

    /// Checks the new part of a text, up to `end`.
    pub(super) fn check(&mut self, end: usize) -> Result<(), ProtocolError> {
        if self.kind == Kind::Text {
            // §8.1: "an endpoint … finds that the byte stream is not, in fact, a valid UTF-8 stream".
            let fresh = self.body.get(self.checked..end).unwrap_or_default();
            let valid = utf8::validate(fresh).map_err(|_| ProtocolError::Utf8)?;
            self.checked = self.checked.saturating_add(valid);
        }
        Ok(())
    }

    /// Returns how much of `body` could be delivered: only whole characters of a text.
    pub(super) fn ready(&self) -> usize {
        match self.kind {
            Kind::Text => self.checked,
            Kind::Binary => self.filled,
        }
    }

    /// Takes `ready` bytes off the front of `body`.
    pub(super) fn take(&mut self, ready: usize) -> Vec<u8> {
        self.body.truncate(self.filled);
        let rest = self.body.get(ready..).unwrap_or_default().to_vec();
        self.body.truncate(ready);
        self.filled = rest.len();
        (self.start, self.checked) = (0, 0);
        core::mem::replace(&mut self.body, rest)
    }

    /// Returns what can be delivered now.
    pub(super) fn next(&mut self) -> Result<Step, ProtocolError> {
        let ends = self.remaining == 0 && self.fin && !self.more;
        if ends && self.kind == Kind::Text && self.checked != self.filled {
            return Err(ProtocolError::Utf8); // The text ends in half a character.
        }
        let ready = match self.mode {
            Mode::Whole if !ends => self.start,
            // A step of skipping may cover many frames.
            Mode::Skip if !ends && self.remaining == 0 && self.filled < Self::BLOCK => self.start,
            _ => self.ready(),
        };
        if !ends && ready == self.start {
            return Ok(if self.remaining == 0 {
                Step::NextFrame
            } else {
                Step::Wait
            });
        }
        let mut start = self.start;
        let mut body = self.take(ready);
        self.delivered = true;
        if !self.blocks.is_empty() {
            let blocks = core::mem::take(&mut self.blocks);
            let parts: Vec<&[u8]> = blocks.iter().chain([&body]).map(|it| &it[..]).collect();
            (body, start) = spare::joined(&parts);
        }
        if body.capacity() / 2 > body.len() {
            body.shrink_to_fit(); // The application may keep it.
        }
        Ok(match self.mode {
            Mode::Skip if ends => Step::Skipped,
            Mode::Skip if self.remaining == 0 && !self.more => Step::NextFrame,
            Mode::Skip => Step::Wait,
            mode => {
                let body = match mode {
                    Mode::Whole => spare::share(body, start),
                    _ => {
                        let start = start.min(body.len());
                        Bytes::from(body).slice(start..)
                    }
                };
                Step::Chunk(Chunk {
                    data: Message::from_checked(self.kind, body),
                    fin: ends,
                })
            }
        })
    }
}
