use std::{
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use proto::{
    Chunk, CloseFrame, Closed, Connection, ControlPayload, Event, IntoClose, Kind, Message,
    Outgoing, Pull, SendError, Sender, State, Stats, Utf8Bytes,
};

use crate::{
    driver::{Access, Call, Input, Received, Unsplit},
    error::{Error, TrySendError},
    lanes::Lanes,
    output::{Output, Place},
    read_half::ReadHalf,
    shared::Shared,
    streaming::{Owner, Streaming, sealed},
    trace::Trace,
    transport::Transport,
    wakers::Key,
    wire::Wire,
    write_half::WriteHalf,
};

/// A WebSocket over a transport.
///
/// **Keep receiving.** A pending [`recv`](Self::recv) also answers Pings, sends keep-alive Pings, judges deadlines
/// and completes the closing handshake. None of this happens while the application waits for something else.
///
/// **Every method is cancel-safe**: all state is in the socket, none in a future. Each method documents what happens
/// if its future is dropped before it resolves.
///
/// Dropping the socket ends the transport without a Close; call [`close`](Self::close) to end the connection
/// properly.
///
/// # After the end
///
/// In this table `None` stands for `Ok(None)`, `Closed` for [`Error::Send`] with [`SendError::Closed`], and the other
/// names for variants of [`Error`]. If there are several causes, the first known one is reported. `flush` fails if a
/// queued message will never be sent; the row of `write_timeout` has such a message. The codes in the first rows are
/// examples.
///
#[doc = include_str!("ends.md")]
pub struct WebSocket<S: Transport> {
    input: Input<S::Clock>,
    output: Output<S>,
    subprotocol: Option<Box<Utf8Bytes>>,
    /// The wakers of the tasks that poll the socket through traits. Present once it was used that way.
    lanes: Option<Box<Lanes>>,
}

impl<S: Transport> WebSocket<S> {
    /// Returns the peer's address.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotConnected`] once the connection has ended, [`io::ErrorKind::Unsupported`] if the
    /// transport does not know it.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.output.peer_addr()
    }
}

impl<S: Transport> WebSocket<S> {
    /// Creates a socket over the transport of the handshake.
    pub(crate) fn over(connection: Connection, wire: Wire<S>, clock: S::Clock) -> Self {
        let subprotocol = connection.subprotocol().map(Utf8Bytes::from);
        let trace = Trace::open(connection.role(), wire.get_ref(), subprotocol.as_deref());
        let (rx, tx) = connection.split();
        let input = Input::new(rx, clock);
        Self::whole(
            input,
            Output::new(tx, wire, trace),
            subprotocol.map(Box::new),
        )
    }

    pub(crate) const fn whole(
        input: Input<S::Clock>,
        output: Output<S>,
        subprotocol: Option<Box<Utf8Bytes>>,
    ) -> Self {
        Self {
            input,
            output,
            subprotocol,
            lanes: None,
        }
    }

