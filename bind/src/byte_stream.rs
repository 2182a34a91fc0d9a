//! A socket as a stream of bytes, and a message that is read as bytes.

use std::{
    fmt,
    future::poll_fn,
    io,
    task::{Context, Poll, ready},
};

use proto::{CloseCode, Kind, Message};

use crate::{
    bytes::{MAX_WRITE, ReadBytes, WriteBytes, front},
    driver::Received,
    error::Error,
    output::Output,
    read_half::ReadHalf,
    socket::WebSocket,
    transport::Transport,
    wakers::Key,
};

/// Reads the payloads of all messages, one after the other. A normal Close of the peer ends the stream. Any other end
/// is an error, because data may be missing.
impl<S: Transport> ReadBytes for WebSocket<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        loop {
            match self.with_lanes().poll_into(Key::STREAM, cx, buf) {
                Poll::Ready(Ok(Some(Received { len: 0, .. }))) => {}
                Poll::Ready(Ok(Some(received))) => return Poll::Ready(Ok(received.len)),
                Poll::Ready(Ok(None)) => break,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                // Our Close may still have to be sent, possibly by this task, so this must not wait for it.
                Poll::Pending if self.is_peer_closed() => break,
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(mut closed) = self.closed().cloned() else {
            return Poll::Ready(Ok(0));
        };
        // The peer's Close came after everything it sent, so nothing is missing even if ours is never sent.
        closed.clean |= self.is_peer_closed();
        Poll::Ready(if closed.is_normal() {
            Ok(0)
        } else {
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, closed))
        })
    }
}

/// Queues a binary message of at most 64 KiB for each write. Shutting down sends a Close with 1000.
impl<S: Transport> WriteBytes for WebSocket<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let piece = front(buf, MAX_WRITE);
        if piece.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let queued = self.with_lanes().poll_output(Key::SINK, cx, |output, cx| {
            output.poll_queue(cx, |tx| tx.send(Message::from(piece)))
        });
        ready!(queued)?;
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.with_lanes();
        let count = this.accepted();
        let sent = this.poll_output(Key::SINK, cx, |output, cx| output.poll_sent(cx, count));
        sent.map_err(io::Error::from)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.with_lanes();
        this.begin_close(Some(CloseCode::NORMAL.into()));
        let sent = this.poll_output(Key::SINK, cx, Output::poll_all);
        sent.map_err(io::Error::from)
    }
}

/// One message that is read as bytes. If the connection ends before the message does, that is an error.
///
/// [`WebSocket::read_message`] and [`ReadHalf::read_message`] return it. If it is dropped, the next call that
/// receives skips the remainder of the message.
pub struct MessageReader<R: Source> {
    source: R,
    kind: Kind,
    has_ended: bool,
}

impl<R: Source> MessageReader<R> {
    /// Returns the kind of the message. A read of a text message may end inside a character.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Waits for the next message.
    async fn next(mut source: R) -> Result<Option<Self>, Error> {
        let kind = poll_fn(|cx| source.poll_open(cx)).await?;
        Ok(kind.map(|kind| Self {
            source,
            kind,
            has_ended: false,
        }))
    }
}

impl<R: Source> ReadBytes for MessageReader<R> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        while !self.has_ended && !buf.is_empty() {
            let Some(received) = ready!(self.source.poll_into(cx, buf))? else {
                return Poll::Ready(Err(io::Error::new(
                    io::ErrorKind::UnexpectedEof,
                    "the connection was closed in the middle of a message",
                )));
            };
            self.has_ended = received.fin;
            if received.len > 0 {
                return Poll::Ready(Ok(received.len));
            }
        }
        Poll::Ready(Ok(0))
    }
}

impl<R: Source> fmt::Debug for MessageReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageReader")
            .field("kind", &self.kind)
            .field("has_ended", &self.has_ended)
            .finish_non_exhaustive()
    }
}

impl<S: Transport> WebSocket<S> {
    /// Returns the next message, to be read as bytes, as soon as its first piece has arrived; or `None` once the
    /// connection has closed. If a message was not read to its end, its remainder is skipped.
    ///
    /// The `ByteStream` of a binding implements its runtime's reading trait for the message. Memory is bounded by one
    /// read, as for [`recv_chunk`](Self::recv_chunk). Cancel-safe.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub async fn read_message(&mut self) -> Result<Option<MessageReader<&mut Self>>, Error> {
        MessageReader::next(self).await
    }
}

impl<S: Transport> ReadHalf<S> {
    /// Returns the next message, to be read as bytes; see [`WebSocket::read_message`].
    pub async fn read_message(&mut self) -> Result<Option<MessageReader<&mut Self>>, Error> {
        MessageReader::next(self).await
    }
}

/// The source of a message that is read as bytes: a socket or its read half.
pub trait Source: sealed::Source {}

impl<S: Transport> Source for &mut WebSocket<S> {}

impl<S: Transport> Source for &mut ReadHalf<S> {}

mod sealed {
    use super::*;

    pub trait Source {
        /// Waits for the first piece of the next message, which `poll_into` then copies.
        fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Kind>, Error>>;

        fn poll_into(
            &mut self,
            cx: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<Result<Option<Received>, Error>>;
    }

    impl<S: Transport> Source for &mut WebSocket<S> {
        fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Kind>, Error>> {
            WebSocket::poll_open(self, cx)
        }

        fn poll_into(
            &mut self,
            cx: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<Result<Option<Received>, Error>> {
            WebSocket::poll_into(self, Key::METHOD, cx, buf)
        }
    }

    impl<S: Transport> Source for &mut ReadHalf<S> {
        fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Kind>, Error>> {
            ReadHalf::poll_open(self, cx)
        }

        fn poll_into(
            &mut self,
            cx: &mut Context<'_>,
            buf: &mut [u8],
        ) -> Poll<Result<Option<Received>, Error>> {
            ReadHalf::poll_into(self, cx, buf)
        }
    }
}
