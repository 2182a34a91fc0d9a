//! DEFLATE as RFC 1951 defines it, bit by bit, and the rules of RFC 7692 for a complete message. It is slow and
//! simple, and uses none of the code under test.

use std::sync::LazyLock;

/// One direction of a connection, which inflates messages or only follows them.
#[derive(Debug)]
pub struct Inflate {
    /// The data that may be referred to. The end of it is the current message.
    out: Vec<u8>,
    /// The farthest distance that a reference may have.
    window: usize,
    /// The position in `out` where the message begins.
    start: usize,
    /// The largest size that a message may have.
    max: usize,
    /// The farthest distance that any reference had.
    pub farthest: usize,
    /// Whether a block was the last of its stream (BFINAL).
    pub ended: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// The data is not DEFLATE, or it is incomplete.
    Corrupt,
    /// The data was valid so far, and is larger than allowed.
    TooBig,
}

/// The bytes that a sender removes from the end of a message (RFC 7692 §7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

impl Inflate {
    pub fn new(bits: u8, max: usize) -> Self {
        Self {
            out: Vec::new(),
            window: 1 << bits,
            start: 0,
            max,
            farthest: 0,
            ended: false,
        }
    }

    /// Forgets the data so far, so that later messages cannot refer to it.
    pub fn forget(&mut self) {
        self.out.clear();
    }

    /// Inflates `payload`, whose tail was removed or left on, or which ended its stream.
    pub fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, Fault> {
        self.out.drain(..self.out.len().saturating_sub(1 << 15));
        self.start = self.out.len();
        let mut message = Vec::new();
        if payload.is_empty() {
            return Ok(message);
        }
        let input = [payload, &TAIL].concat();
        let mut bits = Bits {
            input: &input,
            at: 0,
        };
        loop {
            let is_last = bits.take(1)? == 1;
            let kind = bits.take(2)?;
            let before = self.out.len();
            match kind {
                0 => self.stored(&mut bits)?,
                1 => self.codes(&mut bits, &FIXED.0, &FIXED.1)?,
                2 => self.dynamic(&mut bits)?,
                _ => return Err(Fault::Corrupt),
            }
            self.ended |= is_last;
            // §7.2.1: the removed tail belongs to "an empty DEFLATE block with no compression", not to another
            // block that lacks four octets.
            let is_tail = kind == 0 && self.out.len() == before;
            if is_last {
                // A stream ends at a byte, and the next one begins without history.
                bits.align();
                message.extend(self.out.drain(..).skip(self.start));
                self.start = 0;
            }
            let at = bits.at.div_ceil(8);
            let left_on = bits.at.is_multiple_of(8) && payload.ends_with(&TAIL) || is_last;
            if at == input.len() && is_tail || at == payload.len() && left_on {
                message.extend_from_slice(&self.out[self.start..]);
                return Ok(message);
            }
        }
    }

    /// Inflates a `payload` that we sent: it must be complete, and must not end its stream.
    pub fn ours(&mut self, payload: &[u8]) -> Vec<u8> {
        let message = self.message(payload);
        assert!(!self.ended, "we never end the stream");
        message.unwrap_or_else(|fault| panic!("{fault:?} within {} bytes", self.window))
    }

    fn push(&mut self, byte: u8) -> Result<(), Fault> {
        if self.out.len() - self.start >= self.max {
            return Err(Fault::TooBig);
        }
        self.out.push(byte);
        Ok(())
    }

    fn stored(&mut self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        bits.align();
        let len = bits.take(16)?;
        if bits.take(16)? != len ^ 0xffff {
            return Err(Fault::Corrupt);
        }
        for _ in 0..len {
            let byte = bits.take(8)? as u8;
            self.push(byte)?;
        }
        Ok(())
    }

    fn dynamic(&mut self, bits: &mut Bits<'_>) -> Result<(), Fault> {
        const ORDER: [usize; 19] = [
            16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
        ];
        let (literals, distances) = (bits.take(5)? + 257, bits.take(5)? + 1);
        if literals > 286 || distances > 30 {
            return Err(Fault::Corrupt);
        }
        let count = bits.take(4)? + 4;
        let mut lengths = [0; 19];
        for at in &ORDER[..count] {
            lengths[*at] = bits.take(3)? as u8;
        }
        let code = Code::new(&lengths, false)?;
        let mut lengths: Vec<u8> = Vec::new();
        while lengths.len() < literals + distances {
            let (value, times) = match code.read(bits)? {
                16 => {
                    let last = *lengths.last().ok_or(Fault::Corrupt)?;
                    (last, 3 + bits.take(2)?)
                }
                17 => (0, 3 + bits.take(3)?),
                18 => (0, 11 + bits.take(7)?),
                length => (length as u8, 1),
            };
            lengths.extend(std::iter::repeat_n(value, times));
        }
        if lengths.len() > literals + distances {
            return Err(Fault::Corrupt);
        }
        let (literals, distances) = lengths.split_at(literals);
        // Without it the block would have no end.
        if literals[256] == 0 {
            return Err(Fault::Corrupt);
        }
        let (literals, distances) = (Code::new(literals, true)?, Code::new(distances, true)?);
        self.codes(bits, &literals, &distances)
    }

