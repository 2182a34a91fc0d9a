use std::{fmt, io, net::SocketAddr, time::Duration};

use bind::{
    Error, Received, Transport, TrySendError, internal,
    proto::{
        Chunk, Closed, ControlPayload, Event, IntoClose, Kind, Message, Outgoing, State, Stats,
    },
};

use crate::{
    error::TryRecvError,
    run::Runner,
    split::{ReadHalf, Streaming, WriteHalf},
};

/// A WebSocket over a blocking transport.
///
/// **Keep receiving.** [`recv`](Self::recv) also answers Pings, sends keep-alive Pings, judges deadlines
/// and completes the closing handshake; nothing does while no thread is in a call.
///
/// Each call waits no longer than the deadlines of [`Config`](crate::Config) allow; `recv` waits for as
/// long as the peer answers the keep-alive Pings, and for ever if those are turned off.
///
/// Dropped, the socket ends the transport without a Close; [`close`](Self::close) it to part in peace.
///
/// What every call returns after every end is in the table of [`bind::WebSocket`].
pub struct WebSocket<S: Transport> {
    pub(crate) inner: bind::WebSocket<S>,
    pub(crate) runner: Runner,
}

impl<S: Transport> WebSocket<S> {
    pub(crate) const fn new(inner: bind::WebSocket<S>, runner: Runner) -> Self {
        Self { inner, runner }
    }

