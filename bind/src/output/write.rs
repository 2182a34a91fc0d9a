//! What is queued leaves, and our direction of the transport ends behind it.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::Buf;
use proto::Transmit;

use super::{MAX_WRITES, Output, blocked::Blocked};
use crate::transport::Transport;

impl<S: Transport> Output<S> {
    /// Writes and flushes what is queued. Ready when nothing is left to do, which a failure is too.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.io.is_some()
            && !self.tx.has_output()
            && !self.unflushed
            && !self.tx.wants_shutdown()
        {
            // It was lent for what could not be queued.
            self.give_back();
            return Poll::Ready(());
        }
        if self.io.is_none() || self.tx.end().is_some() {
            return Poll::Ready(());
        }
        let polled = self.write_and_flush(cx);
        self.give_back();
        match polled {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.fail_by(error);
                return Poll::Ready(());
            }
            Poll::Pending => self.tx.handle_sent(!self.unflushed),
        }
        self.shut_down_behind_close(cx);
        polled.map(drop)
    }

    /// Whoever writes our Close does it: a blocking reader may be waiting for the peer's end by then.
    pub(crate) fn shut_down_behind_close(&mut self, cx: &mut Context<'_>) {
        if self.tx.wants_shutdown() {
            let _ = self.poll_shutdown(cx);
        }
    }

    fn write_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What the transport held back goes first, so that a flush does not wait for what was queued
        // after it.
        ready!(self.flush(cx))?;
        loop {
            let written = self.write(cx)?;
            if !self.unflushed {
                return written.map(Ok);
            }
            // What the transport did take has left, whatever waits after it.
            ready!(self.flush(cx))?;
            if written.is_ready() || self.writes >= MAX_WRITES {
                return written.map(Ok);
            }
            // A flush may make a transport forget that a write waits, so that is asked for again.
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.tx.has_output() {
            return Poll::Ready(Ok(()));
        }
        loop {
            if self.writes >= MAX_WRITES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.borrow_loan();
            let (Some(io), Some(transmit)) = (&mut self.io, self.tx.transmit()) else {
                return Poll::Ready(Ok(()));
            };
            ready!(Blocked::ask(&mut self.blocked, cx, |cx| write(
                io, cx, transmit
            )))?;
            self.unflushed = true;
            self.writes += 1;
            self.give_back();
            if !self.tx.has_output() {
                return Poll::Ready(Ok(())); // The flush tells of it.
            }
            self.tx.handle_sent(false);
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(io) = &mut self.io
            && self.unflushed
        {
            if self.blocked.is_some() {
                ready!(self.flush_blocked(cx))?;
            } else {
                let flushed = Blocked::ask(&mut self.blocked, cx, |cx| io.poll_flush(cx));
                self.flush_waits = flushed.is_pending();
                ready!(flushed)?;
            }
            self.unflushed = false;
            self.tx.handle_sent(true);
        }
        Poll::Ready(Ok(()))
    }

    /// What a transport has taken leaves, though it takes no more.
    #[cold]
    fn flush_blocked(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Some(io) = &mut self.io else {
            return Poll::Ready(Ok(()));
        };
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

    /// Ends our direction of the transport.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(io) = &mut self.io
            && !self.shut_down
        {
            // A failure is ignored: the connection is over, and the peer finds out in another way.
            let _ = ready!(Blocked::with(&self.blocked, cx, |cx| io.poll_shutdown(cx)));
            self.shut_down = true;
        }
        Poll::Ready(())
    }
}

/// Offers what is there, once.
pub(crate) fn write<S: Transport>(
    io: &mut S,
    cx: &mut Context<'_>,
    bytes: &mut Transmit,
) -> Poll<io::Result<()>> {
    /// Below this many bytes, pieces are worth to be copied together.
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
