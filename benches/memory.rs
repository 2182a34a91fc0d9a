//! A transport in memory: it returns the same bytes again and again, and takes everything.

use std::{
    hint::black_box,
    io::{self, IoSlice, Read, Write},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The most bytes that one read returns.
pub(crate) const READ: usize = 128 << 10;

/// The transport. A read returns the bytes that remain, or as many as there is room for.
pub(crate) struct Memory {
    bytes: Bytes,
    at: usize,
    rests: bool,
    written: Written,
}

/// Counts the bytes that were written to a transport.
#[derive(Clone, Default)]
pub(crate) struct Written(Arc<AtomicUsize>);

impl Memory {
    pub(crate) fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            at: 0,
            rests: false,
            written: Written::default(),
        }
    }

    /// The same, but after all bytes were read, the next read finds nothing, as with a peer that waits
    /// for answers.
    pub(crate) fn resting(self) -> Self {
        Self {
            rests: true,
            ..self
        }
    }

    pub(crate) fn written(&self) -> Written {
        self.written.clone()
    }

    /// Returns the result of a read of at most `room` bytes; `None` if there is nothing yet.
    pub(crate) fn read(&mut self, room: usize) -> Option<&[u8]> {
        if self.at == self.bytes.len() {
            self.at = 0;
            if self.rests {
                return None;
            }
        }
        let start = self.at;
        self.at = (start + room.min(READ)).min(self.bytes.len());
        Some(&self.bytes[start..self.at])
    }

    pub(crate) fn write(&self, bytes: &[u8]) -> usize {
        self.written.add(black_box(bytes).len());
        bytes.len()
    }
}

impl Read for Memory {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let bytes = Self::read(self, buf.len()).ok_or(io::ErrorKind::WouldBlock)?;
        buf[..bytes.len()].copy_from_slice(bytes);
        Ok(bytes.len())
    }
}

impl Write for Memory {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(Self::write(self, buf))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsyncRead for Memory {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(bytes) = self.read(buf.remaining()) else {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        };
        buf.put_slice(bytes);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Memory {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(self.write(buf)))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(bufs.iter().map(|buf| self.write(buf)).sum()))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Written {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Relaxed)
    }

    fn add(&self, count: usize) {
        self.0.store(self.get() + count, Relaxed);
    }
}
