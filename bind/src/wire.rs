//! A transport, and the state of writing to it.

use std::{
    io::{self, IoSlice},
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Buf;
use proto::Transmit;

use crate::transport::Transport;

mod blocked;

use blocked::Blocked;

/// A transport as a handshake and a socket use it.
#[derive(Debug)]
pub(crate) struct Wire<S> {
    io: S,
    /// Present while the transport takes nothing.
    blocked: Option<Arc<Blocked>>,
    /// Whether the last flush is still pending.
    flush_waits: bool,
    /// Whether the transport may hold buffered bytes.
    unflushed: bool,
    shut_down: bool,
}

impl<S> Wire<S> {
    pub(crate) const fn new(io: S) -> Self {
        Self {
            io,
            blocked: None,
            flush_waits: false,
            unflushed: false,
            shut_down: false,
        }
    }

    pub(crate) fn into_io(self) -> S {
        self.io
    }

    pub(crate) const fn get_ref(&self) -> &S {
        &self.io
    }

    /// Whether the transport may hold buffered bytes.
    #[inline]
    pub(crate) const fn is_unflushed(&self) -> bool {
        self.unflushed
    }

    /// Whether our direction has ended.
    pub(crate) const fn is_shut_down(&self) -> bool {
        self.shut_down
    }

    /// Lets a new call ask the transport, even if it took nothing before and has not woken us since.
    pub(crate) fn retry(&mut self) {
        if !self.flush_waits {
            self.blocked = None;
        }
    }
}

impl<S: Transport> Wire<S> {
    #[inline(always)]
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if self.blocked.is_none() {
            self.io.poll_read(cx, buf)
        } else {
            Blocked::with(&self.blocked, cx, |cx| self.io.poll_read(cx, buf))
        }
    }

    /// Offers `bytes` to the transport, once.
    #[inline]
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        bytes: &mut Transmit,
    ) -> Poll<io::Result<()>> {
        let io = &mut self.io;
        ready!(Blocked::ask(&mut self.blocked, cx, |cx| write(
            io, cx, bytes
        )))?;
        self.unflushed = true;
        Poll::Ready(Ok(()))
    }

    /// Flushes what the transport has buffered.
    #[inline]
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.blocked.is_some() {
            ready!(self.flush_blocked(cx))?;
        } else {
            let io = &mut self.io;
            let flushed = Blocked::ask(&mut self.blocked, cx, |cx| io.poll_flush(cx));
            self.flush_waits = flushed.is_pending();
            ready!(flushed)?;
        }
        self.unflushed = false;
        Poll::Ready(Ok(()))
    }

    /// Flushes a transport that takes no more. It may still send what it has taken.
    #[cold]
    fn flush_blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let io = &mut self.io;
        let flushed = if self.flush_waits {
            Blocked::ask(&mut self.blocked, cx, |cx| io.poll_flush(cx))
        } else {
            Blocked::with(&self.blocked, cx, |cx| io.poll_flush(cx))
        };
        self.flush_waits = flushed.is_pending();
        if let Some(blocked) = &self.blocked
            && !self.flush_waits
        {
            blocked.ask_again();
        }
        flushed
    }

    /// Ends our direction of the transport. A failure is ignored, because the connection is over and the peer notices
    /// the end in another way.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.shut_down {
            let io = &mut self.io;
            let _ = ready!(Blocked::with(&self.blocked, cx, |cx| io.poll_shutdown(cx)));
            self.shut_down = true;
        }
        Poll::Ready(())
    }
}

/// Offers `bytes` to the transport, once.
fn write<S: Transport>(
    io: &mut S,
    cx: &mut Context<'_>,
    bytes: &mut Transmit,
) -> Poll<io::Result<()>> {
    /// If a transport has no vectored write, pieces are copied together up to this many bytes.
    const GATHER: usize = 4096;
    let taken = if !bytes.has_large() {
        io.poll_write(cx, bytes.chunk())
    } else if io.is_write_vectored() {
        let mut slices = [IoSlice::new(&[]); 32];
        let count = bytes.chunks_vectored(&mut slices);
        io.poll_write_vectored(cx, &slices[..count])
    } else if bytes.chunk().len() < GATHER {
        let mut gathered = [0; GATHER];
        let mut slices = [IoSlice::new(&[]); 8];
        let count = bytes.chunks_vectored(&mut slices);
        let mut len = 0;
        for slice in &slices[..count] {
            let fits = slice.len().min(GATHER - len);
            gathered[len..len + fits].copy_from_slice(&slice[..fits]);
            len += fits;
        }
        io.poll_write(cx, &gathered[..len])
    } else {
        io.poll_write(cx, bytes.chunk())
    };
    match ready!(taken)? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        taken => {
            bytes.advance(taken);
            Poll::Ready(Ok(()))
        }
    }
}
