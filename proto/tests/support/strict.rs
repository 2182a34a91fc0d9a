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
