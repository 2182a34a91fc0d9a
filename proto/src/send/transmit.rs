use alloc::{collections::VecDeque, vec::Vec};

use bytes::{Buf, Bytes};

use crate::wire::{frame::Header, mask};

/// Bytes to write to the transport, as a [`Buf`]. Small pieces are gathered, large ones are shared.
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
    /// The gathered small bytes, up to `end`; those before `at` were written.
    tail: Vec<u8>,
    at: usize,
    end: usize,
    /// The large pieces, each with the position in `tail` that it comes before.
    large: VecDeque<(usize, Bytes)>,
    /// The total length of the large pieces.
    large_len: usize,
}

impl Transmit {
    /// Pieces below this many bytes are copied together. That is cheaper than sharing them, and a small piece that
    /// is kept does not pin a large block.
    pub(crate) const COPY_BELOW: usize = 4096;
    /// A drained buffer larger than this many bytes is freed.
    const KEEP: usize = 128 << 10;
    /// From this many bytes on, the buffer grows by a quarter instead of doubling.
    const DOUBLES: usize = 16 << 10;

    /// Whether some pieces were not copied together, so that a vectored write pays off.
    #[inline]
    pub fn has_large(&self) -> bool {
        !self.large.is_empty()
    }

    /// Appends the encoded `header` and a copy of `payload`, and returns how many bytes they take. The payload is
    /// masked if the header has a key.
    #[inline]
    pub(crate) fn frame(&mut self, header: &Header, payload: &[u8]) -> usize {
        let room = self.room(payload.len().saturating_add(Header::MAX_LEN));
        let size = room.first_chunk_mut().map(|head| header.encode(head));
        let size = size.unwrap_or_default();
        let body = room.get_mut(size..).unwrap_or_default();
        if let Some(body) = body.get_mut(..payload.len()) {
            mask::copy(payload, body, header.mask.unwrap_or_default());
        }
        let size = size.saturating_add(payload.len());
        self.end = self.end.saturating_add(size);
        size
    }

    /// Appends a copy of `bytes`, masked with `key`; a key of zeros changes nothing.
    pub(crate) fn copy(&mut self, bytes: &[u8], key: [u8; 4]) {
        if let Some(place) = self.room(bytes.len()).get_mut(..bytes.len()) {
            mask::copy(bytes, place, key);
        }
        self.end = self.end.saturating_add(bytes.len());
    }

    /// Appends `bytes` without copying them.
    pub(crate) fn share(&mut self, bytes: Bytes) {
        self.large_len = self.large_len.saturating_add(bytes.len());
        self.large.push_back((self.end, bytes));
    }

    /// Returns the room after the small bytes: `size` bytes or more.
    #[inline]
    fn room(&mut self, size: usize) -> &mut [u8] {
        if self.tail.len().saturating_sub(self.end) < size {
            self.grow(size);
        }
        self.tail.get_mut(self.end..).unwrap_or_default()
    }

    #[cold]
    fn grow(&mut self, size: usize) {
        // The room of bytes that were written is used first.
        let written = core::mem::take(&mut self.at);
        self.tail.truncate(self.end);
        self.tail.drain(..written);
        self.end = self.tail.len();
        for (from, _) in &mut self.large {
            *from = from.saturating_sub(written);
        }
        // If the peer does not read, the buffer grows to the high-water mark. Growing by a quarter keeps it from
        // reaching twice that size.
        let own = self.tail.capacity();
        let more = if own < Self::DOUBLES { own } else { own / 4 };
        self.tail.reserve_exact(size.max(more).max(512));
        self.tail.resize(self.tail.capacity(), 0);
    }
}

impl Buf for Transmit {
    #[inline]
    fn remaining(&self) -> usize {
        let small = self.end.saturating_sub(self.at);
        small.saturating_add(self.large_len)
    }

    fn chunk(&self) -> &[u8] {
        let small = match self.large.front() {
            Some((from, bytes)) if *from == self.at => return bytes,
            Some((from, _)) => self.tail.get(self.at..*from),
            None => self.tail.get(self.at..self.end),
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
        put(self.tail.get(at..self.end));
        room.saturating_sub(slots.len())
    }

    /// Takes `count` bytes off the front, or everything if there are fewer.
    fn advance(&mut self, mut count: usize) {
        if count >= self.remaining() {
            (self.at, self.end, self.large_len) = (0, 0, 0);
            self.large.clear();
            if self.tail.len() > Self::KEEP {
                self.tail = Vec::new();
            }
            return;
        }
        while let Some((from, bytes)) = self.large.front_mut() {
            let small = count.min(from.saturating_sub(self.at));
            self.at = self.at.saturating_add(small);
            count = count.saturating_sub(small);
            let large = count.min(bytes.len());
            self.large_len = self.large_len.saturating_sub(large);
            if large < bytes.len() {
                bytes.advance(large);
                return;
            }
            count = count.saturating_sub(large);
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
                    transmit.copy(&piece, [0; 4]);
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
        transmit.copy(&vec![0; 1 << 20], [0; 4]);
        transmit.advance(usize::MAX);
        assert_eq!(transmit.tail.capacity(), 0);
    }
}
