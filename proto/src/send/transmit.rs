use alloc::{collections::VecDeque, vec::Vec};

use bytes::{Buf, Bytes};

use crate::{frame::Header, mask};

/// Bytes to write to the transport, as a [`Buf`]: small ones gathered, large ones shared.
///
/// ```text
/// tail   | header | small payload | header |      | header | …
///                                          ^      ^
/// large                              payload A  (payload B)
/// ```
///
/// Write [`chunk`](Buf::chunk), or [`chunks_vectored`](Buf::chunks_vectored), then
/// [`advance`](Buf::advance) by what the transport took.
#[derive(Debug, Default)]
pub struct Transmit {
    /// Small bytes, in order; `at` of them are written.
    tail: Vec<u8>,
    at: usize,
    /// Large pieces, and how much of `tail` goes before each.
    large: VecDeque<(usize, Bytes)>,
    len: usize,
}

impl Transmit {
    /// Pieces below this many bytes are copied together: cheaper than to share them, and a kept
    /// piece does not pin a large block.
    pub(crate) const COPY_BELOW: usize = 4096;
    /// A drained buffer that grew beyond this many bytes is given up.
    const KEEP: usize = 128 << 10;
    /// From so many bytes on the buffer grows by a quarter.
    const DOUBLES: usize = 16 << 10;

    /// Whether some pieces were not copied together, so that a vectored write pays off.
    #[inline]
    pub fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Appends the encoded `header` and a copy of `payload`, and tells how many bytes they are. The
    /// payload is masked if the header has a key.
    #[inline]
    pub(crate) fn frame(&mut self, header: &Header, payload: &[u8]) -> usize {
        self.reserve(payload.len().saturating_add(Header::MAX_LEN));
        let start = self.tail.len();
        // Copies whose length is known are no calls.
        if let Some(head) = header.short() {
            self.tail.extend_from_slice(&head);
        } else {
            let mut head = [0; Header::MAX_LEN];
            let size = header.encode(&mut head);
            self.tail.extend_from_slice(&head);
            self.tail.truncate(start.saturating_add(size));
        }
        let body = self.tail.len();
        self.tail.extend_from_slice(payload);
        if let Some(key) = header.mask {
            mask::apply(self.tail.get_mut(body..).unwrap_or_default(), key, 0);
        }
        let size = self.tail.len().saturating_sub(start);
        self.len = self.len.saturating_add(size);
        size
    }

    /// Appends a copy of `bytes` and lends it to be changed.
    pub(crate) fn copy(&mut self, bytes: &[u8]) -> &mut [u8] {
        self.reserve(bytes.len());
        let start = self.tail.len();
        self.tail.extend_from_slice(bytes);
        self.len = self.len.saturating_add(bytes.len());
        self.tail.get_mut(start..).unwrap_or_default()
    }

    /// Appends `bytes` without copying them.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        self.len = self.len.saturating_add(bytes.len());
        self.large.push_back((self.tail.len(), bytes));
    }

    #[inline]
    fn reserve(&mut self, size: usize) {
        if self.tail.capacity().saturating_sub(self.tail.len()) < size {
            self.grow(size);
        }
    }

    #[cold]
    fn grow(&mut self, size: usize) {
        // What was written makes room first.
        let written = core::mem::take(&mut self.at);
        self.tail.drain(..written);
        for (from, _) in &mut self.large {
            *from = from.saturating_sub(written);
        }
        // Behind a peer that does not read it grows to the high-water mark: not to twice that.
        let own = self.tail.capacity();
        let more = if own < Self::DOUBLES { own } else { own / 4 };
        self.tail.reserve_exact(size.max(more).max(512));
    }
}

impl Buf for Transmit {
    #[inline]
    fn remaining(&self) -> usize {
        self.len
    }

    fn chunk(&self) -> &[u8] {
        let small = match self.large.front() {
            Some((from, bytes)) if *from == self.at => return bytes,
            Some((from, _)) => self.tail.get(self.at..*from),
            None => self.tail.get(self.at..),
        };
        small.unwrap_or_default()
    }

    #[cfg(feature = "std")]
    fn chunks_vectored<'a>(&'a self, dst: &mut [std::io::IoSlice<'a>]) -> usize {
        let room = dst.len();
        let mut slots = dst.iter_mut();
        let mut at = self.at;
        let mut put = |bytes: Option<&'a [u8]>| {
            if let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty())
                && let Some(slot) = slots.next()
            {
                *slot = std::io::IoSlice::new(bytes);
            }
        };
        for (from, bytes) in self.large.iter().take(room) {
            put(self.tail.get(at..*from));
            put(Some(bytes));
            at = *from;
        }
        put(self.tail.get(at..));
        room.saturating_sub(slots.len())
    }

    /// Takes `count` bytes off the front, or all there are if those are fewer.
    fn advance(&mut self, count: usize) {
        let mut count = count.min(self.len);
        self.len = self.len.saturating_sub(count);
        if self.len == 0 {
            self.at = 0;
            self.tail.clear();
            self.large.clear();
            if self.tail.capacity() > Self::KEEP {
                self.tail = Vec::new();
            }
            return;
        }
        while let Some((from, bytes)) = self.large.front_mut() {
            let small = count.min(from.saturating_sub(self.at));
            self.at = self.at.saturating_add(small);
            count = count.saturating_sub(small);
            if count < bytes.len() {
                bytes.advance(count);
                return;
            }
            count = count.saturating_sub(bytes.len());
            self.large.pop_front();
        }
        self.at = self.at.saturating_add(count);
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[cfg(feature = "std")]
    #[test]
    fn any_sequence_of_pieces_leaves_in_order_whatever_the_transport_takes() {
        for step in [1, 2, 3, 7, 100, usize::MAX] {
            let mut transmit = Transmit::default();
            let mut expected = Vec::new();
            for (i, size) in [3, 5000, 0, 9, 4096, 4096, 20].into_iter().enumerate() {
                let piece = vec![i as u8; size];
                expected.extend_from_slice(&piece);
                if size >= Transmit::COPY_BELOW {
                    transmit.share(piece.into());
                } else {
                    transmit.copy(&piece);
                }
            }
            let mut written = Vec::new();
            while transmit.has_remaining() {
                let mut slices = [std::io::IoSlice::new(&[]); 4];
                let count = transmit.chunks_vectored(&mut slices);
                assert!(count > 0);
                let offered: Vec<u8> = slices[..count]
                    .iter()
                    .flat_map(|slice| slice.iter().copied())
                    .collect();
                assert!(offered.starts_with(transmit.chunk()));
                let taken = step.min(offered.len());
                written.extend_from_slice(&offered[..taken]);
                transmit.advance(taken);
            }
            assert_eq!(written, expected, "step {step}");
        }
    }

    #[test]
    fn memory_is_given_up_after_a_large_burst() {
        let mut transmit = Transmit::default();
        transmit.copy(&vec![0; 1 << 20]);
        transmit.advance(usize::MAX);
        assert_eq!(transmit.tail.capacity(), 0);
    }
}
