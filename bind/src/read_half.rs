use std::{
    fmt,
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use proto::{Chunk, Closed, Event, Kind, Message, Pull, State, Stats};

use crate::{
    driver::{Input, Received},
    error::Error,
    shared::{Reader, Shared},
    transport::Transport,
    wakers::Key,
};

/// The receiving direction of a [`WebSocket`](crate::WebSocket).
///
/// **Keep receiving.** A pending [`recv`](Self::recv) also answers Pings, keeps time, writes what the other half has
/// queued, and completes the closing handshake. An application that wants no messages should call
/// [`drain`](Self::drain) in a task of its own.
///
/// While no call of this half is pending, only calls of the write half receive: one that waits for output receives,
/// and keeps at most one event for the next `recv`; [`close`](crate::WriteHalf::close) receives until the end.
/// Between calls no Ping is answered and no deadline is judged. The same holds once this half is dropped, except that
/// each call of the write half then first reads, answers and discards what has arrived.
pub struct ReadHalf<S: Transport> {
    pub(crate) shared: Arc<Shared<S>>,
}

impl<S: Transport> ReadHalf<S> {
    pub(crate) fn new(shared: Arc<Shared<S>>) -> Self {
        Self { shared }
    }

    /// Returns the next message; see [`WebSocket::recv`](crate::WebSocket::recv). Cancel-safe.
    ///
    /// After [`WriteHalf::close`](crate::WriteHalf::close) this returns the messages that `close` kept, and then
    /// `None`.
    ///
    /// # Errors
    ///
    /// If the connection ends without a Close, returns one error, and `None` from then on.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> {
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// Returns the next message, Ping, Pong or Close; see [`WebSocket::recv_event`](crate::WebSocket::recv_event).
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        let event = poll_fn(|cx| {
            self.poll(cx, |input, output, cx| {
                input.poll_event(Pull::Messages, output, cx)
            })
        });
        Ok(event.await?.map(|event| event.map(|chunk| chunk.data)))
    }

    /// Returns the next piece of a message; see [`WebSocket::recv_chunk`](crate::WebSocket::recv_chunk). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        poll_fn(|cx| {
            self.poll(cx, |input, output, cx| {
                input.poll_data(Pull::Chunks, output, cx)
            })
        })
        .await
    }

    /// Copies the next piece of a message into `buf`; see
    /// [`WebSocket::recv_into`](crate::WebSocket::recv_into). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_into(&mut self, buf: &mut [u8]) -> Result<Option<Received>, Error> {
        poll_fn(|cx| self.poll_into(cx, buf)).await
    }

    /// Receives until the end and discards all messages, for an application that only sends. Pings are answered,
    /// deadlines are judged, and the write half learns at once when the connection has ended.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn drain(mut self) -> Result<(), Error> {
        while self.recv_chunk().await?.is_some() {}
        Ok(())
    }

    /// Returns how the connection ended, as far as that is known; see
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

    /// Returns the peer's address; see [`WebSocket::peer_addr`](crate::WebSocket::peer_addr).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.shared.lock().peer_addr()
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

    pub(crate) fn poll_into(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<Option<Received>, Error>> {
        self.poll(cx, |input, output, cx| input.poll_into(buf, output, cx))
    }

    /// Waits for the first piece of the next message, which [`poll_into`](Self::poll_into) then copies.
    pub(crate) fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Kind>, Error>> {
        self.poll(cx, |input, output, cx| input.poll_open(output, cx))
    }

    pub(crate) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        if let Some(message) = self.shared.recv_small() {
            return Poll::Ready(Ok(Some(message)));
        }
        self.poll(cx, |input, output, cx| input.poll_message(output, cx))
    }

    /// Polls the receiving direction. While this half waits, its waker is registered, so that writers leave receiving
    /// to it.
    fn poll<U>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Input<S::Clock>, &mut Reader<'_, S>, &mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        self.shared.wakers().register(Key::READER, cx.waker());
        let (me, own) = (Some(Key::READER), cx.waker());
        let polled = self.shared.with_input(me, own, |input, output, cx| {
            let polled = f(input, output, cx);
            if polled.is_ready() || input.yields() {
                self.shared.reader_goes();
            }
            polled
        });
        polled.unwrap_or(Poll::Pending)
    }
}

impl<S: Transport> Drop for ReadHalf<S> {
    fn drop(&mut self) {
        self.shared.reader_goes();
        drop(self.shared.with(None, |output, _| {
            output.reader_gone = true;
            output.half_gone()
        }));
    }
}

impl<S: Transport> fmt::Debug for ReadHalf<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReadHalf").field(&self.shared).finish()
    }
}
