use alloc::vec::Vec;

use super::spare;

/// Bytes that were read and not parsed, in memory that may be a loan.
///
/// ```text
/// | parsed | bytes | room |
/// 0      start    end   buf.len()
/// ```
///
/// Every frame that is not all there leaves it, so that `bytes` is a header, or a control frame, at
/// the most when more is read.
#[derive(Default)]
pub(super) struct Input {
    buf: Vec<u8>,
    start: usize,
    end: usize,
    loan: bool,
}

impl Input {
    /// Room without a loan.
    const OWN: usize = 16 << 10;
    /// Less room than this is not worth a read.
    const LEAST: usize = 1 << 10;
    /// The most that [`copy`](Self::copy) takes.
    const MOST: usize = 64 << 10;

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        self.buf.get(self.start..self.end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        self.buf.get_mut(self.start..self.end).unwrap_or_default()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    pub(super) fn consume(&mut self, len: usize) {
        self.start = self.start.saturating_add(len).min(self.end);
    }

    pub(super) fn clear(&mut self) {
        self.start = self.end;
    }

    /// Never empty.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.buf.len().saturating_sub(self.end) < Self::LEAST {
            self.make_room();
        }
        self.buf.get_mut(self.end..).unwrap_or_default()
    }

    #[cold]
    fn make_room(&mut self) {
        self.compact();
        if self.buf.len().saturating_sub(self.end) < Self::LEAST {
            self.buf.resize(self.end.saturating_add(Self::OWN), 0);
        }
    }

    #[inline]
    pub(super) fn filled(&mut self, len: usize) {
        self.end = self.end.saturating_add(len).min(self.buf.len());
    }

    pub(super) fn copy(&mut self, bytes: &[u8]) -> usize {
        self.compact();
        let len = bytes.len().min(Self::MOST.saturating_sub(self.end));
        let bytes = bytes.get(..len).unwrap_or_default();
        self.buf.truncate(self.end);
        self.buf.extend_from_slice(bytes);
        self.end = self.buf.len();
        len
    }

    #[inline]
    pub(super) fn lend(&mut self, mut buf: Vec<u8>) {
        let bytes = self.bytes();
        let len = bytes.len();
        if buf.len() < len.saturating_add(2 * Self::LEAST) {
            return;
        }
        let start = spare::line(&buf);
        let end = start.saturating_add(len);
        if len > 0
            && let Some(place) = buf.get_mut(start..end)
        {
            place.copy_from_slice(bytes);
        }
        (self.start, self.end, self.loan) = (start, end, true);
        self.buf = buf;
    }

    #[inline]
    pub(super) fn is_loan(&self) -> bool {
        self.loan
    }

    #[inline]
    pub(super) fn take_back(&mut self) -> Option<Vec<u8>> {
        if !self.loan {
            return None;
        }
        self.loan = false;
        let rest = match self.bytes() {
            [] => Vec::new(),
            bytes => bytes.to_vec(),
        };
        (self.start, self.end) = (0, rest.len());
        Some(core::mem::replace(&mut self.buf, rest))
    }

    /// Gives up memory of our own that holds nothing.
    #[inline]
    pub(super) fn release(&mut self) {
        if self.is_empty() {
            if !self.loan {
                self.buf = Vec::new();
            }
            self.start = if self.loan { spare::line(&self.buf) } else { 0 };
            self.end = self.start;
        }
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.buf.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
    }
}
