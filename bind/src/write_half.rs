use std::{
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use proto::{
    Chunk, CloseFrame, Closed, ControlPayload, IntoClose, Kind, Outgoing, SendError, Sender, State,
    Stats,
};

use crate::{
    driver::Call,
    error::{Error, TrySendError},
    output::Output,
    shared::{Shared, Waiter},
    streaming::{Owner, Streaming, sealed},
    transport::Transport,
};

#[cfg(feature = "futures")]
pub(crate) mod sink;

/// The sending direction of a [`WebSocket`](crate::WebSocket). Clones send over the same connection, from any number
/// of tasks.
///
/// All methods are cancel-safe. Dropping the last clone does not end the connection: the read half goes on.
///
/// **Keep receiving with the read half.** While no call of it is pending, Pings are answered and the end of the
/// connection is noticed only during calls of this half that wait. Once the read half is dropped, that happens at the
/// beginning of each call. An application that wants no messages should call [`drain`](crate::ReadHalf::drain) in a
/// task of its own.
pub struct WriteHalf<S: Transport> {
    pub(crate) shared: Arc<Shared<S>>,
    /// The state of a `Sink` between its calls.
    #[cfg(feature = "futures")]
    pub(crate) sink: Option<Box<sink::Sending<S>>>,
}

impl<S: Transport> Clone for WriteHalf<S> {
    fn clone(&self) -> Self {
        self.shared.lock().halves += 1;
        Self::new(self.shared.clone())
    }
}

impl<S: Transport> Drop for WriteHalf<S> {
    fn drop(&mut self) {
        drop(self.shared.with(None, |output, _| output.half_gone()));
    }
}

impl<S: Transport> WriteHalf<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Self {
            shared,
            #[cfg(feature = "futures")]
            sink: None,
        }
    }
}

impl<S: Transport> WriteHalf<S> {
    /// Sends a message; see [`WebSocket::send`](crate::WebSocket::send). Cancel-safe: if the future is dropped, the
    /// message was either not queued, or it will be written whole.
    ///
    /// # Errors
    ///
    /// [`Error::Send`] if the message cannot be sent; [`Error::TimedOut`] if the peer took no output for
    /// [`write_timeout`](proto::Config::write_timeout), whether or not a task receives.
    pub async fn send(&self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.queue(
            Class::Data,
            message.into(),
            |tx, message: Outgoing| tx.send(message),
            Wait::Sent,
        )
        .await
    }

