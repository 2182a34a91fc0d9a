//! Messages as frames, one after the other and again from the first, and what comes back for them.

use std::{io, rc::Rc};

use flate2::{Compress, Compression as Level, Decompress, FlushCompress, FlushDecompress};
use testing::frames;

use crate::json::json;

/// What the connections of a row do.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    pub(crate) connections: usize,
    /// Bytes of a message.
    pub(crate) size: usize,
    /// Messages of a connection that wait for their answers.
    pub(crate) depth: usize,
    pub(crate) text: bool,
    /// Messages are compressed, with context takeover in both directions or without.
    pub(crate) compression: Option<Takeover>,
}

pub(crate) type Takeover = bool;

/// Frames behind each other, sent again and again.
pub(crate) struct Cycle {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Cycle {
    /// How many messages differ. Compressed ones are more than a window.
    pub(crate) fn length(load: &Load) -> usize {
        match load.compression {
            Some(_) => (64 << 10) / load.size,
            None => load.depth.max(16).min((2 << 20) / load.size),
        }
    }

    pub(crate) fn frames(&self) -> usize {
        self.ends.len()
    }

    /// From the frame `first` on.
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

/// A place in a cycle.
pub(crate) struct Reader {
    cycle: Rc<Cycle>,
    at: usize,
    /// The one that ends behind `at`.
    frame: usize,
}

impl Reader {
    /// Bytes of the `messages` frames behind the next `skipped` bytes, which end with a frame.
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

    /// The next `len` bytes, or those up to where the cycle comes round a second time.
    pub(crate) fn next(&self, len: usize) -> (&[u8], &[u8]) {
        let (before, behind) = self.cycle.bytes.split_at(self.at);
        let one = &behind[..len.min(behind.len())];
        (one, &before[..(len - one.len()).min(before.len())])
    }

    /// Returns how many frames end there.
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

    /// Advances by `bytes`, which must be those that come next.
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

/// The messages of a cycle, no two the same.
pub(crate) fn messages(load: &Load) -> Rc<Vec<Vec<u8>>> {
    let message = |seed| match load.text {
        true => json(load.size, seed).into_bytes(),
        // No text: it would not be valid as such.
        false => json(load.size, seed).bytes().map(|byte| !byte).collect(),
    };
    Rc::new((0..Cycle::length(load) as u32).map(message).collect())
}

/// What a client sends for them. Compressed, a cycle refers to nothing before itself, so it can be repeated.
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

/// What a server sends for them, uncompressed.
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

/// RFC 7692 §7.2.1: what is left when "0x00 0x00 0xff 0xff" is removed from the tail.
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

/// Frames whose messages were compressed by the server.
pub(crate) struct Inflated {
    first: u8,
    /// Whether a message may refer to those before.
    takeover: bool,
    messages: Rc<Vec<Vec<u8>>>,
    next: usize,
    /// None once they are trusted.
    inflater: Option<Decompress>,
    /// Bytes of the frame under way.
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
        let (mut rest, mut ended) = (&frames[..], 0);
        while let Some((payload, behind)) = split(rest) {
            self.message(rest[0], payload)?;
            (rest, ended) = (behind, ended + 1);
        }
        self.frame = rest.to_vec();
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

/// The payload of the first frame, which is small and not masked, and what is behind it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match *bytes {
        [_, 126, high, low, ref rest @ ..] => (u16::from_be_bytes([high, low]).into(), rest),
        [_, len @ ..126, ref rest @ ..] => (len.into(), rest),
        _ => return None,
    };
    (rest.len() >= len).then(|| rest.split_at(len))
}
