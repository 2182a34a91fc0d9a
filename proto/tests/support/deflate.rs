//! Compression as the other end does it: another library's, and an inflater that is strict.

use std::sync::Arc;

use bowline_proto::{
    Config, Connection, Instant, Negotiated, Role,
    deflate::{Agreed, Deflate, Window},
};
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::{End, FIN, Frame, config};

pub const RSV1: u8 = 0x40;

pub const fn window(bits: u8, takeover: bool) -> Window {
    Window { bits, takeover }
}

/// Both directions at their defaults.
pub const USUAL: Agreed = Agreed {
    send: window(15, true),
    recv: window(15, true),
};

pub fn connection(role: Role, agreed: Agreed, config: &Arc<Config>) -> Connection {
    let mut negotiated = Negotiated::default();
    negotiated.deflate = Some(agreed);
    Connection::new(role, negotiated, config, Instant::EPOCH)
}

/// An end that compresses whatever it sends.
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

/// No message is too small.
pub fn all() -> Deflate {
    let mut options = Deflate::default();
    options.threshold = 0;
    options
}

/// A compressed message in one frame.
pub fn compressed(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame::new(FIN | RSV1 | opcode, payload)
}

/// The peer's compressor, by miniz_oxide.
pub struct Deflater {
    state: Compress,
    takeover: bool,
}

impl Deflater {
    pub fn new(level: u32, takeover: bool) -> Self {
        Self {
            state: Compress::new(Compression::new(level), false),
            takeover,
        }
    }

    /// The payload of a compressed message (§7.2.1).
    pub fn message(&mut self, content: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.state.reset();
        }
        let mut out = Vec::with_capacity(content.len() * 2 + 100);
        self.state
            .compress_vec(content, &mut out, FlushCompress::Sync)
            .unwrap();
        if content.is_empty() {
            return vec![0];
        }
        assert!(out.ends_with(&[0, 0, 0xff, 0xff]), "it is flushed");
        out.truncate(out.len() - 4);
        out
    }
}

/// Inflates what we sent, twice: by miniz_oxide and by the inflater below, which refuses whatever
/// reaches beyond the agreed window.
pub struct Inflater {
    state: Decompress,
    strict: Strict,
    takeover: bool,
}

impl Inflater {
    pub fn new(agreed: Window) -> Self {
        Self {
            state: Decompress::new(false),
            strict: Strict::new(agreed.bits),
            takeover: agreed.takeover,
        }
    }

    /// What a compressed message (§7.2.2) contains.
    pub fn message(&mut self, payload: &[u8]) -> Vec<u8> {
        if !self.takeover {
            self.state.reset(false);
            self.strict.forget();
        }
        let payload = [payload, &[0, 0, 0xff, 0xff]].concat();
        let content = self.strict.message(&payload);
        let mut out = Vec::with_capacity(content.len() + 64);
        self.state
            .decompress_vec(&payload, &mut out, FlushDecompress::Sync)
            .unwrap();
        assert!(out == content, "two inflaters, two messages");
        content
    }

    /// Of a message in these frames.
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

    /// All messages in these frames.
    pub fn messages(&mut self, frames: &[Frame]) -> Vec<Vec<u8>> {
        let ends = |frame: &Frame| frame.first & FIN != 0;
        let mut frames = frames.split_inclusive(ends);
        frames.by_ref().map(|frames| self.frames(frames)).collect()
    }
}

/// An inflater written from RFC 1951, bit by bit, that keeps to a window.
pub struct Strict {
    window: usize,
    out: Vec<u8>,
    input: Vec<u8>,
    bit: usize,
    /// The farthest that anything reached back.
    pub farthest: usize,
}

impl Strict {
    pub fn new(bits: u8) -> Self {
        Self {
            window: 1 << bits,
            out: Vec::new(),
            input: Vec::new(),
            bit: 0,
            farthest: 0,
        }
    }

    pub fn forget(&mut self) {
        self.out.clear();
    }

    /// Inflates whole blocks, with the tail on, which end with the input.
    pub fn message(&mut self, input: &[u8]) -> Vec<u8> {
        self.out.drain(..self.out.len().saturating_sub(1 << 15));
        let start = self.out.len();
        (self.input, self.bit) = (input.to_vec(), 0);
        while self.bit < self.input.len() * 8 {
            assert_eq!(self.bits(1), 0, "we never end the stream");
            match self.bits(2) {
                0 => self.stored(),
                1 => {
                    let lengths: Vec<u8> = (0..288)
                        .map(|symbol| match symbol {
                            144..=255 => 9,
                            256..=279 => 7,
                            _ => 8,
                        })
                        .collect();
                    self.codes(&Code::new(&lengths), &Code::new(&[5; 30]));
                }
                2 => self.dynamic(),
                _ => panic!("block type 3"),
            }
        }
        self.out[start..].to_vec()
    }

