//! Reuses the memory of large messages.
//!
//! For some tens of kilobytes an allocator may get memory from the system and return it every time. Every message
//! then costs a page fault for each 4 KiB of its memory. A thread therefore keeps some of the memory of messages
//! that were dropped on it, for later messages of about the same size.

use alloc::vec::Vec;

use bytes::Bytes;

use crate::wire::mask;

/// Smaller messages are left to the allocator.
const LEAST: usize = 8 << 10;

/// Copying can be ten times slower if the target begins a few bytes further into its page than the source into its
/// own. Buffers that the system reads or writes often begin with a page. A message therefore begins with a cache
/// line, but not with a page, and not less than a line further into its page than its source.
const LINE: usize = 64;
const PAGE: usize = 4 << 10;
/// The extra memory that this needs.
const SLACK: usize = 4 * LINE;

/// Returns spare memory for a message of `len` bytes, and the position in it where the message is to begin, or
/// `None` if there is none of a suitable size. The memory is at most twice as large as needed, and its content is
/// arbitrary. `source` is where the message will be copied from, if that is known.
pub(crate) fn take(len: usize, source: &[u8]) -> Option<(Vec<u8>, usize)> {
    let memory = (len >= LEAST).then(|| kept::take(len)).flatten()?;
    let start = place(&memory, source)?;
    Some((memory, start))
}

/// Returns the position of the first cache line in `memory`, or 0 if there is none near its beginning.
#[inline]
pub(crate) fn line(memory: &[u8]) -> usize {
    Some(memory.as_ptr().align_offset(LINE))
        .filter(|at| *at < LINE)
        .unwrap_or_default()
}

/// Returns the position in `memory` where a message from `source` is to begin.
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

/// Reserves `len` more bytes, with enough room for the memory to be reused for as many.
pub(crate) fn reserve(memory: &mut Vec<u8>, len: usize) {
    memory.reserve_exact(len.saturating_add(SLACK));
}

/// Copies and unmasks `payload` into memory of its own. Returns that memory and the position where the payload
/// begins.
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

/// Copies `parts`, one after the other, into memory of its own. Returns that memory and the position where they
/// begin.
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

/// Returns memory that was used before, or else new memory.
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

/// Returns the message that begins at `start`. Its memory is kept for reuse after the last handle to it is dropped.
pub(crate) fn share(body: Vec<u8>, start: usize) -> Bytes {
    let start = start.min(body.len());
    let shared = if body.len() >= LEAST {
        kept::share(body)
    } else {
        body.into()
    };
    shared.slice(start..)
}

/// Frees the memory that this thread keeps.
#[cfg(feature = "std")]
pub(crate) fn release() {
    kept::release();
}

/// Without `std` there are no thread locals, so nothing is kept.
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

    /// The most bytes that a thread keeps. It keeps no piece larger than half of this.
    const LOCAL: usize = 512 << 10;
    /// The most bytes that the process keeps, in larger pieces, for which a lock costs little.
    const SHARED: usize = 4 << 20;

    std::thread_local! {
        static OWN: RefCell<Kept> = const { RefCell::new(Kept::new(LOCAL)) };
    }

    static LARGE: Mutex<Kept> = Mutex::new(Kept::new(SHARED));

    struct Kept {
        /// The pieces, oldest first.
        pieces: VecDeque<Vec<u8>>,
        bytes: usize,
        most: usize,
    }

    impl Kept {
        /// The most pieces that are kept, however small they are.
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

    /// Calls `f` with the store for pieces of `len` bytes. Returns `None` if another caller is using the store, or
    /// if the thread is ending.
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
        // A thread that is ending frees it anyway.
        let _ = OWN.try_with(|kept| kept.replace(Kept::new(LOCAL)));
    }

    /// The memory of a message, which is kept for reuse when it is dropped.
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