    /// Returns the next message, or `None` once the connection has closed.
    ///
    /// A message that was begun with [`recv_chunk`](Self::recv_chunk) is skipped. Queued output is written before
    /// this waits. Cancel-safe: the received part of a message is kept for the next call.
    ///
    /// # Errors
    ///
    /// If the connection ends without a Close, returns one error, and `None` from then on. Before an
    /// [`Error::Protocol`] is returned, the peer is sent a Close that says why.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> {
        poll_fn(|cx| self.poll_recv(Key::METHOD, cx))
    }

    /// As [`recv`](Self::recv), but also returns Pings, Pongs and the Close. All of them have been answered already.
    /// Cancel-safe.
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        let event = poll_fn(|cx| {
            self.poll_lane(Key::METHOD, cx, |input, output, cx| {
                input.poll_event(Pull::Messages, output, cx)
            })
        });
        Ok(event.await?.map(|event| event.map(|chunk| chunk.data)))
    }

    /// Returns the next piece of a message, as soon as it has arrived. Text is only cut between characters.
    ///
    /// Memory is bounded by one read, whatever the size of the message.
    /// [`max_stream_size`](proto::Config::max_stream_size) bounds that size. If `recv` has begun the message, the
    /// first piece is all that it has gathered. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        poll_fn(|cx| {
            self.poll_lane(Key::METHOD, cx, |input, output, cx| {
                input.poll_data(Pull::Chunks, output, cx)
            })
        })
        .await
    }

    /// Copies the next piece of a message into `buf`. Returns the number of bytes, the kind of the message, and
    /// whether they are its last bytes; or `None` once the connection has closed. `ReceiveAsync` of .NET does the
    /// same.
    ///
    /// The next call returns what does not fit into `buf`. A piece may end inside a character. If a message is begun
    /// with this method, only this method returns it: the others skip the remainder. With an empty `buf` this copies
    /// nothing, and waits until there is a piece. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_into(&mut self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        poll_fn(|cx| self.poll_into(Key::METHOD, cx, buf)).await
    }

    /// Sends a message: [`feed`](Self::feed), then [`flush`](Self::flush).
    ///
    /// While it waits for the peer to take output, it also receives, and keeps at most one event for the next `recv`.
    /// Cancel-safe: if the future is dropped, the message was either not queued, or a later call writes it whole.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the message cannot be sent, in particular [`SendError::Closed`];
    /// [`Error::TimedOut`] if the peer took no output for
    /// [`write_timeout`](proto::Config::write_timeout).
    pub async fn send(&mut self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.feed(message).await?;
        self.flush().await
    }

    /// Sends a piece of a message. The piece with `fin` is the last one. [`stream`](Self::stream) does the same with
    /// a guard. Cancel-safe as [`send`](Self::send).
    pub async fn send_chunk(&mut self, chunk: Chunk<impl Into<Outgoing>>) -> Result<(), Error> {
        self.queue(chunk, |tx, chunk| tx.send_chunk(chunk)).await?;
        self.flush().await
    }

    /// Begins a message of unknown length. The returned guard owns the outgoing message until it is finished.
    /// Dropping the guard before that fails the connection with 1011.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection is closing, [`SendError::Unfinished`] if a message begun with
    /// [`send_chunk`](Self::send_chunk) is unfinished.
    pub async fn stream(&mut self, kind: Kind) -> Result<Streaming<&mut Self>, Error> {
        if self.output.tx.is_closing() {
            return Err(self.output.refuse(SendError::Closed));
        }
        if self.output.tx.streaming().is_some() {
            return Err(SendError::Unfinished.into());
        }
        Ok(Streaming::new(self, kind))
    }

    /// Queues a message, and waits only if [`send_high_water`](proto::Config::send_high_water) bytes are queued
    /// already. The next call that waits writes it. Use this to answer in a loop of [`recv`](Self::recv): the answers
    /// to everything that came in one read then go out in one write. Cancel-safe: if the future is dropped, the
    /// message was not queued.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub fn feed(
        &mut self,
        message: impl Into<Outgoing>,
    ) -> impl Future<Output = Result<(), Error>> {
        let mut message = Some(message.into());
        poll_fn(move |cx| {
            // With lanes, other tasks may wait for what this changes, and must be woken.
            if message.as_ref().is_some_and(|it| self.feed_small(it)) {
                message = None;
                return Poll::Ready(Ok(()));
            }
            self.poll_queue(Key::METHOD, cx, &mut message, Sender::send)
        })
    }

    /// Queues a message if there is room for it, and writes what the transport takes at once. If the message is large
    /// and is masked or compressed, only a part of it is written.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] returns the message.
    pub fn try_send(&mut self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        self.with_output(|output, cx| output.try_send(cx, message.into()))
    }

    /// Writes and flushes everything that was queued before this call. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), if a queued message will never be sent.
    pub async fn flush(&mut self) -> Result<(), Error> {
        let count = self.output.tx.accepted();
        poll_fn(|cx| self.poll_output(Key::METHOD, cx, |output, cx| output.poll_sent(cx, count)))
            .await
    }

    /// Sends a Ping. The connection does not need this to stay alive, because of
    /// [`keep_alive`](proto::Config::keep_alive). Cancel-safe as [`send`](Self::send).
    pub async fn ping(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.queue(payload, |tx, payload| tx.ping(payload)).await?;
        self.flush().await
    }

    /// Sends an unsolicited Pong (RFC 6455 §5.5.3). Pings are answered without this. Cancel-safe as
    /// [`send`](Self::send).
    pub async fn pong(&mut self, payload: ControlPayload) -> Result<(), Error> {
        self.queue(payload, |tx, payload| tx.pong(payload)).await?;
        self.flush().await
    }

    /// Runs the whole closing handshake (RFC 6455 §7.1.2) after the messages queued before, and ends the transport.
    /// Messages that the peer still sends are discarded; use [`finish`](Self::finish) to receive them.
    ///
    /// Takes [`close_timeout`](proto::Config::close_timeout) at most. It may be called again, and after the peer has
    /// closed. Cancel-safe: if the future is dropped, the Close stays queued, and `recv` completes the handshake.
    ///
    /// # Errors
    ///
    /// The errors of [`recv`](Self::recv), unless it has returned them already.
    pub async fn close(&mut self, frame: impl IntoClose) -> Result<(), Error> {
        self.begin_close(frame.into_close());
        while self.recv_chunk().await?.is_some() {}
        Ok(())
    }

    /// Sends a Close. Then call [`recv`](Self::recv) until it returns `None`. Cancel-safe: if the future is dropped,
    /// the Close stays queued.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output.
    pub async fn finish(&mut self, frame: impl IntoClose) -> Result<(), Error> {
        self.begin_close(frame.into_close());
        poll_fn(|cx| self.poll_output(Key::METHOD, cx, Output::poll_all)).await
    }

    /// Ends the connection and the transport at once, without a Close.
    pub fn abort(&mut self) {
        self.with_output(Output::abort);
        self.input.abort(&mut self.output);
    }

    /// Returns how the connection ended, once a call has received the peer's Close or has met another end. `clean` is
    /// final only once our Close has been sent.
    pub fn closed(&self) -> Option<&Closed> {
        self.output.closed.as_deref()
    }

    /// Returns the stage of the connection's life.
    pub fn state(&self) -> State {
        if self.output.has_ended() {
            State::Closed
        } else if self.input.rx().is_closing() || self.output.tx.is_closing() {
            State::Closing
        } else {
            State::Open
        }
    }

    /// Returns the subprotocol that was agreed on, if any (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_ref().map(|it| it.as_str())
    }

    /// Returns the time from the sending of the last Ping to its Pong; `None` before the first Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.input.rx().latency()
    }

    /// Returns counts of what has passed over the connection since it opened.
    pub fn stats(&self) -> Stats {
        self.output.tx.stats(self.input.rx().traffic())
    }

    /// Returns the transport, or `None` once the connection has ended, which drops the transport. Reading from it or
    /// writing to it would break the connection.
    pub fn get_ref(&self) -> Option<&S> {
        self.output.get_ref()
    }

    /// Splits the socket into its two directions, for two or more tasks: the write half is `Clone`.
    /// [`ReadHalf::reunite`] makes one socket of them again.
    pub fn split(self) -> (ReadHalf<S>, WriteHalf<S>) {
        let shared = Arc::new(Shared::new(self.output, self.input, self.subprotocol));
        (ReadHalf::new(shared.clone()), WriteHalf::new(shared))
    }

    /// Returns what [`recv`](Self::recv) would return, if that is one of many small messages that came in one read.
    /// It needs no context.
    #[inline]
    pub(crate) fn recv_small(&mut self) -> Option<Message> {
        self.input.recv_small()
    }

    /// Queues a small message as [`feed`](Self::feed) would, without a context. Returns `false` if `feed` is needed.
    #[inline]
    pub(crate) fn feed_small(&mut self, message: &Outgoing) -> bool {
        // With lanes, other tasks may wait for what this changes, and must be woken.
        self.lanes.is_none() && self.output.send_small(message)
    }

    pub(crate) fn poll_recv(
        &mut self,
        lane: Key,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        if let Some(message) = self.recv_small() {
            return Poll::Ready(Ok(Some(message)));
        }
        // Without lanes, this compiles to faster code, at the place where most time is spent.
        if self.lanes.is_none() {
            return self.input.poll_message(&mut &mut self.output, cx);
        }
        self.poll_lane(lane, cx, |input, output, cx| input.poll_message(output, cx))
    }

    pub(crate) fn poll_into(
        &mut self,
        lane: Key,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<Option<Received>, Error>> {
        self.poll_lane(lane, cx, |input, output, cx| {
            input.poll_into(buf, output, cx)
        })
    }

    /// Whether the peer's Close was received, after which nothing more is received.
    pub(crate) fn is_peer_closed(&self) -> bool {
        self.input.rx().is_peer_closed()
    }

    /// Waits for the first piece of the next message, which [`poll_into`](Self::poll_into) then copies.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Kind>, Error>> {
        self.poll_lane(Key::METHOD, cx, |input, output, cx| {
            input.poll_open(output, cx)
        })
    }

    /// Waits for `done`, and reads, answers and keeps time meanwhile.
    pub(crate) fn poll_output<U>(
        &mut self,
        lane: Key,
        cx: &mut Context<'_>,
        mut done: impl FnMut(&mut Output<S>, &mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        self.poll_lane(lane, cx, |input, output, cx| {
            let own = output.own.unwrap_or_else(|| cx.waker());
            if output.output.poll_yield(own).is_pending() {
                input.give_back();
                return Poll::Pending;
            }
            let mut waits = false;
            loop {
                let polled = output.with(cx, &mut done);
                if polled.is_ready() || waits {
                    return polled;
                }
                // Receiving may have made `done` ready, and nothing else would wake this task for that, so it is
                // polled once more.
                waits = input.poll_output(Call::Sends, output, cx).is_pending();
            }
        })
    }

    pub(crate) async fn queue<M>(
        &mut self,
        item: M,
        queue: impl Fn(&mut Sender, M) -> Result<(), SendError>,
    ) -> Result<(), Error> {
        let mut item = Some(item);
        poll_fn(|cx| self.poll_queue(Key::METHOD, cx, &mut item, &queue)).await
    }

    pub(crate) fn poll_queue<M>(
        &mut self,
        lane: Key,
        cx: &mut Context<'_>,
        item: &mut Option<M>,
        queue: impl Fn(&mut Sender, M) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        self.poll_output(lane, cx, |output, cx| {
            output.poll_queue(cx, |tx| item.take().map_or(Ok(()), |item| queue(tx, item)))
        })
    }

    pub(crate) fn begin_close(&mut self, frame: Option<CloseFrame>) {
        self.with_output(|output, _| output.tx.close(frame));
    }

    /// Polls both directions for a task, and wakes the tasks of the other lanes if that changed what they wait for.
    #[inline]
    fn poll_lane<U>(
        &mut self,
        lane: Key,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Input<S::Clock>, &mut Unsplit<'_, S>, &mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        let own = cx.waker();
        let joint = match &mut self.lanes {
            None => None,
            Some(lanes) => {
                let seen = (self.output.seen(), self.input.parked());
                Some(lanes.enter(lane, own, seen))
            }
        };
        let mut output = Unsplit {
            output: &mut self.output,
            own: joint.map(|_| own),
        };
        let cx = &mut Context::from_waker(joint.unwrap_or(own));
        let polled = f(&mut self.input, &mut output, cx);
        if let Some(lanes) = &mut self.lanes {
            let seen = (self.output.seen(), self.input.parked());
            lanes.leave(lane, polled.is_ready(), seen);
        }
        polled
    }

    /// Calls `f` with the sending direction, for a call that does not wait.
    pub(crate) fn with_output<U>(
        &mut self,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U {
        let Some(lanes) = &self.lanes else {
            return f(&mut self.output, &mut Context::from_waker(Waker::noop()));
        };
        let seen = self.output.seen();
        let value = f(&mut self.output, &mut Context::from_waker(lanes.joint()));
        if self.output.seen() != seen {
            lanes.joint().wake_by_ref();
        }
        value
    }

    /// Lets several tasks poll the socket from now on.
    pub(crate) fn with_lanes(&mut self) -> &mut Self {
        self.lanes.get_or_insert_default();
        self
    }

    /// Lets the socket follow the orders of a server.
    pub(crate) fn attach(&mut self, place: Arc<dyn Place>) {
        self.with_output(|output, _| output.attach(place));
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.output.tx.accepted()
    }
}

/// Drives a `connection` whose opening handshake is complete over `io`.
pub fn drive<S: Transport>(connection: Connection, io: S) -> WebSocket<S> {
    let clock = io.clock();
    WebSocket::over(connection, Wire::new(io), clock)
}

impl<S: Transport> fmt::Debug for WebSocket<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("input", &self.input)
            .field("output", &self.output)
            .finish()
    }
}

impl<S: Transport> Owner for &mut WebSocket<S> {}

impl<S: Transport> sealed::Owner for &mut WebSocket<S> {
    type Place = ();

    fn poll_queue(
        &mut self,
        (): &mut Self::Place,
        cx: &mut Context<'_>,
        mut chunk: impl FnMut() -> Option<Chunk<Outgoing>>,
    ) -> Poll<Result<u64, Error>> {
        self.poll_output(Key::METHOD, cx, |output, cx| {
            output.poll_piece(cx, &mut chunk)
        })
    }

    fn poll_sent(
        &mut self,
        (): &mut Self::Place,
        cx: &mut Context<'_>,
        count: u64,
    ) -> Poll<Result<(), Error>> {
        self.poll_output(Key::METHOD, cx, |output, cx| output.poll_sent(cx, count))
    }

    fn release(&mut self) {
        self.with_output(|output, _| output.release());
    }
}
