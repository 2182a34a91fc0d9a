use arbitrary::Unstructured;

/// Random choices, made by the bytes of a run. After the last byte, every choice is the first option.
pub(crate) struct Choices<'a>(Unstructured<'a>);

impl<'a> Choices<'a> {
    pub(crate) fn new(data: &'a [u8]) -> Self {
        Self(Unstructured::new(data))
    }

    pub(crate) fn are_over(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns a number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let last = end.saturating_sub(1);
        self.0.int_in_range(0..=last).unwrap_or(0)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.below(256) as u8
    }

    /// Returns true once in `times` times.
    pub(crate) fn one_in(&mut self, times: usize) -> bool {
        self.below(times) + 1 == times
    }

    pub(crate) fn flip(&mut self) -> bool {
        self.one_in(2)
    }

    pub(crate) fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// Returns `len` bytes as they are, or all remaining ones.
    pub(crate) fn raw(&mut self, len: usize) -> Vec<u8> {
        let len = len.min(self.0.len());
        self.0.bytes(len).unwrap_or_default().to_vec()
    }

    /// Returns a length: mostly small, sometimes around a boundary of the wire format or of a buffer.
    pub(crate) fn len(&mut self) -> usize {
        match self.below(16) {
            0 => 0,
            1..=7 => self.below(40),
            8..=10 => 100 + self.below(60),
            11..=13 => self.below(2000),
            14 => self.of(&[125, 126, 127, 4095, 4096, 4097, 16_384, 20_480]),
            _ => match self.below(8) {
                0..=4 => self.below(12_000),
                5 => 65_534 + self.below(6),
                _ => self.below(90_000),
            },
        }
    }

    /// Returns binary content that depends on the position, repeats itself, or is random.
    pub(crate) fn binary(&mut self, len: usize) -> Vec<u8> {
        let seed = self.byte();
        match seed % 4 {
            0 => vec![seed; len],
            1 => (0..len)
                .map(|i| (i * 31 + (i >> 8) * 7) as u8 ^ seed)
                .collect(),
            2 => noise(seed.into(), len),
            _ => self.text(len).into_bytes(),
        }
    }

    /// Returns text of exactly `len` octets, with characters of all lengths.
    pub(crate) fn text(&mut self, len: usize) -> String {
        let seed = usize::from(self.byte());
        let mut text = String::with_capacity(len);
        const WORDS: [&str; 8] = ["a", "ß", "€", "𝄞", "{\"id\":", "word ", "\0", "\u{10FFFF}"];
        let mut at = seed;
        loop {
            at = at.wrapping_mul(5).wrapping_add(seed | 1);
            let word = WORDS[(at >> 3) % WORDS.len()];
            if text.len() + word.len() > len {
                break;
            }
            text.push_str(word);
        }
        text.push_str(&"z".repeat(len - text.len()));
        text
    }
}

/// Returns octets that do not compress.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}
