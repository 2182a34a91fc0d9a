use proto::{Chunk, Kind, Message, Outgoing, SendError, Utf8Bytes};

use crate::error::Error;

/// A message that is sent piece by piece; owns the outgoing message until it is finished.
///
/// Made by [`WebSocket::stream`](crate::WebSocket::stream) and [`WriteHalf::stream`](crate::WriteHalf::stream). Other data waits meanwhile; Pings, Pongs
/// and Closes pass. Dropped after a piece was queued and before the end was, it fails the connection
/// with 1011, because the peer would take the next message for the rest of this one.
#[derive(Debug)]
#[must_use = "dropping it fails the connection"]
pub struct Streaming<O: Owner> {
    owner: O,
    kind: Kind,
}

impl<O: Owner> Streaming<O> {
    pub(crate) fn new(owner: O, kind: Kind) -> Self {
        Self { owner, kind }
    }

    /// Sends a piece, in a frame of its own. If the first one is `Outgoing::plain`, nothing of the message
    /// is compressed. Cancel-safe: dropped, it was either not queued, or it will be written whole by a
    /// later call.
    ///
    /// # Errors
    ///
    /// [`SendError::KindChanged`] if the piece is not of the kind of the message;
    /// [`SendError::Compressed`] if it is plain and the first one was not.
    pub async fn write(&mut self, piece: impl Into<Outgoing>) -> Result<(), Error> {
        self.send(piece.into(), false).await
    }

    /// Ends the message. Cancel-safe as [`write`](Self::write).
    ///
    /// # Errors
    ///
    /// As [`WebSocket::send`](crate::WebSocket::send).
    pub async fn finish(mut self) -> Result<(), Error> {
        let empty = match self.kind {
            Kind::Text => Message::Text(Utf8Bytes::default()),
            Kind::Binary => Message::Binary(Default::default()),
        };
        self.send(empty.into(), true).await
    }

    async fn send(&mut self, data: Outgoing, fin: bool) -> Result<(), Error> {
        if data.message().kind() != self.kind {
            return Err(SendError::KindChanged.into());
        }
        self.owner.send_owned(Chunk { data, fin }).await
    }
}

impl<O: Owner> Drop for Streaming<O> {
    fn drop(&mut self) {
        self.owner.release();
    }
}

/// Where a [`Streaming`] message goes: a socket or its write half.
pub trait Owner: sealed::Owner {}

pub(crate) mod sealed {
    use super::{Chunk, Error, Outgoing};

    #[allow(async_fn_in_trait)]
    pub trait Owner {
        async fn send_owned(&mut self, chunk: Chunk<Outgoing>) -> Result<(), Error>;
        fn release(&mut self);
    }
}
