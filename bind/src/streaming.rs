use std::{
    fmt,
    future::poll_fn,
    io, mem, str,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use proto::{Chunk, Kind, Message, Outgoing, SendError, Utf8Bytes};

use crate::{
    bytes::{MAX_WRITE, WriteBytes, front},
    error::Error,
};

/// A message that is sent piece by piece. This guard owns the outgoing message until the message is finished.
///
/// [`WebSocket::stream`](crate::WebSocket::stream) and [`WriteHalf::stream`](crate::WriteHalf::stream) return it.
/// Other data waits meanwhile; Pings, Pongs and Closes do not. If the guard is dropped after a piece was queued and
/// before the message is finished, the connection fails with 1011, because the peer would take the next message for
/// the remainder of this one.
///
/// The `ByteStream` of a binding implements its runtime's writing trait for this. The bytes are then gathered, and
/// sent in pieces of 64 KiB or when they are flushed, because a peer may limit the number of frames of a message.
/// Shutting the stream down finishes the message.
#[must_use = "dropping it fails the connection"]
pub struct Streaming<O: Owner> {
    owner: O,
    kind: Kind,
    place: O::Place,
    /// The number of messages and chunks that a pending flush waits for.
    count: Option<u64>,
    /// Bytes that were written and not queued. In a text message they may end inside a character.
    gathered: Vec<u8>,
    is_finished: bool,
}

impl<O: Owner> Streaming<O> {
    pub(crate) fn new(owner: O, kind: Kind) -> Self {
        Self {
            owner,
            kind,
            place: O::Place::default(),
            count: None,
            gathered: Vec::new(),
            is_finished: false,
        }
    }

    /// Sends a piece, in a frame of its own. If the first piece is `Outgoing::uncompressed`, no piece of the message
    /// is compressed. Cancel-safe: if the future is dropped, the piece was either not queued, or a later call writes
    /// it whole.
    ///
    /// # Errors
    ///
    /// [`SendError::KindChanged`] if the piece is not of the message's kind; [`SendError::Compressed`] if it is
    /// uncompressed and the first piece was not.
    pub async fn write(&mut self, piece: impl Into<Outgoing>) -> Result<(), Error> {
        self.send(piece.into(), false).await
    }

    /// Ends the message. Cancel-safe as [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub async fn finish(mut self) -> Result<(), Error> {
        let last = self.empty();
        self.send(last, true).await
    }

    fn empty(&self) -> Outgoing {
        match self.kind {
            Kind::Text => Message::Text(Utf8Bytes::default()).into(),
            Kind::Binary => Message::Binary(Default::default()).into(),
        }
    }

    async fn send(&mut self, data: Outgoing, fin: bool) -> Result<(), Error> {
        if data.message().kind() != self.kind {
            return Err(SendError::KindChanged.into());
        }
        poll_fn(|cx| self.poll_gathered(cx)).await?;
        let Self { owner, .. } = self;
        let mut place = O::Place::default();
        let mut chunk = Some(Chunk { data, fin });
        let mut queued = None;
        poll_fn(|cx| {
            let count = match queued {
                Some(count) => count,
                None => {
                    let count = ready!(owner.poll_queue(&mut place, cx, || chunk.take()))?;
                    *queued.insert(count)
                }
            };
            owner.poll_sent(&mut place, cx, count)
        })
        .await
    }

    /// Queues the gathered bytes; of a text message, only whole characters.
    fn poll_gathered(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let whole = match self.kind {
            Kind::Binary => self.gathered.len(),
            Kind::Text => match str::from_utf8(&self.gathered) {
                Ok(text) => text.len(),
                Err(error) if error.error_len().is_none() => error.valid_up_to(),
                Err(_) => return Poll::Ready(Err(SendError::NotUtf8.into())),
            },
        };
        if whole == 0 {
            return Poll::Ready(Ok(()));
        }
        self.poll_piece(cx, whole, false)
    }

    /// Queues the first `len` gathered bytes as a piece, and notes what a flush then waits for.
    fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        len: usize,
        fin: bool,
    ) -> Poll<Result<(), Error>> {
        let (kind, gathered) = (self.kind, &mut self.gathered);
        let chunk = || {
            let remainder = gathered.split_off(len);
            let piece = mem::replace(gathered, remainder);
            let data = match kind {
                Kind::Binary => Message::from(piece),
                Kind::Text => Utf8Bytes::try_from(Bytes::from(piece)).ok()?.into(),
            };
            Some(Chunk {
                data: data.into(),
                fin,
            })
        };
        self.count = Some(ready!(self.owner.poll_queue(&mut self.place, cx, chunk))?);
        Poll::Ready(Ok(()))
    }
}

impl<O: Owner> WriteBytes for Streaming<O> {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.gathered.len() >= MAX_WRITE {
            ready!(self.poll_gathered(cx))?;
        }
        let piece = front(buf, MAX_WRITE.saturating_sub(self.gathered.len()));
        self.gathered.extend_from_slice(piece);
        Poll::Ready(Ok(piece.len()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_gathered(cx))?;
        let Some(count) = self.count else {
            return Poll::Ready(Ok(()));
        };
        ready!(self.owner.poll_sent(&mut self.place, cx, count))?;
        self.count = None;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_finished {
            if self.kind == Kind::Text && str::from_utf8(&self.gathered).is_err() {
                return Poll::Ready(Err(Error::from(SendError::NotUtf8).into()));
            }
            ready!(self.poll_piece(cx, self.gathered.len(), true))?;
            self.is_finished = true;
        }
        self.poll_flush(cx)
    }
}

impl<O: Owner> Drop for Streaming<O> {
    fn drop(&mut self) {
        self.owner.release();
    }
}

impl<O: Owner> fmt::Debug for Streaming<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Streaming")
            .field("kind", &self.kind)
            .field("is_finished", &self.is_finished)
            .finish_non_exhaustive()
    }
}

/// The destination of a [`Streaming`] message: a socket or its write half.
pub trait Owner: sealed::Owner {}

pub(crate) mod sealed {
    use super::{Chunk, Context, Error, Outgoing, Poll};

    pub trait Owner {
        /// The state that a call keeps while it waits.
        type Place: Default;

        /// Queues the chunk once there is room for it. Returns the number of messages and chunks queued so far, for
        /// [`poll_sent`](Self::poll_sent).
        fn poll_queue(
            &mut self,
            place: &mut Self::Place,
            cx: &mut Context<'_>,
            chunk: impl FnMut() -> Option<Chunk<Outgoing>>,
        ) -> Poll<Result<u64, Error>>;

        /// Waits until the first `count` messages and chunks are sent.
        fn poll_sent(
            &mut self,
            place: &mut Self::Place,
            cx: &mut Context<'_>,
            count: u64,
        ) -> Poll<Result<(), Error>>;

        fn release(&mut self);
    }
}