    fn codes(
        &mut self,
        bits: &mut Bits<'_>,
        literals: &Code,
        distances: &Code,
    ) -> Result<(), Fault> {
        loop {
            let symbol = literals.read(bits)?;
            let length = match symbol {
                0..256 => {
                    self.push(symbol as u8)?;
                    continue;
                }
                256 => return Ok(()),
                285 => 258,
                286.. => return Err(Fault::Corrupt),
                _ => {
                    let (base, extra) = steps(symbol - 257, 4, 3);
                    base + bits.take(extra)?
                }
            };
            let symbol = distances.read(bits)?;
            if symbol >= 30 {
                return Err(Fault::Corrupt);
            }
            let (base, extra) = steps(symbol, 2, 1);
            let distance = base + bits.take(extra)?;
            if distance > self.window || distance > self.out.len() {
                return Err(Fault::Corrupt);
            }
            self.farthest = self.farthest.max(distance);
            for _ in 0..length {
                self.push(self.out[self.out.len() - distance])?;
            }
        }
    }
}

/// For codes whose range doubles after each `group`, returns the first value and the number of bits that follow.
fn steps(symbol: usize, group: usize, first: usize) -> (usize, u32) {
    if symbol < 2 * group {
        return (symbol + first, 0);
    }
    let extra = symbol / group - 1;
    (((group + symbol % group) << extra) + first, extra as u32)
}

struct Bits<'a> {
    input: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    /// The least significant bit comes first (§3.1.1).
    fn take(&mut self, count: u32) -> Result<usize, Fault> {
        let mut value = 0;
        for i in 0..count {
            let byte = self.input.get(self.at / 8).ok_or(Fault::Corrupt)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << i;
            self.at += 1;
        }
        Ok(value)
    }

    fn align(&mut self) {
        self.at = self.at.next_multiple_of(8);
    }
}

/// The fixed codes for literals and for distances (§3.2.6).
static FIXED: LazyLock<(Code, Code)> = LazyLock::new(|| {
    let lengths: Vec<u8> = (0..288)
        .map(|symbol| match symbol {
            144..=255 => 9,
            256..=279 => 7,
            _ => 8,
        })
        .collect();
    let code = |lengths| Code::new(lengths, false).unwrap_or_else(|_| unreachable!("§3.2.6"));
    (code(&lengths), code(&[5; 32]))
});

/// A canonical code (§3.2.2): the number of codes of each length, and their symbols in order.
struct Code {
    counts: [usize; 16],
    symbols: Vec<usize>,
}

impl Code {
    /// Checks that a code uses all its bit patterns, unless it has at most one symbol, of one bit (§3.2.7).
    fn new(lengths: &[u8], may_be_single: bool) -> Result<Self, Fault> {
        let mut code = Self {
            counts: [0; 16],
            symbols: Vec::new(),
        };
        for length in 1..=15 {
            let these = lengths.iter().enumerate().filter(|(_, l)| **l == length);
            let before = code.symbols.len();
            code.symbols.extend(these.map(|(symbol, _)| symbol));
            code.counts[usize::from(length)] = code.symbols.len() - before;
        }
        let used: usize = (1..=15)
            .map(|length| code.counts[length] << (15 - length))
            .sum();
        let is_single = may_be_single && code.symbols.len() == code.counts[1];
        match used.cmp(&(1 << 15)) {
            std::cmp::Ordering::Equal => Ok(code),
            std::cmp::Ordering::Less if is_single => Ok(code),
            _ => Err(Fault::Corrupt),
        }
    }

    fn read(&self, bits: &mut Bits<'_>) -> Result<usize, Fault> {
        let (mut code, mut first, mut index) = (0, 0, 0);
        for count in &self.counts[1..] {
            code |= bits.take(1)?;
            if code < first + count {
                return Ok(self.symbols[index + code - first]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(Fault::Corrupt)
    }
}
