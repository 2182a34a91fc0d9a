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
/// **Keep receiving**: [`recv`](Self::recv) also answers Pings, keeps time and completes the closing
/// handshake. An application that wants no messages calls [`drain`](Self::drain) in a thread of its own.
///
/// While no thread is in a call of this half, only the calls of the write half do anything: while one of
/// them waits for output it receives, and keeps one event for the next `recv`;
/// [`close`](WriteHalf::close) receives until the end. Between calls no Ping is answered and no deadline is
/// judged. The same holds once this half is dropped; then each call of the write half first reads what has
/// come, answers it and discards it, every 8 ms at the most.
pub struct ReadHalf<S: Transport> {
    pub(crate) inner: bind::ReadHalf<S>,
    pub(crate) runner: Reader,
}

/// Dropped, it tells the write half that it is to read.
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

    /// The next message; see [`WebSocket::recv`](crate::WebSocket::recv).
    ///
    /// # Errors
    ///
    /// Exactly one, if the connection ends in another way than by a Close; then `None`.
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        self.runner.receive(self.inner.recv())
    }

    /// The next message, if it comes within `timeout`; see
    /// [`WebSocket::recv_timeout`](crate::WebSocket::recv_timeout).
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if no message has come, otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, TryRecvError> {
        let received = self.runner.within(timeout, self.inner.recv());
        TryRecvError::of(self.runner.receive(received))
    }

    /// The next message, if it has come; see [`WebSocket::try_recv`](crate::WebSocket::try_recv).
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn try_recv(&mut self) -> Result<Option<Message>, TryRecvError> {
        self.recv_timeout(Duration::ZERO)
    }

    /// The next message, Ping, Pong or Close; see
    /// [`WebSocket::recv_event`](crate::WebSocket::recv_event).
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.runner.receive(self.inner.recv_event())
    }

    /// The next piece of a message; see [`WebSocket::recv_chunk`](crate::WebSocket::recv_chunk).
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

    /// Receives until the end and discards all messages, for an application that only sends: Pings are
    /// answered, deadlines are judged, and the write half learns at once when the connection has ended.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn drain(mut self) -> Result<(), Error> {
        while self.recv_chunk()?.is_some() {}
        Ok(())
    }

    /// How the connection ended, as far as that is known; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }

    /// From when the last Ping left to when its Pong was received; `None` before the first.
    pub fn latency(&self) -> Option<Duration> {
        self.inner.latency()
    }

    /// What has passed over the connection since it opened. While a call receives, what it has received is not counted yet.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Where the connection is in its life.
    pub fn state(&self) -> State {
        self.inner.state()
    }

    /// The subprotocol that was agreed on, if one was (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol()
    }

    /// The peer's address; see [`WebSocket::peer_addr`](crate::WebSocket::peer_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr>
    where
        S: 'static,
    {
        self.inner.peer_addr()
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
///
/// **The read half has to be received from.** While it is not, Pings are answered and the end of the
/// connection is noticed only during calls of this half that wait; once it is dropped, at the beginning of
/// each call. An application that wants no messages calls [`ReadHalf::drain`] in a thread of its own.
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
        self.runner.send(self.inner.feed(message))?;
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
        self.runner.send(async { self.inner.try_send(message) })
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

    /// A way to queue messages of this socket from anywhere. They are written by a thread in [`drive`](Self::drive),
    /// or by the next call of a half.
    pub fn handle(&self) -> Handle
    where
        S: Transport<Clock: Send + Sync> + Send + 'static,
    {
        self.inner.handle()
    }

    /// Writes what [handles](Self::handle) queue, as soon as they do, until no more can be queued: in a thread of its
    /// own.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output; [`Error::Lost`] or [`Error::Protocol`] if the connection
    /// ended so.
    pub fn drive(&self) -> Result<(), Error> {
        self.run(self.inner.drive())
    }

    /// Runs the whole closing handshake, and ends the transport, within
    /// [`close_timeout`](crate::Config::close_timeout), whether or not a thread receives; one that is
    /// blocked in `recv` returns.
    ///
    /// The messages that the peer still sends are kept for the read half, up to the one that passes 64 KiB,
    /// or 128 of them. The rest is discarded, and then `recv` returns what was kept and `None`. To lose
    /// nothing, use [`finish`](Self::finish) and receive until `None`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer does not answer; [`Error::Lost`] or [`Error::Protocol`] if the
    /// connection ended so.
    pub fn close(&self, frame: impl IntoClose) -> Result<(), Error> {
        let closed = self.runner.close(self.inner.close(frame));
        self.write_left();
        closed
    }

    /// Sends a Close; the read half goes on to receive until `None`. If the peer does not answer, it
    /// notices that after [`close_timeout`](crate::Config::close_timeout) to twice as much.
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

    /// How the connection ended, as far as that is known; see
    /// [`WebSocket::closed`](crate::WebSocket::closed). It is known once a call of either half has met the
    /// end.
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }

    /// Where the connection is in its life.
    pub fn state(&self) -> State {
        self.inner.state()
    }

    /// The subprotocol that was agreed on, if one was (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.inner.subprotocol()
    }

    /// The peer's address; see [`WebSocket::peer_addr`](crate::WebSocket::peer_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr>
    where
        S: 'static,
    {
        self.inner.peer_addr()
    }

    /// From when the last Ping left to when its Pong was received; `None` before the first.
    pub fn latency(&self) -> Option<Duration> {
        self.inner.latency()
    }

    /// What has passed over the connection since it opened. While a call receives, what it has received is not counted yet.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        let output = self.runner.send(future);
        self.write_left();
        output
    }

    fn write_left(&self) {
        if self.runner.is_left() {
            self.write_rest();
        }
    }

    /// Writes what there is, until another thread does: one that is blocked in `recv` cannot.
    pub(crate) fn write_rest(&self) {
        loop {
            let mut flush = pin!(internal::flush_all(&self.inner));
            self.runner.write_rest(poll_fn(|cx| {
                // The call that queued it reports what became of it.
                let done = flush.as_mut().poll(cx).is_ready() || !self.runner.is_left();
                if done { Poll::Ready(()) } else { Poll::Pending }
            }));
            // The reader may have put an answer here, and left it to this thread, during the last try.
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