    /// The next message; `None` once the connection has closed, and ever after.
    ///
    /// A message that [`recv_chunk`](Self::recv_chunk) began is skipped. What is queued is written
    /// before this waits.
    ///
    /// # Errors
    ///
    /// Exactly one, if the connection ends in another way than by a Close; then `None`. An
    /// [`Error::Protocol`] comes after the peer was told.
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        if let Some(message) = internal::recv_small(&mut self.inner) {
            return Ok(Some(message));
        }
        self.runner.run(self.inner.recv())
    }

    /// The next message, if it comes within `timeout`.
    ///
    /// A thread that also does something of its own at times, such as to send a heartbeat, waits with this.
    /// Whatever the time, what has come is read, and Pings are answered.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if no message has come, otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, TryRecvError> {
        let received = self.runner.within(timeout, self.inner.recv());
        TryRecvError::of(self.runner.run(received))
    }

    /// The next message, if it has come: [`recv_timeout`](Self::recv_timeout) without waiting. It looks at the
    /// transport, which takes milliseconds at the most.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn try_recv(&mut self) -> Result<Option<Message>, TryRecvError> {
        self.recv_timeout(Duration::ZERO)
    }

    /// Like [`recv`](Self::recv), and tells of Pings, Pongs and the Close too. All are answered
    /// already.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.runner.run(self.inner.recv_event())
    }

    /// The next piece of a message, as soon as it is there; text is cut between characters only.
    ///
    /// Memory is bounded by one read, whatever the size of the message, which
    /// [`max_stream_size`](crate::Config::max_stream_size) bounds. Of a message that `recv` began,
    /// first comes all that was gathered.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.runner.run(self.inner.recv_chunk())
    }

    /// Copies the next piece of a message into `buf`, and returns how many bytes that are, the kind of the message,
    /// and whether they are its last. `None` once the connection has closed.
    ///
    /// The next call returns what does not fit into `buf`. A piece may end inside of a character. A message that was
    /// begun with this method is only read by it: the other methods skip the rest of that message. With an empty
    /// `buf` this copies nothing, and waits until a piece is there.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_into(&mut self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        self.runner.run(self.inner.recv_into(buf))
    }

    /// Sends a message: [`feed`](Self::feed), then [`flush`](Self::flush).
    ///
    /// While it waits for the peer to take output, it also receives, and keeps one event for the next
    /// `recv`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the message cannot be sent, in particular
    /// [`SendError::Closed`](crate::SendError::Closed); [`Error::TimedOut`] if the peer took no output
    /// for [`write_timeout`](crate::Config::write_timeout).
    pub fn send(&mut self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.runner.run(self.inner.send(message))
    }

    /// Sends a piece of a message, which ends with the piece that has `fin`; see
    /// [`stream`](Self::stream) for the same with a guard.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_chunk(&mut self, chunk: Chunk<impl Into<Outgoing>>) -> Result<(), Error> {
        self.runner.run(self.inner.send_chunk(chunk))
    }

    /// Begins a message of unknown length. The guard owns the outgoing message until it is finished;
    /// dropped before that, it fails the connection with 1011.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`](crate::SendError::Closed) if the connection closes,
    /// [`SendError::Unfinished`](crate::SendError::Unfinished) if a message of
    /// [`send_chunk`](Self::send_chunk) is.
    pub fn stream(&mut self, kind: Kind) -> Result<Streaming<'_, S>, Error> {
        let stream = self.runner.run(self.inner.stream(kind))?;
        Ok(Streaming::of_socket(stream, &self.runner))
    }

    /// Queues a message, and waits only if [`send_high_water`](crate::Config::send_high_water) bytes
    /// wait already. It is written by the next call that waits: to answer in a loop of [`recv`](Self::recv)
    /// this is the one to use, for the answers to all that came in one read leave in one write.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed(&mut self, message: impl Into<Outgoing>) -> Result<(), Error> {
        let message = message.into();
        if internal::feed_small(&mut self.inner, &message) {
            return Ok(());
        }
        self.runner.run(self.inner.feed(message))
    }

    /// Queues a message if there is room for it, and writes what the transport takes within
    /// milliseconds.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] gives the message back.
    pub fn try_send(&mut self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        self.inner.try_send(message)
    }

    /// Writes and flushes what was queued before this call.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), if a message that was queued will never be sent.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.runner.run(self.inner.flush())
    }

    /// Sends a Ping. Not needed to keep the connection alive:
    /// [`keep_alive`](crate::Config::keep_alive) does.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn ping(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.runner.run(self.inner.ping(payload))
    }

    /// Sends an unsolicited Pong (RFC 6455 §5.5.3); Pings are answered without it.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn pong(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.runner.run(self.inner.pong(payload))
    }

    /// Runs the whole closing handshake (RFC 6455 §7.1.2), behind the messages queued before, and
    /// ends the transport. What the peer still sends is discarded; to receive it, use
    /// [`finish`](Self::finish).
    ///
    /// Takes [`close_timeout`](crate::Config::close_timeout) at the most. Closing again, or after the
    /// peer, is fine.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv), unless that has reported them.
    pub fn close(&mut self, frame: impl IntoClose) -> Result<(), Error> {
        self.runner.run(self.inner.close(frame))
    }

    /// Sends a Close and goes on receiving: call [`recv`](Self::recv) until it returns `None`.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output.
    pub fn finish(&mut self, frame: impl IntoClose) -> Result<(), Error> {
        self.runner.run(self.inner.finish(frame))
    }

    /// Ends the connection and the transport at once, without a Close.
    pub fn abort(&mut self) {
        self.inner.abort();
    }

    /// How the connection ended, as far as that is known: from when a call has received the peer's Close, or
    /// has met another end. `clean` is not known before our Close has left.
    pub fn closed(&self) -> Option<&Closed> {
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

    /// From when the last Ping left to when its Pong was received; `None` before the first.
    pub fn latency(&self) -> Option<Duration> {
        self.inner.latency()
    }

    /// What has passed over the connection since it opened.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// The transport; `None` once the connection has ended, which drops it. Reading from it or writing
    /// to it would break the connection; so may changing its timeouts.
    pub fn get_ref(&self) -> Option<&S> {
        self.inner.get_ref()
    }

    /// The two directions, to be used by two threads, or more: the write half is `Clone`.
    pub fn split(self) -> (ReadHalf<S>, WriteHalf<S>) {
        self.runner.share();
        let (read, write) = self.inner.split();
        (
            ReadHalf::new(read, self.runner.clone()),
            WriteHalf::new(write, self.runner),
        )
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`] once the connection has ended, [`io::ErrorKind::Unsupported`] if the
    /// transport does not know it.
    pub fn peer_addr(&self) -> io::Result<SocketAddr>
    where
        S: 'static,
    {
        self.inner.peer_addr()
    }
}

impl<S: Transport> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