    /// Sends a piece of a message; see [`WebSocket::send_chunk`](crate::WebSocket::send_chunk).
    /// Cancel-safe as [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn send_chunk(&self, chunk: Chunk<impl Into<Outgoing>>) -> Result<(), Error> {
        self.queue(
            Class::Data,
            chunk,
            |tx, chunk| tx.send_chunk(chunk),
            Wait::Sent,
        )
        .await
    }

    /// Begins a message of unknown length; see [`WebSocket::stream`](crate::WebSocket::stream). Waits until any other
    /// streamed message has ended. All other data then waits until this one has ended.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] if the connection is closing.
    pub async fn stream(&self, kind: Kind) -> Result<Streaming<&Self>, Error> {
        let mut waiter = Waiter::new(&self.shared);
        poll_fn(|cx| {
            waiter.poll(cx, Call::Sends, |output, _| {
                if output.tx.is_closing() {
                    return Poll::Ready(Err(output.refuse(SendError::Closed)));
                }
                if output.guarded || output.tx.streaming().is_some() {
                    return Poll::Pending;
                }
                output.guarded = true;
                Poll::Ready(Ok(()))
            })
        })
        .await?;
        Ok(Streaming::new(self, kind))
    }

    /// Queues a message; see [`WebSocket::feed`](crate::WebSocket::feed). A pending `recv` of the read half writes
    /// it. Cancel-safe: if the future is dropped, the message was not queued.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn feed(&self, message: impl Into<Outgoing>) -> Result<(), Error> {
        self.queue(
            Class::Data,
            message.into(),
            |tx, message: Outgoing| tx.send(message),
            Wait::Queued,
        )
        .await
    }

    /// Queues a message if there is room for it, and writes what the transport takes at once. If the message is large
    /// and is masked or compressed, only a part of it is written.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] returns the message.
    pub fn try_send(&self, message: impl Into<Outgoing>) -> Result<(), TrySendError> {
        self.discard_received();
        self.shared
            .with(None, |output, cx| output.try_send(cx, message.into()))
    }

    /// Writes and flushes everything that was queued before this call. Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send), if a queued message will never be sent.
    pub async fn flush(&self) -> Result<(), Error> {
        let count = self.shared.lock().tx.accepted();
        let mut waiter = Waiter::new(&self.shared);
        poll_fn(|cx| waiter.poll(cx, Call::Sends, |output, cx| output.poll_sent(cx, count))).await
    }

    /// Writes and flushes all output, including what the reader owes the peer.
    pub(crate) async fn flush_all(&self) -> Result<(), Error> {
        let mut waiter = Waiter::new(&self.shared);
        poll_fn(|cx| waiter.poll(cx, Call::Sends, Output::poll_all)).await
    }

    /// Sends a Ping; see [`WebSocket::ping`](crate::WebSocket::ping). Cancel-safe as
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn ping(&self, payload: ControlPayload) -> Result<(), Error> {
        self.queue(
            Class::Control,
            payload,
            |tx, payload| tx.ping(payload),
            Wait::Sent,
        )
        .await
    }

    /// Sends an unsolicited Pong; see [`WebSocket::pong`](crate::WebSocket::pong). Cancel-safe as
    /// [`send`](Self::send).
    ///
    /// # Errors
    ///
    /// As [`send`](Self::send).
    pub async fn pong(&self, payload: ControlPayload) -> Result<(), Error> {
        self.queue(
            Class::Control,
            payload,
            |tx, payload| tx.pong(payload),
            Wait::Sent,
        )
        .await
    }

    /// Writes what [handles](Self::handle) queue, as soon as they do, until no more can be queued. Call it in a task
    /// of its own. Cancel-safe: if the future is dropped, queued messages wait for another call.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output; [`Error::Lost`] or [`Error::Protocol`] if that ended the
    /// connection.
    pub async fn drive(&self) -> Result<(), Error> {
        let mut waiter = Waiter::new(&self.shared);
        poll_fn(|cx| {
            waiter.poll(cx, Call::Writes, |output, cx| {
                let written = output.poll(cx);
                if output.has_ended() || output.tx.end().is_some() {
                    return Poll::Ready(output.failure().map_or(Ok(()), Err));
                }
                // Nothing is written after the Close.
                if written.is_ready() && output.tx.is_close_sent() {
                    return Poll::Ready(Ok(()));
                }
                Poll::Pending
            })
        })
        .await
    }

    /// Runs the whole closing handshake and ends the transport, within
    /// [`close_timeout`](proto::Config::close_timeout), whether or not the read half receives.
    ///
    /// Messages that the peer still sends are kept for the read half, up to the one that passes 64 KiB, or 128
    /// messages. Later ones are discarded. `recv` then returns the kept messages and `None`. To lose nothing, use
    /// [`finish`](Self::finish) and receive until `None`. Cancel-safe: if the future is dropped, the Close stays
    /// queued.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer does not answer; [`Error::Lost`] or [`Error::Protocol`] if that ended the
    /// connection.
    pub async fn close(&self, frame: impl IntoClose) -> Result<(), Error> {
        self.begin_close(frame.into_close());
        let mut waiter = Waiter::new(&self.shared);
        poll_fn(|cx| {
            waiter.poll(cx, Call::Closes, |output, cx| {
                let _ = output.poll(cx);
                if !output.has_ended() {
                    return Poll::Pending;
                }
                Poll::Ready(output.failure().map_or(Ok(()), Err))
            })
        })
        .await
    }

    /// Sends a Close. The read half goes on receiving until `None`. Cancel-safe: if the future is dropped, the Close
    /// stays queued.
    ///
    /// # Errors
    ///
    /// [`Error::TimedOut`] if the peer takes no output.
    pub async fn finish(&self, frame: impl IntoClose) -> Result<(), Error> {
        self.begin_close(frame.into_close());
        self.flush_all().await
    }

    /// Ends the connection and the transport at once, without a Close.
    pub fn abort(&self) {
        self.shared.with(None, |output, cx| output.abort(cx));
    }

    /// Returns how the connection ended, once a call of either half has met the end; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.shared.closed()
    }

    /// Returns the stage of the connection's life.
    pub fn state(&self) -> State {
        self.shared.state()
    }

    /// Returns the subprotocol that was agreed on, if any (RFC 6455 §1.9).
    pub fn subprotocol(&self) -> Option<&str> {
        self.shared.subprotocol()
    }

    /// Returns the time from the sending of the last Ping to its Pong; `None` before the first Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.shared.latency()
    }

    /// Returns counts of what has passed over the connection since it opened. A call that is receiving adds its
    /// counts when it returns.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Returns the peer's address; see [`WebSocket::peer_addr`](crate::WebSocket::peer_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.shared.lock().peer_addr()
    }

    /// Reads and discards what has arrived, if no read half exists. A call that does not wait, or that queues before
    /// it waits, does this first.
    fn discard_received(&self) {
        if self.shared.lock().reader_gone {
            self.shared.discard(None, Waker::noop());
        }
    }

    pub(crate) fn begin_close(&self, frame: Option<CloseFrame>) {
        self.discard_received();
        self.shared.with(None, |output, _| output.tx.close(frame));
    }

    /// Queues `item`, and waits as `wait` says. Data is queued only while no guard owns the outgoing message.
    async fn queue<M>(
        &self,
        class: Class,
        item: M,
        queue: impl Fn(&mut Sender, M) -> Result<(), SendError>,
        wait: Wait,
    ) -> Result<(), Error> {
        let mut item = Some(item);
        let mut count = 0;
        let mut waiter = Waiter::new(&self.shared);
        let key = waiter.key();
        poll_fn(|cx| {
            waiter.poll(cx, Call::Sends, |output, cx| {
                if item.is_some() {
                    if class == Class::Data && output.holds_back(key) {
                        return Poll::Pending;
                    }
                    ready!(output.poll_turn(cx, key, |tx| {
                        item.take().map_or(Ok(()), |item| queue(tx, item))
                    }))?;
                    count = output.tx.accepted();
                }
                match wait {
                    Wait::Queued => Poll::Ready(Ok(())),
                    Wait::Sent => output.poll_sent(cx, count),
                }
            })
        })
        .await
    }
}

