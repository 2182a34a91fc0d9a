//! Messages as a repeating cycle of frames, and the frames expected in return.

use std::{io, rc::Rc};

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress};
use testing::frames;

use crate::json::json;

/// The work of each connection in a row of the table.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// The size of a message in bytes.
    pub(crate) size: usize,
    /// The number of messages of a connection that wait for their answers at a time.
    pub(crate) depth: usize,
    pub(crate) text: bool,
    /// How messages are compressed, with context takeover in both directions or without.
    pub(crate) compression: Option<Takeover>,
}

pub(crate) type Takeover = bool;

/// A sequence of frames that is sent again and again.
pub(crate) struct Cycle {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Cycle {
    /// The number of different messages. Compressed ones are longer than a window together.
    pub(crate) fn length(load: &Load) -> usize {
        match load.compression {
            Some(_) => (64 << 10) / load.size,
            None => load.depth.max(16).min((2 << 20) / load.size),
        }
    }

    pub(crate) fn frames(&self) -> usize {
        self.ends.len()
    }

    /// Starts at the frame `first`.
    pub(crate) fn reader(self: &Rc<Self>, first: usize) -> Reader {
        Reader {
            at: first.checked_sub(1).map_or(0, |before| self.ends[before]),
            frame: first,
            cycle: self.clone(),
        }
    }

