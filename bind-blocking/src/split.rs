use std::{
    fmt, future::poll_fn, io, net::SocketAddr, ops::Deref, pin::pin, task::Poll, time::Duration,
};

use bind::{
    Error, Handle, Received, Transport, TrySendError, internal,
    proto::{
        Chunk, Closed, ControlPayload, Event, IntoClose, Kind, Message, Outgoing, State, Stats,
    },
};

use crate::{error::TryRecvError, run::Runner};

mod streaming;

pub use streaming::Streaming;

/// The receiving direction of a [`WebSocket`](crate::WebSocket).
///
/// **Keep receiving.** [`recv`](Self::recv) also answers Pings, keeps time and completes the closing
/// handshake. An application that wants no messages should call [`drain`](Self::drain) in a thread of
/// its own.
///
/// While no thread is in a call of this half, only calls of the write half receive: one that waits for
/// output receives, and keeps at most one event for the next `recv`; [`close`](WriteHalf::close)
/// receives until the end. Between calls no Ping is answered and no deadline is judged. The same holds
/// once this half is dropped, except that each call of the write half then first reads, answers and
/// discards what has arrived, once every 8 ms at most.
pub struct ReadHalf<S: Transport> {
    pub(crate) inner: bind::ReadHalf<S>,
    pub(crate) runner: Reader,
}

/// Makes the write half read once the read half is dropped.
pub(crate) struct Reader(Runner);

impl Deref for Reader {
    type Target = Runner;

    fn deref(&self) -> &Runner {
        &self.0
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.0.reader_gone();
    }
}

impl<S: Transport> ReadHalf<S> {
    pub(crate) const fn new(inner: bind::ReadHalf<S>, runner: Runner) -> Self {
        let runner = Reader(runner);
        Self { inner, runner }
    }

    /// Returns the next message; see [`WebSocket::recv`](crate::WebSocket::recv).
    ///
    /// # Errors
    ///
    /// If the connection ends without a Close, returns one error, and `None` from then on.
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.runner.receive(self.inner.recv())
    }

    /// Returns the next message if it comes within `timeout`; see
    /// [`WebSocket::recv_timeout`](crate::WebSocket::recv_timeout).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if no message came in time, otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, TryRecvError> {
        let received = self.runner.within(timeout, self.inner.recv());
        TryRecvError::of(self.runner.receive(received))
    }

    /// Returns the next message if it has arrived; see
    /// [`WebSocket::try_recv`](crate::WebSocket::try_recv).
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn try_recv(&mut self) -> Result<Option<Message>, TryRecvError> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Returns the next message, Ping, Pong or Close; see
    /// [`WebSocket::recv_event`](crate::WebSocket::recv_event).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.runner.receive(self.inner.recv_event())
    }

    /// Returns the next piece of a message; see [`WebSocket::recv_chunk`](crate::WebSocket::recv_chunk).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.runner.receive(self.inner.recv_chunk())
    }

    /// Copies the next piece of a message into `buf`; see
    /// [`WebSocket::recv_into`](crate::WebSocket::recv_into).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_into(&mut self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        self.runner.receive(self.inner.recv_into(buf))
    }

    /// Receives until the end and discards all messages, for an application that only sends. Pings are
    /// answered, deadlines are judged, and the write half learns at once when the connection has ended.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn drain(mut self) -> Result<(), Error> {
        while self.recv_chunk()?.is_some() {}
        Ok(())
    }

    /// Returns how the connection ended, as far as that is known; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }

    /// Returns the time from the sending of the last Ping to its Pong; `None` before the first Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.inner.latency()
    }

    /// Returns counts of what has passed over the connection since it opened. A call that is receiving
    /// adds its counts when it returns.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Returns the stage of the connection's life.
    pub fn state(&self) -> State {
        self.inner.state()
    }

    /// Returns the subprotocol that was agreed on, if any (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol()
    }

    /// Returns the peer's address; see [`WebSocket::peer_addr`](crate::WebSocket::peer_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl<S: Transport> fmt::Debug for ReadHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The sending direction of a [`WebSocket`](crate::WebSocket). Clones send over the same connection,
/// from any number of threads.
///
/// One thread at a time writes, and also writes what the others have queued. Dropping the last clone
/// does not end the connection: the read half goes on.
///
/// **Keep receiving with the read half.** While no thread does, Pings are answered and the end of the
/// connection is noticed only during calls of this half that wait. Once the read half is dropped, that
/// happens at the beginning of each call. An application that wants no messages should call
/// [`ReadHalf::drain`] in a thread of its own.
pub struct WriteHalf<S: Transport> {
    pub(crate) inner: bind::WriteHalf<S>,
    pub(crate) runner: Runner,
}

impl<S: Transport> Clone for WriteHalf<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone(), self.runner.clone())
    }
}

