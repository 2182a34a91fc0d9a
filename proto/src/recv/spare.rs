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

/// What is read straight into a message begins with a line of the processor's memory. Where allocators and
/// systems leave it otherwise, it may lie a few bytes further into its page than what it is copied from,
/// which costs some processors ten times as much.
pub(super) const LINE: usize = 64;

/// As [`take`], and where in it the message is to begin.
pub(super) fn aligned(len: usize) -> Option<(Vec<u8>, usize)> {
    let memory = take(len.checked_add(LINE)?)?;
    let start = memory.as_ptr().align_offset(LINE);
    (start < LINE).then_some((memory, start))
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
    use std::sync::Mutex;

    /// What a thread keeps at most, in bytes; twice as much as its largest piece.
    const LOCAL: usize = 512 << 10;
    /// And the process, of larger pieces, for which a lock costs little.
    const SHARED: usize = 4 << 20;

    std::thread_local! {
        static OWN: RefCell<Kept> = const { RefCell::new(Kept::new(LOCAL)) };
    }

    static LARGE: Mutex<Kept> = Mutex::new(Kept::new(SHARED));

    struct Kept {
        /// The oldest first.
        pieces: VecDeque<Vec<u8>>,
        bytes: usize,
        most: usize,
    }

    impl Kept {
        /// However small they are.
        const PIECES: usize = 32;

        const fn new(most: usize) -> Self {
            Self {
                pieces: VecDeque::new(),
                bytes: 0,
                most,
            }
        }

        fn take(&mut self, len: usize) -> Option<Vec<u8>> {
            let fits = len..=len.saturating_mul(2);
            let at = self
                .pieces
                .iter()
                .rposition(|piece| fits.contains(&piece.capacity()))?;
            let piece = self.pieces.remove(at)?;
            self.bytes = self.bytes.saturating_sub(piece.capacity());
            Some(piece)
        }

        fn give(&mut self, piece: Vec<u8>) {
            self.bytes = self.bytes.saturating_add(piece.capacity());
            self.pieces.push_back(piece);
            while self.bytes > self.most || self.pieces.len() > Self::PIECES {
                let oldest = self.pieces.pop_front().unwrap_or_default();
                self.bytes = self.bytes.saturating_sub(oldest.capacity());
            }
        }
    }

    /// What is kept where pieces of `len` bytes are, unless somebody else is there, or the thread ends.
    fn with<U>(len: usize, f: impl FnOnce(&mut Kept) -> U) -> Option<U> {
        if len > LOCAL / 2 {
            return LARGE.try_lock().ok().map(|mut kept| f(&mut kept));
        }
        let done = OWN.try_with(|kept| kept.try_borrow_mut().ok().map(|mut kept| f(&mut kept)));
        done.ok().flatten()
    }

    pub(super) fn take(len: usize) -> Option<Vec<u8>> {
        with(len, |kept| kept.take(len)).flatten()
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
            let piece = mem::take(&mut self.0);
            if piece.capacity() <= SHARED / 2 {
                with(piece.capacity(), |kept| kept.give(piece));
            }
        }
    }
}