    fn new() -> Self {
        Self {
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    fn push(&mut self, first: u8, mask: Option<[u8; 4]>, payload: &[u8]) {
        self.bytes.extend(frames::encode(first, payload, mask));
        self.ends.push(self.bytes.len());
    }
}

/// A position in a cycle.
pub(crate) struct Reader {
    cycle: Rc<Cycle>,
    at: usize,
    /// The number of the frame that ends after `at`.
    frame: usize,
}

impl Reader {
    /// Returns the length of the `messages` frames after the next `skipped` bytes, which must end with a
    /// frame.
    pub(crate) fn ahead(&self, skipped: usize, messages: usize) -> usize {
        let Cycle { bytes, ends } = &*self.cycle;
        let from = (self.at + skipped) % bytes.len();
        let frame = ends.partition_point(|end| *end <= from) + messages;
        let end = match frame % ends.len() {
            0 => 0,
            frame => ends[frame - 1],
        };
        frame / ends.len() * bytes.len() + end - from
    }

    /// Returns the next `len` bytes, or those up to where the cycle begins a second time.
    pub(crate) fn next(&self, len: usize) -> (&[u8], &[u8]) {
        let (before, after) = self.cycle.bytes.split_at(self.at);
        let one = &after[..len.min(after.len())];
        (one, &before[..(len - one.len()).min(before.len())])
    }

    /// Returns how many frames end in these bytes.
    pub(crate) fn advance(&mut self, mut len: usize) -> usize {
        let Cycle { bytes, ends } = &*self.cycle;
        let mut ended = 0;
        while len > 0 {
            let step = len.min(bytes.len() - self.at);
            (self.at, len) = (self.at + step, len - step);
            while ends.get(self.frame).is_some_and(|end| *end <= self.at) {
                (self.frame, ended) = (self.frame + 1, ended + 1);
            }
            if self.at == bytes.len() {
                (self.at, self.frame) = (0, 0);
            }
        }
        ended
    }

    /// Advances by `bytes`, after checking that they are the expected ones.
    pub(crate) fn check(&mut self, mut bytes: &[u8]) -> io::Result<usize> {
        let mut ended = 0;
        while !bytes.is_empty() {
            let (expected, _) = self.next(bytes.len());
            let (arrived, rest) = bytes.split_at(expected.len());
            if arrived != expected {
                return Err(io::Error::other("an answer is not what was sent"));
            }
            ended += self.advance(arrived.len());
            bytes = rest;
        }
        Ok(ended)
    }
}

/// The messages of a cycle, all different.
pub(crate) fn messages(load: &Load) -> Rc<Vec<Vec<u8>>> {
    let message = |seed| match load.text {
        true => json(load.size, seed).into_bytes(),
        // This is not valid UTF-8, so it cannot be mistaken for text.
        false => json(load.size, seed).bytes().map(|byte| !byte).collect(),
    };
    Rc::new((0..Cycle::length(load) as u32).map(message).collect())
}

/// Returns the client's frames. A compressed cycle refers to nothing before itself, so it can be
/// repeated.
pub(crate) fn requests(load: &Load, messages: &[Vec<u8>]) -> Cycle {
    let mut cycle = Cycle::new();
    let mut deflater = Compress::new(Level::fast(), false);
    for (index, message) in messages.iter().enumerate() {
        let mask = (0x9E37_79B9 ^ (index as u32).wrapping_mul(0x85EB_CA6B)).to_be_bytes();
        match load.compression {
            None => cycle.push(first(load), Some(mask), message),
            Some(takeover) => {
                if !takeover {
                    deflater.reset();
                }
                let payload = deflate(&mut deflater, message);
                cycle.push(first(load) | RSV1, Some(mask), &payload);
            }
        }
    }
    cycle
}

/// Returns the server's uncompressed frames.
pub(crate) fn answers(load: &Load, messages: &[Vec<u8>]) -> Cycle {
    let mut cycle = Cycle::new();
    for message in messages {
        cycle.push(first(load), None, message);
    }
    cycle
}

const RSV1: u8 = 0x40;

/// FIN and the opcode.
fn first(load: &Load) -> u8 {
    if load.text { 0x81 } else { 0x82 }
}

/// RFC 7692 §7.2.1: the remainder after "0x00 0x00 0xff 0xff" is removed from the tail.
fn deflate(deflater: &mut Compress, message: &[u8]) -> Vec<u8> {
    let mut payload = Vec::with_capacity(message.len() + 64);
    deflater
        .compress_vec(message, &mut payload, FlushCompress::Sync)
        .expect("a buffer to compress into");
    let end = payload.len() - 4;
    assert_eq!(payload[end..], [0, 0, 0xFF, 0xFF], "there was room for all");
    payload.truncate(end);
    payload
}

/// Checks frames that the server has compressed.
pub(crate) struct Inflated {
    first: u8,
    /// Whether a message may refer to earlier messages.
    takeover: bool,
    messages: Rc<Vec<Vec<u8>>>,
    next: usize,
    /// `None` once the frames are trusted.
    inflater: Option<Decompress>,
    /// The received bytes of an incomplete frame.
    frame: Vec<u8>,
}

impl Inflated {
    pub(crate) fn new(load: &Load, messages: Rc<Vec<Vec<u8>>>) -> Self {
        Self {
            first: first(load),
            takeover: load.compression == Some(true),
            messages,
            next: 0,
            inflater: Some(Decompress::new(false)),
            frame: Vec::new(),
        }
    }

    pub(crate) fn trust(&mut self) {
        self.inflater = None;
    }

    /// Returns how many messages end within `bytes`.
    pub(crate) fn check(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut frames = std::mem::take(&mut self.frame);
        frames.extend_from_slice(bytes);
        let (mut remainder, mut ended) = (&frames[..], 0);
        while let Some((payload, after)) = split(remainder) {
            self.message(remainder[0], payload)?;
            (remainder, ended) = (after, ended + 1);
        }
        self.frame = remainder.to_vec();
        Ok(ended)
    }

    fn message(&mut self, first: u8, payload: &[u8]) -> io::Result<()> {
        let wrong = |what: &str| Err(io::Error::other(format!("an answer {what}")));
        let expected = &self.messages[self.next % self.messages.len()];
        self.next += 1;
        if first & !RSV1 != self.first {
            return wrong("is no frame of such a message");
        }
        let Some(inflater) = &mut self.inflater else {
            return Ok(());
        };
        if first & RSV1 == 0 {
            return match payload == expected {
                true => Ok(()),
                false => wrong("is not what was sent"),
            };
        }
        let mut message = Vec::with_capacity(expected.len() + 1);
        let payload = [payload, &[0, 0, 0xFF, 0xFF]].concat();
        if !self.takeover {
            inflater.reset(false);
        }
        match inflater.decompress_vec(&payload, &mut message, FlushDecompress::Sync) {
            Ok(_) if message == *expected => Ok(()),
            Ok(_) => wrong("inflates to something else"),
            Err(_) => wrong("cannot be inflated"),
        }
    }
}

/// Splits `bytes` into the payload of the first frame, which is small and unmasked, and what follows
/// that frame.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, remainder) = match *bytes {
        [_, 126, high, low, ref remainder @ ..] => {
            (u16::from_be_bytes([high, low]).into(), remainder)
        }
        [_, len @ ..126, ref remainder @ ..] => (len.into(), remainder),
        _ => return None,
    };
    (remainder.len() >= len).then(|| remainder.split_at(len))
}
