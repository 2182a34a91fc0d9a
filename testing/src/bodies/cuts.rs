//! Cuts of bytes into reads: a stream has no boundaries, so no result may depend on the cuts.

/// The places where a stream is cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cuts {
    /// Nowhere.
    Whole,
    /// After every byte.
    Bytes,
    /// Here and there, as the seed decides.
    Seeded(u8),
}

impl Cuts {
    /// Returns the way that a byte of the input chooses.
    pub(crate) const fn from_seed(seed: u8) -> Self {
        match seed {
            0 => Self::Whole,
            1 => Self::Bytes,
            seed => Self::Seeded(seed),
        }
    }

    /// Returns the pieces of `bytes`, none of them empty.
    pub(crate) fn pieces(self, mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
        let mut state = 0x9E37_79B9_u32;
        if let Self::Seeded(seed) = self {
            state ^= u32::from(seed).wrapping_mul(0x0101_0101);
        }
        std::iter::from_fn(move || {
            let size = match self {
                Self::Whole => bytes.len(),
                Self::Bytes => 1,
                Self::Seeded(_) => {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    // Short pieces are as frequent as long ones.
                    1 + (state >> 16) as usize % (1 << (state % 9))
                }
            };
            let (piece, rest) = bytes.split_at(size.min(bytes.len()));
            bytes = rest;
            (!piece.is_empty()).then_some(piece)
        })
    }
}
