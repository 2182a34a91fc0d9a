//! Memory of large messages, used again.
//!
//! What an allocator gives for some tens of kilobytes it may take from the system each time, and give back:
//! then every message costs a page fault for each 4 KiB of it. So a thread keeps some of the memory of the
//! messages that were dropped in it, for the next that need about as much.

use alloc::vec::Vec;

use bytes::Bytes;

#[cfg(feature = "std")]
use kept::Spare;

/// Smaller messages are the allocator's, and all are where there are no threads to ask about.
#[cfg(feature = "std")]
const LEAST: usize = 8 << 10;

/// Memory for a message of `len` bytes, and not for more than twice as many, if there is some. What is in
/// it means nothing.
pub(super) fn take(len: usize) -> Option<Vec<u8>> {
    #[cfg(feature = "std")]
    return (len >= LEAST).then(|| kept::take(len)).flatten();
    #[cfg(not(feature = "std"))]
    Some(Vec::new()).filter(|memory: &Vec<u8>| memory.capacity() >= len)
}

/// Memory of its own with a copy of `parts`, one behind the other.
pub(super) fn joined(parts: &[&[u8]]) -> Vec<u8> {
    let len = parts.iter().map(|part| part.len()).sum();
    let mut whole = take(len).unwrap_or_else(|| Vec::with_capacity(len));
    whole.clear();
    for part in parts {
        whole.extend_from_slice(part);
    }
    whole
}

/// A message's memory; it comes back when the last who shares it is done.
pub(super) fn share(body: Vec<u8>) -> Bytes {
    #[cfg(feature = "std")]
    if body.len() >= LEAST {
        return Bytes::from_owner(Spare::new(body));
    }
    body.into()
}

#[cfg(feature = "std")]
mod kept {
    use alloc::{collections::VecDeque, vec::Vec};
    use core::{cell::RefCell, mem};

    /// What a thread keeps at most, in bytes and in pieces.
    const MOST: usize = 512 << 10;
    const PIECES: usize = 32;

    std::thread_local! {
        static KEPT: RefCell<Kept> = const { RefCell::new(Kept { pieces: VecDeque::new(), bytes: 0 }) };
    }

    struct Kept {
        /// The oldest first.
        pieces: VecDeque<Vec<u8>>,
        bytes: usize,
    }

    pub(super) fn take(len: usize) -> Option<Vec<u8>> {
        let fits = len..=len.saturating_mul(2);
        let taken = KEPT.try_with(|kept| {
            let kept = &mut *kept.try_borrow_mut().ok()?;
            let at = kept
                .pieces
                .iter()
                .rposition(|piece| fits.contains(&piece.capacity()))?;
            let piece = kept.pieces.remove(at)?;
            kept.bytes = kept.bytes.saturating_sub(piece.capacity());
            Some(piece)
        });
        taken.ok().flatten()
    }

    fn give(piece: Vec<u8>) {
        if piece.capacity() > MOST / 2 {
            return;
        }
        // A thread that ends keeps nothing.
        let _ = KEPT.try_with(|kept| {
            let Ok(mut kept) = kept.try_borrow_mut() else {
                return;
            };
            kept.bytes = kept.bytes.saturating_add(piece.capacity());
            kept.pieces.push_back(piece);
            while kept.bytes > MOST || kept.pieces.len() > PIECES {
                let oldest = kept.pieces.pop_front().unwrap_or_default();
                kept.bytes = kept.bytes.saturating_sub(oldest.capacity());
            }
        });
    }

    /// A message's memory.
    pub(super) struct Spare(Vec<u8>);

    impl Spare {
        pub(super) const fn new(body: Vec<u8>) -> Self {
            Self(body)
        }
    }

    impl AsRef<[u8]> for Spare {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Spare {
        fn drop(&mut self) {
            give(mem::take(&mut self.0));
        }
    }
}
