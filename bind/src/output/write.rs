//! Writing what is queued, and ending our direction of the transport afterwards.

use std::{
    io,
    task::{Context, Poll, ready},
};

use super::{MAX_WRITES, Output};
use crate::{transport::Transport, wire::Wire};

impl<S: Transport> Output<S> {
    /// Writes and flushes what is queued. Ready when nothing remains to be done, which includes a failure.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.attached.is_some() {
            self.follow(cx);
        }
        let Some(wire) = &self.wire else {
            return Poll::Ready(());
        };
        if !self.tx.has_output() && !wire.is_unflushed() && !self.tx.wants_shutdown() {
            // The buffer was lent for a message that could not be queued.
            self.give_back();
            return Poll::Ready(());
        }
        if self.tx.end().is_some() {
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
            Poll::Pending => self.tx.handle_sent(!self.is_unflushed()),
        }
        self.shut_down_after_close(cx);
        polled.map(drop)
    }

    /// Ends our direction of the transport after our Close. The call that writes the Close does this, because a
    /// blocking reader may already be waiting for the peer's end.
    pub(crate) fn shut_down_after_close(&mut self, cx: &mut Context<'_>) {
        if self.tx.wants_shutdown() {
            let _ = self.poll_shutdown(cx);
        }
    }

    fn write_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What the transport has buffered is flushed first, so that this does not wait for what was queued later.
        ready!(self.flush(cx))?;
        loop {
            let written = self.write(cx)?;
            if !self.is_unflushed() {
                return written.map(Ok);
            }
            // What the transport did take is flushed, even if more has to wait.
            ready!(self.flush(cx))?;
            if written.is_ready() || self.writes >= MAX_WRITES {
                return written.map(Ok);
            }
            // A flush may make a transport forget that a write waits, so the write is tried again.
        }
    }

    #[inline]
    fn is_unflushed(&self) -> bool {
        self.wire.as_ref().is_some_and(Wire::is_unflushed)
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
            let (Some(wire), Some(transmit)) = (&mut self.wire, self.tx.transmit()) else {
                return Poll::Ready(Ok(()));
            };
            ready!(wire.poll_write(cx, transmit))?;
            self.writes += 1;
            self.give_back();
            if !self.tx.has_output() {
                return Poll::Ready(Ok(())); // The flush reports it.
            }
            self.tx.handle_sent(false);
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(wire) = &mut self.wire
            && wire.is_unflushed()
        {
            ready!(wire.poll_flush(cx))?;
            self.tx.handle_sent(true);
        }
        Poll::Ready(Ok(()))
    }

    /// Ends our direction of the transport.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.wire {
            Some(wire) => wire.poll_shutdown(cx),
            None => Poll::Ready(()),
        }
    }
}
