use std::{
    fmt,
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use bind::{Error, Transport, WriteBytes, proto::Outgoing};

use super::WriteHalf;
use crate::run::Runner;

/// A message that is sent piece by piece. It owns the outgoing message until it is finished.
///
/// Made by [`WebSocket::stream`](crate::WebSocket::stream) and
/// [`WriteHalf::stream`](crate::WriteHalf::stream). Meanwhile other data waits; Pings, Pongs and Closes
/// are sent. If it is dropped after a piece was queued and before the end was, the connection fails with
/// 1011, because the peer would take the next message for the remainder of this one.
#[must_use = "dropping it fails the connection"]
pub struct Streaming<'a, S: Transport> {
    /// `None` once finished.
    inner: Option<Inner<'a, S>>,
}

enum Inner<'a, S: Transport> {
    Socket(bind::Streaming<&'a mut bind::WebSocket<S>>, &'a Runner),
    Half(bind::Streaming<&'a bind::WriteHalf<S>>, &'a WriteHalf<S>),
}

impl<'a, S: Transport> Streaming<'a, S> {
    pub(crate) const fn of_socket(
        stream: bind::Streaming<&'a mut bind::WebSocket<S>>,
        runner: &'a Runner,
    ) -> Self {
        let inner = Some(Inner::Socket(stream, runner));
        Self { inner }
    }

    pub(crate) const fn of_half(
        stream: bind::Streaming<&'a bind::WriteHalf<S>>,
        half: &'a WriteHalf<S>,
    ) -> Self {
        let inner = Some(Inner::Half(stream, half));
        Self { inner }
    }

    /// Sends a piece, in a frame of its own. If the first piece is `Outgoing::uncompressed`, nothing of the
    /// message is compressed.
    ///
    /// # Errors
    ///
    /// [`SendError::KindChanged`](crate::SendError::KindChanged) if the piece is not of the message's
    /// kind; [`SendError::Compressed`](crate::SendError::Compressed) if the piece is uncompressed and the first
    /// one was not.
    pub fn write(&mut self, piece: impl Into<Outgoing>) -> Result<(), Error> {
        match &mut self.inner {
            Some(Inner::Socket(stream, runner)) => runner.run(stream.write(piece)),
            Some(Inner::Half(stream, half)) => half.run(stream.write(piece)),
            None => Ok(()),
        }
    }

    /// Ends the message.
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub fn finish(mut self) -> Result<(), Error> {
        match self.inner.take() {
            Some(Inner::Socket(stream, runner)) => runner.run(stream.finish()),
            Some(Inner::Half(stream, half)) => half.run(stream.finish()),
            None => Ok(()),
        }
    }
}

impl<S: Transport> Streaming<'_, S> {
    /// Writes bytes in this thread.
    pub(crate) fn run_io<U>(
        &mut self,
        mut poll: impl FnMut(&mut dyn WriteBytes, &mut Context<'_>) -> Poll<io::Result<U>>,
    ) -> io::Result<U> {
        match &mut self.inner {
            Some(Inner::Socket(stream, runner)) => runner.run(poll_fn(|cx| poll(stream, cx))),
            Some(Inner::Half(stream, half)) => half.run(poll_fn(|cx| poll(stream, cx))),
            // Only `finish` and `drop` take it, and nothing is called after them.
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

impl<S: Transport> Drop for Streaming<'_, S> {
    fn drop(&mut self) {
        if let Some(Inner::Half(stream, half)) = self.inner.take() {
            drop(stream);
            // Writes the Close.
            half.write_remaining();
        }
    }
}

impl<S: Transport> fmt::Debug for Streaming<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.inner {
            Some(Inner::Socket(stream, _)) => stream.fmt(f),
            Some(Inner::Half(stream, _)) => stream.fmt(f),
            None => f.write_str("Streaming"),
        }
    }
}
