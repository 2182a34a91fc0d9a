//! Masking (RFC 6455 §5.3).

use crate::EntropyError;

/// XORs `payload` with `key`, where `payload` starts at byte `offset` of its frame (RFC 6455 §5.3).
///
/// Masking twice gives back the original.
#[inline]
pub fn apply(payload: &mut [u8], mut key: [u8; 4], offset: usize) {
    if key == [0; 4] {
        return; // What a server sends has none.
    }
    key.rotate_left(offset % 4);
    let half = u32::from_ne_bytes(key) as u128;
    let word = half << 96 | half << 64 | half << 32 | half;
    let (words, rest) = payload.as_chunks_mut::<16>();
    for chunk in words {
        *chunk = (u128::from_ne_bytes(*chunk) ^ word).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(word.to_ne_bytes()) {
        *byte ^= key;
    }
}

/// Masking keys, "derived from a strong source of entropy" (RFC 6455 §5.3): the application's,
/// drawn 64 at a time.
pub(crate) struct Keys {
    entropy: fn(&mut [u8]) -> Result<(), EntropyError>,
    pool: [[u8; 4]; Self::POOL],
    left: usize,
}

impl Keys {
    const POOL: usize = 64;

    pub(crate) fn new(entropy: fn(&mut [u8]) -> Result<(), EntropyError>) -> Self {
        Self {
            entropy,
            pool: [[0; 4]; Self::POOL],
            left: 0,
        }
    }

    /// Makes sure that there is a next key.
    pub(crate) fn refill(&mut self) -> Result<(), EntropyError> {
        if self.left == 0 {
            (self.entropy)(self.pool.as_flattened_mut())?;
            self.left = Self::POOL;
        }
        Ok(())
    }

    /// A key that was not used before.
    pub(crate) fn next(&mut self) -> Result<[u8; 4], EntropyError> {
        self.refill()?;
        self.left = self.left.saturating_sub(1);
        self.pool.get(self.left).copied().ok_or(EntropyError)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_offset() {
        let key = [0x37, 0xFA, 0x21, 0x3D];
        for len in 0..200 {
            for offset in 0..9 {
                let plain: Vec<u8> = (0..len).collect();
                let mut masked = plain.clone();
                apply(&mut masked, key, offset);
                // "transformed-octet-i = original-octet-i XOR masking-key-octet-j", j = i MOD 4
                let defined = plain
                    .iter()
                    .enumerate()
                    .map(|(i, octet)| octet ^ key[(i + offset) % 4]);
                assert!(
                    masked.iter().copied().eq(defined),
                    "length {len}, offset {offset}"
                );
            }
        }
    }

    #[test]
    fn keys_are_drawn_in_pools_and_a_failing_source_gives_no_key() {
        static DRAWS: core::sync::atomic::AtomicU32 = core::sync::atomic::AtomicU32::new(0);
        let mut keys = Keys::new(|pool| {
            let draw = DRAWS.fetch_add(1, core::sync::atomic::Ordering::Relaxed);
            pool.fill(7);
            if draw == 2 { Err(EntropyError) } else { Ok(()) }
        });
        for _ in 0..2 * Keys::POOL {
            assert_eq!(keys.next(), Ok([7; 4]));
        }
        assert_eq!(keys.next(), Err(EntropyError));
        assert_eq!(keys.next(), Ok([7; 4]), "the next draw succeeds");
    }
}
