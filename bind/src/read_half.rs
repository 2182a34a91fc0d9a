use std::{
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use proto::{Chunk, Closed, Event, Message};

use crate::{
    Error, Read, Timer, Write,
    driver::{Input, Pull},
    shared::{Reader, Shared},
    wakers::Key,
};

/// The receiving direction of a [`WebSocket`](crate::WebSocket).
///
/// **Keep receiving**: a pending [`recv`](Self::recv) also answers Pings, keeps time, writes what the
/// other half has queued, and completes the closing handshake. Dropped, the write halves go on, but
/// nobody does that any more.
pub struct ReadHalf<S, T> {
    input: Input<T>,
    shared: Arc<Shared<S, T>>,
    key: Key,
}

impl<S: Read + Write, T: Timer> ReadHalf<S, T> {
    pub(crate) fn new(input: Input<T>, shared: Arc<Shared<S, T>>) -> Self {
        let key = shared.wakers().enter();
        Self { input, shared, key }
    }

    /// The next message; see [`WebSocket::recv`](crate::WebSocket::recv). Cancel-safe.
    ///
    /// # Errors
    ///
    /// Exactly one, if the connection ends in another way than by a Close; then `None`.
    pub fn recv(&mut self) -> impl Future<Output = Result<Option<Message>, Error>> {
        poll_fn(|cx| self.poll_recv(cx))
    }

    /// The next message, Ping, Pong or Close; see
    /// [`WebSocket::recv_event`](crate::WebSocket::recv_event). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_event(&mut self) -> Result<Option<Event>, Error> {
        let output = &mut Reader {
            shared: &self.shared,
            key: self.key,
        };
        Ok(
            poll_fn(|cx| self.input.poll_event(Pull::Messages, output, cx))
                .await?
                .map(|event| event.map(|chunk| chunk.data)),
        )
    }

    /// The next piece of a message; see [`WebSocket::recv_chunk`](crate::WebSocket::recv_chunk).
    /// Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn recv_chunk(&mut self) -> Result<Option<Chunk>, Error> {
        let output = &mut Reader {
            shared: &self.shared,
            key: self.key,
        };
        poll_fn(|cx| self.input.poll_data(Pull::Chunks, output, cx)).await
    }

    /// How the connection ended; `None` before it has.
    pub fn closed(&self) -> Option<Closed> {
        self.shared.lock().closed.as_deref().cloned()
    }

    /// From when the last Ping left to when its Pong was received; `None` before the first.
    pub fn latency(&self) -> Option<Duration> {
        self.input.rx().latency()
    }

    pub(crate) fn poll_recv(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        let output = &mut Reader {
            shared: &self.shared,
            key: self.key,
        };
        self.input.poll_message(output, cx)
    }
}

impl<S, T> Drop for ReadHalf<S, T> {
    fn drop(&mut self) {
        self.shared.wakers().leave(self.key);
        self.shared
            .with(None, |output, _| output.reader_gone = true);
    }
}

impl<S, T> fmt::Debug for ReadHalf<S, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadHalf")
            .field("input", &self.input)
            .field("shared", &self.shared)
            .finish()
    }
}
