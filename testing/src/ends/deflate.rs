//! Compression at the other end: another library, and a strict inflater.

use std::sync::Arc;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use proto::{
    Config, Connection, Instant, Negotiated, Role,
    deflate::{Agreed, Deflate, Window},
};

use super::{End, config};
use crate::{
    frames::{FIN, Frame, RSV1},
    rfc1951::Inflate,
};

pub const fn window(bits: u8, takeover: bool) -> Window {
    Window { bits, takeover }
}

/// Returns an agreement with the same window in both directions.
pub const fn both(bits: u8, takeover: bool) -> Agreed {
    Agreed {
        send: window(bits, takeover),
        recv: window(bits, takeover),
    }
}

/// The default agreement in both directions.
pub const USUAL: Agreed = both(15, true);

pub fn connection(role: Role, agreed: Agreed, config: &Arc<Config>) -> Connection {
    let mut negotiated = Negotiated::default();
    negotiated.deflate = Some(agreed);
    Connection::new(role, negotiated, config.clone())
}

/// Returns an end that compresses every message.
pub fn end(role: Role, agreed: Agreed, change: impl FnOnce(&mut Config)) -> End {
    let config = config(|config| {
        config.deflate = Some(all());
        change(config);
    });
    End {
        role,
        conn: connection(role, agreed, &config),
        now: Instant::EPOCH,
    }
}

/// Returns options that compress messages of any size.
pub fn all() -> Deflate {
    let mut options = Deflate::default();
    options.threshold = 0;
    options
}

/// Returns a compressed message in one frame.
pub fn compressed(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame::new(FIN | RSV1 | opcode, payload)
}

/// The peer's compressor, which uses miniz_oxide.
pub struct Deflater {
    /// The state, which is large and created when it is needed.
    state: Option<Compress>,
    level: Compression,
    takeover: bool,
}

impl Deflater {
    pub fn new(level: u32, takeover: bool) -> Self {
        Self {
            state: None,
            level: Compression::new(level),
            takeover,
        }
    }

    /// Returns the payload of a compressed message (RFC 7692 §7.2.1).
    pub fn message(&mut self, content: &[u8]) -> Vec<u8> {
        if content.is_empty() {
            return vec![0];
        }
        let new = || Compress::new(self.level, false);
        let state = self.state.get_or_insert_with(new);
        if !self.takeover && state.total_in() > 0 {
            state.reset();
        }
        let mut out = Vec::with_capacity(content.len() * 2 + 100);
        state
            .compress_vec(content, &mut out, FlushCompress::Sync)
            .unwrap();
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]), "it is flushed");
        out.truncate(out.len() - 4);
        out
    }
}

/// Inflates what we sent, twice: with miniz_oxide, and with our own reader of RFC 1951, which refuses any reference
/// beyond the agreed window.
pub struct Inflater {
    state: Decompress,
    strict: Inflate,
    takeover: bool,
}

impl Inflater {
    pub fn new(agreed: Window) -> Self {
        Self {
            state: Decompress::new(false),
            strict: Inflate::new(agreed.bits, usize::MAX),
            takeover: agreed.takeover,
        }
    }

    /// Returns the content of a compressed message (§7.2.2).
    pub fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.state.reset(false);
            self.strict.forget();
        }
        let content = self.strict.ours(payload);
        let payload = [payload, &[0, 0, 0xff, 0xff]].concat();
        let mut out = Vec::with_capacity(content.len() + 64);
        self.state
            .decompress_vec(&payload, &mut out, FlushDecompress::Sync)
            .unwrap();
        assert!(out == content, "two inflaters, two messages");
        content
    }

    /// Returns the content of a message in these frames.
    pub fn frames(&mut self, frames: &[Frame]) -> Vec<u8> {
        let opcode = frames[0].first & 0xF;
        assert!(opcode == 1 || opcode == 2, "a message begins");
        for (i, frame) in frames.iter().enumerate() {
            let fin = if i + 1 == frames.len() { FIN } else { 0 };
            let rest = if i == 0 {
                frame.first & RSV1 | opcode
            } else {
                0
            };
            assert_eq!(frame.first, fin | rest, "frame {i}");
        }
        let payload: Vec<u8> = frames.iter().flat_map(|f| f.payload.clone()).collect();
        if frames[0].first & RSV1 == 0 {
            return payload;
        }
        self.message(&payload)
    }

    /// Returns all messages in these frames.
    pub fn messages(&mut self, frames: &[Frame]) -> Vec<Vec<u8>> {
        let ends = |frame: &Frame| frame.first & FIN != 0;
        let mut frames = frames.split_inclusive(ends);
        frames.by_ref().map(|frames| self.frames(frames)).collect()
    }
}

/// Returns content of all kinds: text that repeats itself, noise, one repeated byte, nothing.
pub fn contents(count: usize, most: usize) -> Vec<Vec<u8>> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut before = Vec::new();
    (0..count)
        .map(|i| {
            let len = random.below(most) >> random.below(8);
            let content: Vec<u8> = match i % 6 {
                0 => (0..len).map(|_| random.draw() as u8).collect(),
                1 => vec![random.draw() as u8; len],
                2 => Vec::clone(&before),
                3 if i % 12 == 3 => Vec::new(),
                _ => {
                    let mut text = String::new();
                    while text.len() < len {
                        let (n, word) = (random.below(1000), random.below(40));
                        text += &format!("{{\"id\":{n},\"name\":\"word{word}\",\"ok\":true}},");
                    }
                    text.truncate(len);
                    text.into()
                }
            };
            before.clone_from(&content);
            content
        })
        .collect()
}

/// A repeatable source of numbers.
pub struct Random(pub u64);

impl Random {
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub fn below(&mut self, most: usize) -> usize {
        (self.draw() % most.max(1) as u64) as usize
    }
}

pub fn json(len: usize) -> Vec<u8> {
    let mut random = Random(1);
    let mut text = String::new();
    while text.len() < len {
        let (id, name) = (random.below(100_000), random.below(300));
        text += &format!("{{\"id\":{id},\"name\":\"user{name}\",\"on\":true}},");
    }
    text.truncate(len);
    text.into()
}
