use std::{fmt, future::poll_fn, pin::pin, task::Poll, time::Duration};

use bind::proto::{
    Chunk, CloseFrame, Closed, ControlPayload, Event, Kind, Message, Outgoing, State,
};

use crate::{Clock, Error, Io, Streaming, Transport, TrySendError, run::Runner};

/// The receiving direction of a [`WebSocket`](crate::WebSocket).
///
/// **Keep receiving**: [`recv`](Self::recv) also answers Pings, keeps time and completes the closing
/// handshake. Dropped, the write halves go on, but nobody does that any more.
pub struct ReadHalf<S: Transport> {
    inner: bind::ReadHalf<Io<S>, Clock>,
    runner: Runner<S>,
}

impl<S: Transport> ReadHalf<S> {
    pub(crate) const fn new(inner: bind::ReadHalf<Io<S>, Clock>, runner: Runner<S>) -> Self {
        Self { inner, runner }
    }

    /// The next message; see [`WebSocket::recv`](crate::WebSocket::recv).
    ///
    /// # Errors
    ///
    /// Exactly one, if the connection ends in another way than by a Close; then `None`.
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.runner.run(self.inner.recv())
    }

    /// The next message, Ping, Pong or Close; see
    /// [`WebSocket::recv_event`](crate::WebSocket::recv_event).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.runner.run(self.inner.recv_event())
    }

    /// The next piece of a message; see [`WebSocket::recv_chunk`](crate::WebSocket::recv_chunk).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.runner.run(self.inner.recv_chunk())
    }

    /// How the connection ended; `None` before it has.
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }

    /// From when the last Ping left to when its Pong was received; `None` before the first.
    pub fn latency(&self) -> Option<Duration> {
        self.inner.latency()
    }
}

impl<S: Transport> fmt::Debug for ReadHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The sending direction of a [`WebSocket`](crate::WebSocket). Clones send over the same connection,
/// from as many threads as you like.
///
/// One thread at a time writes, and writes what the others have queued as well. The last one dropped
/// ends nothing: the read half goes on.
pub struct WriteHalf<S: Transport> {
    inner: bind::WriteHalf<Io<S>, Clock>,
    runner: Runner<S>,
}

impl<S: Transport> Clone for WriteHalf<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.runner.clone())
    }
}

impl<S: Transport> WriteHalf<S> {
    pub(crate) const fn new(inner: bind::WriteHalf<Io<S>, Clock>, runner: Runner<S>) -> Self {
        Self { inner, runner }
    }

    /// Sends a message; see [`WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the message cannot be sent; [`Error::TimedOut`] if the peer took no output
    /// for [`write_timeout`](crate::Config::write_timeout), whether or not somebody receives.
    pub fn send(&self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.run(self.inner.send(message))
    }

    /// Sends a piece of a message; see [`WebSocket::send_chunk`](crate::WebSocket::send_chunk).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_chunk(&self, chunk: Chunk<impl Into<Outgoing>>) -> Result<(), Error> {
        self.run(self.inner.send_chunk(chunk))
    }

    /// Begins a message of unknown length; see [`WebSocket::stream`](crate::WebSocket::stream). Waits
    /// for the end of another; meanwhile all other data waits for the end of this one.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`](crate::SendError::Closed) if the connection closes.
    pub fn stream(&self, kind: Kind) -> Result<Streaming<'_, S>, Error> {
        let stream = self.run(self.inner.stream(kind))?;
        Ok(Streaming::of_half(stream, self))
    }

    /// Queues a message; see [`WebSocket::feed`](crate::WebSocket::feed). Writes it too, unless another
    /// thread is writing: one that is blocked in `recv` cannot.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed(&self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.runner.run(self.inner.feed(message))?;
        self.write_rest();
        Ok(())
    }

    /// Queues a message if there is room for it, and writes what the transport takes within
    /// milliseconds. The rest is left to the next call of any half.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] gives the message back.
    pub fn try_send(&self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        let sent = self.inner.try_send(message);
        self.runner.write();
        sent
    }

    /// Writes and flushes what was queued before this call.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), if a message that was queued will never be sent.
    pub fn flush(&self) -> Result<(), Error> {
        self.run(self.inner.flush())
    }

    /// Sends a Ping; see [`WebSocket::ping`](crate::WebSocket::ping).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn ping(&self, payload: ControlPayload) -> Result<(), Error> {
        self.run(self.inner.ping(payload))
    }

    /// Sends an unsolicited Pong; see [`WebSocket::pong`](crate::WebSocket::pong).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn pong(&self, payload: ControlPayload) -> Result<(), Error> {
        self.run(self.inner.pong(payload))
    }

    /// Runs the whole closing handshake, and ends the transport, within
    /// [`close_timeout`](crate::Config::close_timeout), whether or not somebody receives; one who is
    /// blocked in `recv` is set free. What the peer still sends goes to the read half, or is discarded
    /// if that is gone.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer does not answer; [`Error::Lost`] or [`Error::Protocol`] if the
    /// connection ended so.
    pub fn close(&self, frame: impl Into<Option<CloseFrame>>) -> Result<(), Error> {
        self.run(self.inner.close(frame))
    }

    /// Sends a Close; the read half goes on to receive until `None`. If the peer does not answer, it
    /// notices that after [`close_timeout`](crate::Config::close_timeout) to twice as much.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output.
    pub fn finish(&self, frame: impl Into<Option<CloseFrame>>) -> Result<(), Error> {
        self.run(self.inner.finish(frame))
    }

    /// Ends the connection and the transport at once, without a Close.
    pub fn abort(&self) {
        self.inner.abort();
    }

    /// How the connection ended; `None` before the read half has seen it.
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }

    /// Where the connection is in its life.
    pub fn state(&self) -> State {
        self.inner.state()
    }

    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        let output = self.runner.run(future);
        if self.runner.is_left() {
            self.write_rest();
        }
        output
    }

    /// Writes what there is, until somebody else does: one who is blocked in `recv` cannot.
    pub(crate) fn write_rest(&self) {
        loop {
            let mut flush = pin!(self.inner.flush_all());
            self.runner.run(poll_fn(|cx| {
                // Whoever queued it learns what became of it.
                let done = flush.as_mut().poll(cx).is_ready() || !self.runner.is_left();
                if done { Poll::Ready(()) } else { Poll::Pending }
            }));
            // The reader may have put an answer here, and left it to us, while we tried for the last time.
            if !self.runner.is_left() {
                return;
            }
        }
    }
}

impl<S: Transport> fmt::Debug for WriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