impl<S: Transport> fmt::Debug for WriteHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WriteHalf").field(&self.shared).finish()
    }
}

/// The place of a guard among the waiting calls.
pub struct Place<S: Transport>(Option<Waiter<S>>);

impl<S: Transport> fmt::Debug for Place<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").finish_non_exhaustive()
    }
}

impl<S: Transport> Default for Place<S> {
    fn default() -> Self {
        Self(None)
    }
}

impl<S: Transport> Owner for &WriteHalf<S> {}

impl<S: Transport> sealed::Owner for &WriteHalf<S> {
    type Place = Place<S>;

    fn poll_queue(
        &mut self,
        place: &mut Self::Place,
        cx: &mut Context<'_>,
        mut chunk: impl FnMut() -> Option<Chunk<Outgoing>>,
    ) -> Poll<Result<u64, Error>> {
        let waiter = place.0.get_or_insert_with(|| Waiter::new(&self.shared));
        waiter.poll(cx, Call::Sends, |output, cx| {
            output.poll_piece(cx, &mut chunk)
        })
    }

    fn poll_sent(
        &mut self,
        place: &mut Self::Place,
        cx: &mut Context<'_>,
        count: u64,
    ) -> Poll<Result<(), Error>> {
        let waiter = place.0.get_or_insert_with(|| Waiter::new(&self.shared));
        waiter.poll(cx, Call::Sends, |output, cx| output.poll_sent(cx, count))
    }

    fn release(&mut self) {
        self.shared.with(None, |output, _| output.release());
    }
}

/// The kind of an item, which decides whether it waits for a guard that owns the outgoing message.
#[derive(Clone, Copy, PartialEq)]
enum Class {
    Data,
    /// A control frame, which does not wait.
    Control,
}

/// The progress of a message until which a call waits.
#[derive(Clone, Copy)]
enum Wait {
    Queued,
    Sent,
}
