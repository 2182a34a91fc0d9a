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
/// and completes the closing handshake. None of this happens while no thread is in a call.
///
/// Every call is bounded by the deadlines of [`Config`](crate::Config). `recv` waits for as long as the
/// peer answers the keep-alive Pings, or without bound if none are sent.
///
/// Dropping the socket ends the transport without a Close; call [`close`](Self::close) to end the
/// connection properly.
///
/// The table of [`bind::WebSocket`] lists what each call returns after each kind of end.
pub struct WebSocket<S: Transport> {
    pub(crate) inner: bind::WebSocket<S>,
    pub(crate) runner: Runner,
}

impl<S: Transport> WebSocket<S> {
    pub(crate) const fn new(inner: bind::WebSocket<S>, runner: Runner) -> Self {
        Self { inner, runner }
    }

    /// Returns the next message, or `None` once the connection has closed.
    ///
    /// A message that was begun with [`recv_chunk`](Self::recv_chunk) is skipped. Queued output is
    /// written before this waits.
    ///
    /// # Errors
    ///
    /// If the connection ends without a Close, returns one error, and `None` from then on. Before an
    /// [`Error::Protocol`] is returned, the peer is sent a Close that says why.
    pub fn recv(&mut self) -> Result<Option<Message>, Error> {
        if let Some(message) = internal::recv_small(&mut self.inner) {
            return Ok(Some(message));
        }
        self.runner.run(self.inner.recv())
    }

    /// Returns the next message if it comes within `timeout`.
    ///
    /// This is for a thread that also does other work now and then, such as sending a heartbeat. Even
    /// with a short timeout it reads what has arrived and answers Pings.
    ///
    /// # Errors
    ///
    /// [`TryRecvError::Empty`] if no message came in time, otherwise as [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message>, TryRecvError> {
        let received = self.runner.within(timeout, self.inner.recv());
        TryRecvError::of(self.runner.run(received))
    }

    /// Returns the next message if it has arrived: [`recv_timeout`](Self::recv_timeout) with a timeout
    /// of zero. Asking the transport takes a few milliseconds at most.
    ///
    /// # Errors
    ///
    /// As [`recv_timeout`](Self::recv_timeout).
    pub fn try_recv(&mut self) -> Result<Option<Message>, TryRecvError> {
        self.recv_timeout(Duration::ZERO)
    }

    /// As [`recv`](Self::recv), but also returns Pings, Pongs and the Close. All of them have been
    /// answered already.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        self.runner.run(self.inner.recv_event())
    }

    /// Returns the next piece of a message, as soon as it has arrived. Text is only cut between
    /// characters.
    ///
    /// Memory is bounded by one read, whatever the size of the message.
    /// [`max_stream_size`](crate::Config::max_stream_size) bounds that size. If `recv` has begun the
    /// message, the first piece is all that it has gathered.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        self.runner.run(self.inner.recv_chunk())
    }

    /// Copies the next piece of a message into `buf`. Returns the number of bytes, the kind of the message, and
    /// whether they are its last bytes; or `None` once the connection has closed. `ReceiveAsync` of .NET does the
    /// same.
    ///
    /// The next call returns what does not fit into `buf`. A piece may end inside a character. If a
    /// message is begun with this method, only this method returns it: the others skip the remainder.
    /// With an empty `buf` this copies nothing, and waits until there is a piece.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn recv_into(&mut self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        self.runner.run(self.inner.recv_into(buf))
    }

    /// Sends a message: [`feed`](Self::feed), then [`flush`](Self::flush).
    ///
    /// While it waits for the peer to take output, it also receives, and keeps at most one event for the
    /// next `recv`.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the message cannot be sent, in particular
    /// [`SendError::Closed`](crate::SendError::Closed); [`Error::TimedOut`] if the peer took no output
    /// for [`write_timeout`](crate::Config::write_timeout).
    pub fn send(&mut self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.runner.run(self.inner.send(message))
    }

    /// Sends a piece of a message. The piece with `fin` is the last one. [`stream`](Self::stream) does
    /// the same with a guard.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn send_chunk(&mut self, chunk: Chunk<impl Into<Outgoing>>) -> Result<(), Error> {
        self.runner.run(self.inner.send_chunk(chunk))
    }

    /// Begins a message of unknown length. The returned guard owns the outgoing message until it is
    /// finished. Dropping the guard before that fails the connection with 1011.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`](crate::SendError::Closed) if the connection is closing,
    /// [`SendError::Unfinished`](crate::SendError::Unfinished) if a message begun with
    /// [`send_chunk`](Self::send_chunk) is unfinished.
    pub fn stream(&mut self, kind: Kind) -> Result<Streaming<'_, S>, Error> {
        let stream = self.runner.run(self.inner.stream(kind))?;
        Ok(Streaming::of_socket(stream, &self.runner))
    }

    /// Queues a message, and waits only if [`send_high_water`](crate::Config::send_high_water) bytes are
    /// queued already. The next call that waits writes it. Use this to answer in a loop of
    /// [`recv`](Self::recv): the answers to everything that came in one read then go out in one write.
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
    /// [`TrySendError::Full`] returns the message.
    pub fn try_send(&mut self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        self.inner.try_send(message)
    }

    /// Writes and flushes everything that was queued before this call.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), if a queued message will never be sent.
    pub fn flush(&mut self) -> Result<(), Error> {
        self.runner.run(self.inner.flush())
    }

    /// Sends a Ping. The connection does not need this to stay alive, because of
    /// [`keep_alive`](crate::Config::keep_alive).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn ping(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.runner.run(self.inner.ping(payload))
    }

    /// Sends an unsolicited Pong (RFC 6455 §5.5.3). Pings are answered without this.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn pong(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.runner.run(self.inner.pong(payload))
    }

    /// Runs the whole closing handshake (RFC 6455 §7.1.2) after the messages queued before, and ends the
    /// transport. Messages that the peer still sends are discarded; use [`finish`](Self::finish) to
    /// receive them.
    ///
    /// Takes [`close_timeout`](crate::Config::close_timeout) at most. It may be called again, and after
    /// the peer has closed.
    ///
    /// # Errors
    ///
    /// Those of [`recv`](Self::recv), unless it has returned them already.
    pub fn close(&mut self, frame: impl IntoClose) -> Result<(), Error> {
        self.runner.run(self.inner.close(frame))
    }

    /// Sends a Close. Then call [`recv`](Self::recv) until it returns `None`.
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

    /// Returns how the connection ended, once a call has received the peer's Close or has met another
    /// end. `clean` is final only once our Close has been sent.
    pub fn closed(&self) -> Option<&Closed> {
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

    /// Returns the time from the sending of the last Ping to its Pong; `None` before the first Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.inner.latency()
    }

    /// Returns counts of what has passed over the connection since it opened.
    pub fn stats(&self) -> Stats {
        self.inner.stats()
    }

    /// Returns the transport, or `None` once the connection has ended, which drops the transport.
    /// Reading from it, writing to it or changing its timeouts would break the connection.
    pub fn get_ref(&self) -> Option<&S> {
        self.inner.get_ref()
    }

    /// Splits the socket into its two directions, for two or more threads: the write half is `Clone`.
    pub fn split(self) -> (ReadHalf<S>, WriteHalf<S>) {
        self.runner.share();
        let (read, write) = self.inner.split();
        (
            ReadHalf::new(read, self.runner.clone()),
            WriteHalf::new(write, self.runner),
        )
    }

    /// Returns the peer's address.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`] once the connection has ended, [`io::ErrorKind::Unsupported`] if the
    /// transport does not know it.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr()
    }
}

impl<S: Transport> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
