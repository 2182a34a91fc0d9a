use alloc::{boxed::Box, vec, vec::Vec};
use core::fmt;

use crate::memory::spare;

/// Memory to read into, which a driver lends to each connection in turn; see
/// [`Receiver::lend`](crate::Receiver::lend).
///
/// ```text
/// | parsed | bytes | room |
/// 0      start    end   memory.len()
/// ```
pub struct RecvBuf {
    memory: Vec<u8>,
    /// The position at which the first read begins.
    first: usize,
    start: usize,
    end: usize,
    is_lent: bool,
}

impl RecvBuf {
    /// Allocates `len` bytes: 128 KiB is a good size, 4 KiB the least.
    pub fn new(len: usize) -> Box<Self> {
        let memory = vec![0; len];
        let first = spare::line(&memory);
        Box::new(Self {
            memory,
            first,
            start: first,
            end: first,
            is_lent: true,
        })
    }

    /// Returns its size in bytes.
    pub fn size(&self) -> usize {
        self.memory.len()
    }

    /// Allocates a buffer that holds `bytes`, ready to be parsed.
    fn holding(bytes: &[u8]) -> Box<Self> {
        Box::new(Self {
            memory: bytes.to_vec(),
            first: 0,
            start: 0,
            end: bytes.len(),
            is_lent: false,
        })
    }

    #[inline]
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    #[inline]
    fn room(&self) -> usize {
        self.memory.len().saturating_sub(self.end)
    }

    /// Marks the whole buffer as free.
    #[inline]
    fn reset(&mut self) {
        (self.start, self.end) = (self.first, self.first);
    }

    fn compact(&mut self) {
        if self.start > 0 {
            self.memory.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
    }
}

impl fmt::Debug for RecvBuf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecvBuf")
            .field("size", &self.size())
            .finish_non_exhaustive()
    }
}

/// Bytes that were read and not parsed, in memory that may be lent.
///
/// The payload of an unfinished data frame is moved out of it. When more is read, `bytes` is therefore at most a
/// header or a control frame.
#[derive(Default)]
pub(super) struct Input(Option<Box<RecvBuf>>);

impl Input {
    /// The size of a read buffer of our own, used when none is lent.
    const OWN: usize = 16 << 10;
    /// The least room that is worth a read.
    const LEAST: usize = 1 << 10;
    /// The most that [`copy`](Self::copy) takes.
    const MOST: usize = 64 << 10;

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        let buf = self.0.as_ref();
        buf.and_then(|buf| buf.memory.get(buf.start..buf.end))
            .unwrap_or_default()
    }

    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        let buf = self.0.as_mut();
        buf.and_then(|buf| buf.memory.get_mut(buf.start..buf.end))
            .unwrap_or_default()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.0.as_ref().is_none_or(|buf| buf.is_empty())
    }

    #[inline]
    pub(super) fn consume(&mut self, len: usize) {
        if let Some(buf) = &mut self.0 {
            buf.start = buf.start.saturating_add(len).min(buf.end);
        }
    }

    pub(super) fn clear(&mut self) {
        self.consume(usize::MAX);
    }

    /// Returns room for a read, which is never empty.
    #[inline]
    pub(super) fn room(&mut self) -> &mut [u8] {
        let buf = self.0.get_or_insert_with(|| RecvBuf::holding(&[]));
        if buf.room() < Self::LEAST {
            Self::make_room(buf);
        }
        buf.memory.get_mut(buf.end..).unwrap_or_default()
    }

    #[cold]
    fn make_room(buf: &mut RecvBuf) {
        buf.compact();
        if buf.room() < Self::LEAST {
            buf.memory.resize(buf.end.saturating_add(Self::OWN), 0);
        }
    }

    #[inline]
    pub(super) fn filled(&mut self, len: usize) {
        if let Some(buf) = &mut self.0 {
            buf.end = buf.end.saturating_add(len).min(buf.memory.len());
        }
    }

    pub(super) fn copy(&mut self, bytes: &[u8]) -> usize {
        let buf = self.0.get_or_insert_with(|| RecvBuf::holding(&[]));
        buf.compact();
        let len = bytes.len().min(Self::MOST.saturating_sub(buf.end));
        buf.memory.truncate(buf.end);
        buf.memory
            .extend_from_slice(bytes.get(..len).unwrap_or_default());
        buf.end = buf.memory.len();
        len
    }

    #[inline]
    pub(super) fn lend(&mut self, mut buf: Box<RecvBuf>) {
        buf.reset();
        let bytes = self.bytes();
        if buf.memory.len() < bytes.len().saturating_add(2 * Self::LEAST) {
            return;
        }
        if !bytes.is_empty() {
            buf.end = buf.start.saturating_add(bytes.len());
            if let Some(place) = buf.memory.get_mut(buf.start..buf.end) {
                place.copy_from_slice(bytes);
            }
        }
        self.0 = Some(buf);
    }

    #[inline]
    pub(super) fn is_loan(&self) -> bool {
        self.0.as_ref().is_some_and(|buf| buf.is_lent)
    }

    #[inline]
    pub(super) fn take_back(&mut self) -> Option<Box<RecvBuf>> {
        if !self.is_loan() {
            return None;
        }
        let rest = match self.bytes() {
            [] => None,
            bytes => Some(RecvBuf::holding(bytes)),
        };
        core::mem::replace(&mut self.0, rest)
    }

    /// Frees a buffer of our own, or resets a lent one, if it holds nothing.
    #[inline]
    pub(super) fn release(&mut self) {
        match &mut self.0 {
            Some(buf) if !buf.is_empty() => {}
            Some(buf) if buf.is_lent => buf.reset(),
            _ => self.0 = None,
        }
    }
}
