//! Masking (RFC 6455 §5.3).

use crate::error::EntropyError;

/// XORs `payload` with `key`, where `payload` starts at byte `offset` of its frame (RFC 6455 §5.3).
///
/// Masking twice gives back the original.
#[inline]
pub fn apply(payload: &mut [u8], mut key: [u8; 4], offset: usize) {
    if key == [0; 4] {
        return; // A server's frames have no key.
    }
    key.rotate_left(offset % 4);
    if payload.len() < LARGE {
        apply_small(payload, key);
    } else {
        apply_large(payload, &block(key));
    }
}

/// Fills `target` with `source` XORed with `key`. Both have the same length.
#[inline]
pub(crate) fn copy(source: &[u8], target: &mut [u8], key: [u8; 4]) {
    if key == [0; 4] || source.len() < LARGE {
        target.copy_from_slice(source);
        apply(target, key, 0);
    } else {
        copy_large(source, target, &block(key));
    }
}

/// From this many bytes on, using the processor's wide registers pays off.
const LARGE: usize = 2 << 10;

/// The bytes that are masked at once.
type Block = [u8; 64];

fn block(key: [u8; 4]) -> Block {
    let mut block = [0; 64];
    block.as_chunks_mut().0.fill(key);
    block
}

/// Masks with the widest words that fit, without the setup that wide registers need.
#[inline]
fn apply_small(payload: &mut [u8], key: [u8; 4]) {
    let key32 = u32::from_ne_bytes(key);
    let key64 = u64::from(key32) << 32 | u64::from(key32);
    let key128 = u128::from(key64) << 64 | u128::from(key64);
    let (words, rest) = payload.as_chunks_mut();
    for word in words {
        *word = (u128::from_ne_bytes(*word) ^ key128).to_ne_bytes();
    }
    let rest = if let Some((word, rest)) = rest.split_first_chunk_mut() {
        *word = (u64::from_ne_bytes(*word) ^ key64).to_ne_bytes();
        rest
    } else {
        rest
    };
    let rest = if let Some((word, rest)) = rest.split_first_chunk_mut() {
        *word = (u32::from_ne_bytes(*word) ^ key32).to_ne_bytes();
        rest
    } else {
        rest
    };
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg_attr(feature = "std", multiversion::multiversion(targets("x86_64+avx2")))]
fn apply_large(payload: &mut [u8], key: &Block) {
    let (blocks, rest) = payload.as_chunks_mut::<64>();
    for block in blocks {
        for (byte, key) in block.iter_mut().zip(key) {
            *byte ^= key;
        }
    }
    for (byte, key) in rest.iter_mut().zip(key) {
        *byte ^= key;
    }
}

#[cfg_attr(feature = "std", multiversion::multiversion(targets("x86_64+avx2")))]
fn copy_large(source: &[u8], target: &mut [u8], key: &Block) {
    let (blocks, rest) = target.as_chunks_mut::<64>();
    let (source_blocks, source_rest) = source.as_chunks::<64>();
    for (block, source) in blocks.iter_mut().zip(source_blocks) {
        for ((byte, source), key) in block.iter_mut().zip(source).zip(key) {
            *byte = source ^ key;
        }
    }
    for ((byte, source), key) in rest.iter_mut().zip(source_rest).zip(key) {
        *byte = source ^ key;
    }
}

/// Masking keys, "derived from a strong source of entropy" (RFC 6455 §5.3). They are drawn from the application's
/// source, 64 at a time.
pub(crate) struct Keys {
    entropy: fn(&mut [u8]) -> Result<(), EntropyError>,
    pool: [[u8; 4]; Self::POOL],
    remaining: usize,
}

impl Keys {
    const POOL: usize = 64;

    pub(crate) fn new(entropy: fn(&mut [u8]) -> Result<(), EntropyError>) -> Self {
        Self {
            entropy,
            pool: [[0; 4]; Self::POOL],
            remaining: 0,
        }
    }

    /// Makes sure that at least one key is available.
    pub(crate) fn refill(&mut self) -> Result<(), EntropyError> {
        if self.remaining == 0 {
            (self.entropy)(self.pool.as_flattened_mut())?;
            self.remaining = Self::POOL;
        }
        Ok(())
    }

    /// Returns a key that was not used before.
    pub(crate) fn next(&mut self) -> Result<[u8; 4], EntropyError> {
        self.refill()?;
        self.remaining = self.remaining.saturating_sub(1);
        self.pool.get(self.remaining).copied().ok_or(EntropyError)
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn agrees_with_the_definition_at_every_length_and_offset() {
        for len in (0..200).chain(LARGE - 1..LARGE + 70) {
            let unmasked: Vec<u8> = (0..=255).cycle().take(len).collect();
            for offset in 0..9 {
                // "transformed-octet-i = original-octet-i XOR masking-key-octet-j", j = i MOD 4
                let defined = |key: [u8; 4]| -> Vec<u8> {
                    let octets = unmasked.iter().enumerate();
                    octets
                        .map(|(i, octet)| octet ^ key[(i + offset) % 4])
                        .collect()
                };
                for key in [[0x37, 0xFA, 0x21, 0x3D], [0; 4]] {
                    let mut masked = unmasked.clone();
                    apply(&mut masked, key, offset);
                    assert!(masked == defined(key), "length {len}, offset {offset}");

                    let mut turned = key;
                    turned.rotate_left(offset % 4);
                    let mut copied = masked;
                    copied.fill(0x55);
                    copy(&unmasked, &mut copied, turned);
                    assert!(
                        copied == defined(key),
                        "copied: length {len}, offset {offset}"
                    );
                }
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
