//! Memory of large messages, used again.
//!
//! What an allocator gives for some tens of kilobytes it may take from the system each time, and give back:
//! then every message costs a page fault for each 4 KiB of it. So a thread keeps some of the memory of the
//! messages that were dropped in it, for the next that need about as much.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::wire::mask;

/// Smaller messages are the allocator's.
const LEAST: usize = 8 << 10;

/// A processor may copy to a few bytes further into a page than it reads from ten times slower than to
/// elsewhere. So messages begin with a line of its memory, not with a page, for what the system reads from
/// or writes to often does, and not shortly behind where they are copied from.
const LINE: usize = 64;
const PAGE: usize = 4 << 10;
/// How much more memory that takes.
const SLACK: usize = 4 * LINE;

/// Memory for a message of `len` bytes that begins at the second, and not for more than twice as many, if
/// there is some. What is in it means nothing. The message comes from `source`, if that is known.
pub(crate) fn take(len: usize, source: &[u8]) -> Option<(Vec<u8>, usize)> {
    let memory = (len >= LEAST).then(|| kept::take(len)).flatten()?;
    let start = place(&memory, source)?;
    Some((memory, start))
}

/// Where a line of the processor's memory begins in `memory`, if that is not far from its own beginning.
#[inline]
pub(crate) fn line(memory: &[u8]) -> usize {
    Some(memory.as_ptr().align_offset(LINE))
        .filter(|at| *at < LINE)
        .unwrap_or_default()
}

/// Where in `memory` a message from `source` is to begin.
fn place(memory: &[u8], source: &[u8]) -> Option<usize> {
    let base = memory.as_ptr();
    let first = line(memory);
    let is_good = |start: &usize| {
        let at = base.addr().wrapping_add(*start);
        let ahead = at.wrapping_sub(source.as_ptr().addr()) % PAGE;
        !at.is_multiple_of(PAGE) && (ahead == 0 || ahead >= LINE)
    };
    (first..SLACK).step_by(LINE).find(is_good)
}

/// Memory for `len` bytes more than it has, and to be used again for as many.
pub(crate) fn reserve(memory: &mut Vec<u8>, len: usize) {
    memory.reserve_exact(len.saturating_add(SLACK));
}

/// Memory of its own with `payload`, unmasked, from the second on.
pub(crate) fn unmasked(payload: &[u8], key: [u8; 4]) -> (Vec<u8>, usize) {
    let (mut memory, start) = own(payload.len(), payload);
    memory.truncate(start.saturating_add(payload.len()));
    match memory.get_mut(start..) {
        Some(place) if place.len() == payload.len() => mask::copy(payload, place, key),
        _ => {
            memory.resize(start, 0);
            memory.extend_from_slice(payload);
            mask::apply(memory.get_mut(start..).unwrap_or_default(), key, 0);
        }
    }
    (memory, start)
}

/// Memory of its own with a copy of `parts`, one behind the other, from the second on.
pub(crate) fn joined(parts: &[&[u8]]) -> (Vec<u8>, usize) {
    let len = parts.iter().map(|part| part.len()).sum();
    let source = parts.first().copied().unwrap_or_default();
    let (mut whole, start) = own(len, source);
    whole.resize(start, 0);
    for part in parts {
        whole.extend_from_slice(part);
    }
    (whole, start)
}

/// Memory that was used before, or else new.
fn own(len: usize, source: &[u8]) -> (Vec<u8>, usize) {
    take(len, source).unwrap_or_else(|| new(len, source))
}

fn new(len: usize, source: &[u8]) -> (Vec<u8>, usize) {
    let mut memory = Vec::new();
    if len < LEAST {
        memory.reserve_exact(len);
        return (memory, 0);
    }
    reserve(&mut memory, len);
    let start = place(&memory, source).unwrap_or_default();
    (memory, start)
}

/// A message from `start` on; its memory comes back when the last who shares it is done.
pub(crate) fn share(body: Vec<u8>, start: usize) -> Bytes {
    let start = start.min(body.len());
    let shared = if body.len() >= LEAST {
        kept::share(body)
    } else {
        body.into()
    };
    shared.slice(start..)
}

/// Gives back what this thread keeps.
#[cfg(feature = "std")]
pub(crate) fn release() {
    kept::release();
}

/// Without threads to ask about, nothing is kept.
#[cfg(not(feature = "std"))]
mod kept {
    use alloc::vec::Vec;

    use bytes::Bytes;

    pub(crate) const fn take(_: usize) -> Option<Vec<u8>> {
        None
    }

    pub(crate) fn share(body: Vec<u8>) -> Bytes {
        body.into()
    }
}

#[cfg(feature = "std")]
mod kept {
    use alloc::{collections::VecDeque, vec::Vec};
    use core::{cell::RefCell, mem};
    use std::sync::Mutex;

    use bytes::Bytes;

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
            let fits = len.saturating_add(super::SLACK)..=len.saturating_mul(2);
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

    pub(crate) fn take(len: usize) -> Option<Vec<u8>> {
        with(len, |kept| kept.take(len)).flatten()
    }

    pub(crate) fn share(body: Vec<u8>) -> Bytes {
        Bytes::from_owner(Spare(body))
    }

    pub(crate) fn release() {
        // A thread that ends gives it back anyway.
        let _ = OWN.try_with(|kept| kept.replace(Kept::new(LOCAL)));
    }

    /// A message's memory.
    struct Spare(Vec<u8>);

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