    fn bits(&mut self, count: u32) -> usize {
        (0..count).fold(0, |value, i| {
            let byte = self.input[self.bit / 8];
            let bit = usize::from(byte >> (self.bit % 8) & 1);
            self.bit += 1;
            value | bit << i
        })
    }

    fn stored(&mut self) {
        self.bit = self.bit.next_multiple_of(8);
        let len = self.bits(16);
        assert_eq!(self.bits(16), len ^ 0xffff);
        for _ in 0..len {
            let byte = self.bits(8) as u8;
            self.out.push(byte);
        }
    }

    fn dynamic(&mut self) {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let (literals, distances) = (self.bits(5) + 257, self.bits(5) + 1);
        let count = self.bits(4) + 4;
        let mut lengths = [0; 19];
        for at in &ORDER[..count] {
            lengths[*at] = self.bits(3) as u8;
        }
        let code = Code::new(&lengths);
        let mut lengths = Vec::new();
        while lengths.len() < literals + distances {
            let symbol = code.read(self);
            let (value, times) = match symbol {
                16 => (*lengths.last().unwrap(), 3 + self.bits(2)),
                17 => (0, 3 + self.bits(3)),
                18 => (0, 11 + self.bits(7)),
                length => (length as u8, 1),
            };
            lengths.extend(std::iter::repeat_n(value, times));
        }
        let (literals, distances) = lengths.split_at(literals);
        self.codes(&Code::new(literals), &Code::new(distances));
    }

    fn codes(&mut self, literals: &Code, distances: &Code) {
        loop {
            match literals.read(self) {
                literal @ 0..256 => self.out.push(literal as u8),
                256 => return,
                symbol => {
                    let (base, extra) = steps(symbol - 257, 4, 3);
                    let length = match symbol {
                        285 => 258,
                        _ => base + self.bits(extra),
                    };
                    let (base, extra) = steps(distances.read(self), 2, 1);
                    let distance = base + self.bits(extra);
                    assert!(distance <= self.window, "beyond the window: {distance}");
                    self.farthest = self.farthest.max(distance);
                    for _ in 0..length {
                        let byte = self.out[self.out.len() - distance];
                        self.out.push(byte);
                    }
                }
            }
        }
    }
}

/// Of codes whose range doubles after each `group`, the first value and how many bits follow.
fn steps(symbol: usize, group: usize, first: usize) -> (usize, u32) {
    if symbol < 2 * group {
        return (symbol + first, 0);
    }
    let extra = symbol / group - 1;
    (((group + symbol % group) << extra) + first, extra as u32)
}

struct Code(Vec<(u8, usize, usize)>);

impl Code {
    /// The canonical code of these lengths (RFC 1951 §3.2.2).
    fn new(lengths: &[u8]) -> Self {
        let mut codes = Vec::new();
        let mut next = 0;
        for length in 1..=15 {
            next <<= 1;
            for (symbol, _) in lengths.iter().enumerate().filter(|(_, l)| **l == length) {
                codes.push((length, next, symbol));
                next += 1;
            }
        }
        Self(codes)
    }

    fn read(&self, from: &mut Strict) -> usize {
        let (mut value, mut len) = (0, 0);
        let mut codes = self.0.as_slice();
        loop {
            value = value << 1 | from.bits(1);
            len += 1;
            let of_len = codes.partition_point(|code| code.0 <= len);
            let (these, longer) = codes.split_at(of_len);
            if let Some((_, first, _)) = these.first()
                && let Some((_, _, symbol)) = value.checked_sub(*first).and_then(|i| these.get(i))
            {
                return *symbol;
            }
            assert!(!longer.is_empty(), "no such code");
            codes = longer;
        }
    }
}

/// Content of all kinds: text that repeats itself, noise, one byte over and over, nothing.
pub fn contents(count: usize, most: usize) -> Vec<Vec<u8>> {
    let mut random = Random(0x2545_F491_4F6C_DD1D);
    let mut before = Vec::new();
    (0..count)
        .map(|i| {
            let len = random.below(most) >> random.below(8);
            let content: Vec<u8> = match i % 6 {
                0 => (0..len).map(|_| random.next() as u8).collect(),
                1 => vec![random.next() as u8; len],
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

/// Repeatable.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 11
    }

    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most.max(1) as u64) as usize
    }
}
