//! A message that the application reads as bytes.

use std::task::{Context, Poll, ready};

use bytes::Bytes;
use proto::{Chunk, Event, Kind, Pull};

use super::{Access, Input};
use crate::{
    error::Error,
    transport::{Timer, Transport},
};

/// A piece of a message that was copied into the application's memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Received {
    /// The number of bytes that were copied.
    pub len: usize,
    /// The kind of the message. A piece of text may end inside a character.
    pub kind: Kind,
    /// Whether this is the last piece of the message.
    pub fin: bool,
}

/// A message that the application reads as bytes, until it has read the last of them.
pub(super) struct Opened {
    kind: Kind,
    /// The bytes of the latest chunk that are not copied yet.
    bytes: Bytes,
    /// Whether that chunk is the last of the message.
    fin: bool,
}

impl Opened {
    /// Whether there is something to return without another chunk.
    pub(super) fn has_piece(&self) -> bool {
        self.fin || !self.bytes.is_empty()
    }

    fn copy_into(&mut self, buf: &mut [u8]) -> Received {
        let len = buf.len().min(self.bytes.len());
        buf[..len].copy_from_slice(&self.bytes.split_to(len));
        Received {
            len,
            kind: self.kind,
            fin: self.fin && self.bytes.is_empty(),
        }
    }
}

impl<T: Timer> Input<T> {
    /// Copies the next piece of a message into `buf`.
    pub(crate) fn poll_into<S: Transport>(
        &mut self,
        buf: &mut [u8],
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Received>, Error>> {
        loop {
            if let Some(received) = self.copy_into(buf) {
                return Poll::Ready(Ok(Some(received)));
            }
            match ready!(self.poll_event(Pull::Chunks, output, cx))? {
                Some(Event::Data(chunk)) => self.open(chunk),
                Some(_) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }
}

impl<T: Timer> Input<T> {
    /// Waits for the first piece of the next message, which [`poll_into`](Self::poll_into) then copies.
    pub(crate) fn poll_open<S: Transport>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Kind>, Error>> {
        let chunk = ready!(self.poll_data(Pull::Chunks, output, cx))?;
        Poll::Ready(Ok(chunk.map(|chunk| {
            let kind = chunk.data.kind();
            self.open(chunk);
            kind
        })))
    }
}

impl<T> Input<T> {
    /// Copies the next piece of the message that `recv_into` has begun, if there is a piece without another chunk.
    fn copy_into(&mut self, buf: &mut [u8]) -> Option<Received> {
        let parked = self.parked.as_mut()?;
        let opened = parked.opened.as_mut().filter(|it| it.has_piece())?;
        let received = opened.copy_into(buf);
        if received.fin {
            parked.opened = None;
            self.tidy();
        }
        Some(received)
    }

    /// Begins, or continues, a message that is read as bytes.
    fn open(&mut self, chunk: Chunk) {
        self.parked.get_or_insert_default().opened = Some(Opened {
            kind: chunk.data.kind(),
            fin: chunk.fin,
            bytes: chunk.data.into_bytes(),
        });
    }

    /// Gives up the message that `recv_into` has begun, because the call takes whole messages. The core skips the
    /// remainder.
    #[cold]
    pub(super) fn drop_opened(&mut self) {
        if let Some(parked) = &mut self.parked {
            parked.opened = None;
            self.tidy();
        }
    }

    /// Gives up the message that `recv_into` has begun, because the call takes chunks. The remaining chunks of that
    /// message still have to be [skipped](Self::skips).
    #[cold]
    pub(super) fn skip_opened(&mut self) {
        let parked = self.parked.as_mut();
        match parked.and_then(|parked| parked.opened.as_mut()) {
            Some(opened) if !opened.fin => opened.bytes.clear(),
            _ => self.drop_opened(),
        }
    }

    /// Whether a chunk belongs to the message that `recv_into` has begun; `fin` says whether it is the last one.
    #[cold]
    pub(super) fn skips(&mut self, fin: bool) -> bool {
        let opened = self.parked.as_mut().map(|parked| &mut parked.opened);
        let skips =
            opened.is_some_and(|opened| opened.take_if(|_| fin).is_some() || opened.is_some());
        self.tidy();
        skips
    }
}