impl<S: Transport> WriteHalf<S> {
    pub(crate) const fn new(inner: bind::WriteHalf<S>, runner: Runner) -> Self {
        Self { inner, runner }
    }

    /// Sends a message; see [`WebSocket::send`](crate::WebSocket::send).
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the message cannot be sent; [`Error::TimedOut`] if the peer took no output for
    /// [`write_timeout`](crate::Config::write_timeout), whether or not a thread receives.
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

    /// Begins a message of unknown length; see [`WebSocket::stream`](crate::WebSocket::stream). Waits until any other
    /// streamed message has ended. All other data then waits until this one has ended.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`](crate::SendError::Closed) if the connection is closing.
    pub fn stream(&self, kind: Kind) -> Result<Streaming<'_, S>, Error> {
        let stream = self.run(self.inner.stream(kind))?;
        Ok(Streaming::of_half(stream, self))
    }

    /// Queues a message; see [`WebSocket::feed`](crate::WebSocket::feed). Also writes it, unless another
    /// thread is writing, because a thread that is blocked in `recv` cannot.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed(&self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.runner.send(self.inner.feed(message))?;
        self.write_remaining();
        Ok(())
    }

    /// Queues a message if there is room for it, and writes what the transport takes within
    /// milliseconds. The next call of either half writes the remainder.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] returns the message.
    pub fn try_send(&self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        self.runner.send(async { self.inner.try_send(message) })
    }

    /// Writes and flushes everything that was queued before this call.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), if a queued message will never be sent.
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

    /// Returns a handle that queues messages of this socket from anywhere. A thread in
    /// [`drive`](Self::drive) writes them, or the next call of a half.
    pub fn handle(&self) -> Handle
    where
        S: Transport<Clock: Send + Sync> + Send,
    {
        self.inner.handle()
    }

    /// Writes what [handles](Self::handle) queue, as soon as they do, until no more can be queued. Call
    /// it in a thread of its own.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output; [`Error::Lost`] or [`Error::Protocol`] if that
    /// ended the connection.
    pub fn drive(&self) -> Result<(), Error> {
        self.run(self.inner.drive())
    }

    /// Runs the whole closing handshake and ends the transport, within
    /// [`close_timeout`](crate::Config::close_timeout), whether or not a thread receives. A thread that
    /// is blocked in `recv` returns.
    ///
    /// Messages that the peer still sends are kept for the read half, up to the one that passes 64 KiB,
    /// or 128 messages. Later ones are discarded. `recv` then returns the kept messages and `None`. To
    /// lose nothing, use [`finish`](Self::finish) and receive until `None`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer does not answer; [`Error::Lost`] or [`Error::Protocol`] if that
    /// ended the connection.
    pub fn close(&self, frame: impl IntoClose) -> Result<(), Error> {
        let closed = self.runner.close(self.inner.close(frame));
        self.write_if_needed();
        closed
    }

    /// Sends a Close. The read half goes on receiving until `None`. If the peer does not answer, the
    /// read half notices that after one to two times [`close_timeout`](crate::Config::close_timeout).
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output.
    pub fn finish(&self, frame: impl IntoClose) -> Result<(), Error> {
        self.run(self.inner.finish(frame))
    }

    /// Ends the connection and the transport at once, without a Close.
    pub fn abort(&self) {
        self.runner.send(async { self.inner.abort() });
    }

    /// Returns how the connection ended, once a call of either half has met the end; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }

    /// Returns the stage of the connection's life.
    pub fn state(&self) -> State {
        self.inner.state()
    }

    /// Returns the subprotocol that was agreed on, if any (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol()
    }

    /// Returns the peer's address; see [`WebSocket::peer_addr`](crate::WebSocket::peer_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }

    /// Returns the time from the sending of the last Ping to its Pong; `None` before the first Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.inner.latency()
    }

    /// Returns counts of what has passed over the connection since it opened. A call that is receiving
    /// adds its counts when it returns.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        let output = self.runner.send(future);
        self.write_if_needed();
        output
    }

    fn write_if_needed(&self) {
        if self.runner.must_write() {
            self.write_remaining();
        }
    }

    /// Writes until nothing remains or another thread takes over. A thread that is blocked in `recv`
    /// cannot write.
    pub(crate) fn write_remaining(&self) {
        loop {
            let mut flush = pin!(internal::flush_all(&self.inner));
            self.runner.write_remaining(poll_fn(|cx| {
                // An error is returned by the call that queued the message.
                let done = flush.as_mut().poll(cx).is_ready() || !self.runner.must_write();
                if done { Poll::Ready(()) } else { Poll::Pending }
            }));
            // During the last try the reader may have queued an answer and left it to this thread.
            if !self.runner.must_write() {
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
