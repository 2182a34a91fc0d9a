//! The sending direction of a socket, and the transport.

use std::{
    cell::Cell,
    fmt,
    io::{self, IoSlice},
    task::{Context, Poll, ready},
};

use bytes::Buf;
use proto::{CloseCode, Closed, Deadline, Lost, Outgoing, RecvError, SendError, Sender, Transmit};

use crate::{Error, Read, TrySendError, Write, error::lost, wakers::Key};

/// After so many events, in or out, other tasks get a turn.
pub(crate) const MAX_EVENTS: u8 = 128;
/// And after so many writes: before each, 64 KiB may have been compressed, or masked.
const MAX_WRITES: u8 = 4;

thread_local! {
    /// What output is gathered in, lent to one socket after the other.
    static LOAN: Cell<Option<Box<Transmit>>> = const { Cell::new(None) };
}

pub(crate) struct Output<S> {
    pub(crate) tx: Sender,
    /// `None` once the connection has ended.
    pub(crate) io: Option<S>,
    /// How the connection ended, for those who cannot see the receiver.
    pub(crate) closed: Option<Box<Closed>>,
    /// The transport may hold something back.
    unflushed: bool,
    shut_down: bool,
    pub(crate) error: Option<io::Error>,
    /// Who waits for room, first come first served.
    turns: Vec<Key>,
    /// A guard owns the outgoing message.
    pub(crate) guarded: bool,
    /// The peer's Close was received.
    pub(crate) peer_closed: bool,
    /// Our direction of the transport is to end behind our Close.
    pub(crate) wants_shutdown: bool,
    /// Nobody receives any more.
    pub(crate) reader_gone: bool,
    /// We ended it at once, on purpose.
    pub(crate) aborted: bool,
    /// How often somebody asked for output before others had a turn.
    asked: u8,
    /// How often something was written before that.
    writes: u8,
}

/// What those who wait for output wait for.
#[derive(PartialEq)]
pub(crate) struct Seen {
    flushed: u64,
    waiting: bool,
    full: bool,
    closing: bool,
    ended: bool,
    turn: Option<Key>,
    guarded: bool,
    reader_gone: bool,
}

impl<S> Output<S> {
    pub(crate) fn new(tx: Sender, io: S) -> Self {
        Self {
            tx,
            io: Some(io),
            closed: None,
            unflushed: false,
            shut_down: false,
            error: None,
            turns: Vec::new(),
            guarded: false,
            peer_closed: false,
            wants_shutdown: false,
            reader_gone: false,
            aborted: false,
            asked: 0,
            writes: 0,
        }
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen {
            flushed: self.tx.flushed(),
            waiting: self.tx.accepted() > self.tx.flushed(),
            full: self.tx.is_full(),
            closing: self.tx.is_closing(),
            ended: self.io.is_none() || self.closed.is_some(),
            turn: self.turns.first().copied(),
            guarded: self.guarded,
            reader_gone: self.reader_gone,
        }
    }

    /// The connection has ended as told: the transport is dropped.
    pub(crate) fn finish(&mut self, closed: Option<Closed>) {
        if self.closed.is_none() {
            #[cfg(feature = "tracing")]
            if let Some(closed) = &closed {
                tracing::debug!(%closed, "websocket ended");
            }
            self.closed = closed.map(Box::new);
        }
        self.end(RecvError::Lost(Lost::Eof));
    }

    /// Ends the transport at once.
    pub(crate) fn end(&mut self, end: RecvError) {
        self.tx.handle_end(end);
        self.io = None;
    }

    /// Ends the transport at a deadline, which is no failure if both Closes have gone: the peer has
    /// only left the transport open.
    pub(crate) fn time_out(&mut self, deadline: Deadline) -> Result<(), Error> {
        if self.peer_closed && self.tx.is_closed() {
            self.end(RecvError::Lost(Lost::Eof));
            return Ok(());
        }
        let end = RecvError::TimedOut(deadline);
        self.end(end);
        Err(end.into())
    }

    /// Whether our direction is to end, and the peer will see that when the transport is dropped.
    pub(crate) fn ends_when_dropped(&self) -> bool
    where
        S: Write,
    {
        self.shut_down && self.io.as_ref().is_some_and(|io| !io.half_closes())
    }

    /// Other tasks had their turn.
    pub(crate) const fn rested(&mut self) {
        self.writes = 0;
    }

    /// Pending, and woken, when it is time for other tasks: a transport that takes everything lets nobody
    /// wait. To be called once whenever a task runs.
    pub(crate) fn poll_rest(&mut self, cx: &Context<'_>) -> Poll<()> {
        self.rested();
        self.asked = (self.asked + 1) % MAX_EVENTS;
        if self.asked > 0 {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Sends a message the short way (see [`Sender::send_small`]), unless it is time for other tasks.
    #[inline]
    pub(crate) fn send_small(&mut self, message: &Outgoing) -> bool {
        if self.asked + 1 >= MAX_EVENTS {
            return false;
        }
        // What it is gathered in.
        self.tx.lend(|| LOAN.take());
        let sent = self.tx.send_small(message);
        self.asked += u8::from(sent);
        sent
    }

    /// Whether our Close has left, or never will.
    pub(crate) fn is_done(&self) -> bool {
        self.tx.is_closed() || self.tx.end().is_some()
    }

    /// Whether neither we nor the transport have begun to end the connection.
    pub(crate) fn is_open(&self) -> bool {
        !self.aborted && !self.tx.is_closing()
    }

    /// Why a message cannot be sent: the end of the connection explains more than that it is closed.
    pub(crate) fn refuse(&self, error: SendError) -> Error {
        match (error, self.tx.end()) {
            (SendError::Closed, Some(end @ RecvError::TimedOut(_))) => end.into(),
            (error, _) => error.into(),
        }
    }

    /// Somebody waits no longer for room.
    pub(crate) fn leave(&mut self, key: Key) {
        self.turns.retain(|turn| *turn != key);
    }

    /// Whether data has to wait for the end of a message that a guard owns. Who does gives up its turn:
    /// the pieces of that message need room as well.
    pub(crate) fn holds_back(&mut self, key: Key) -> bool {
        let holds = self.guarded && !self.tx.is_closing();
        if holds {
            self.leave(key);
        }
        holds
    }

    /// A guard gives the outgoing message back.
    pub(crate) fn release(&mut self) {
        self.guarded = false;
        if self.tx.streaming().is_some() {
            // The peer would take what comes next for the rest of it.
            self.tx.close(Some(CloseCode::INTERNAL_ERROR.into()));
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.tx.handle_end(RecvError::Lost(lost(&error)));
        self.error.get_or_insert(error);
    }
}

impl<S: Write> Output<S> {
    /// Writes and flushes what is queued. Ready when nothing is left to do, which a failure is too.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.io.is_some() && !self.tx.has_output() && !self.unflushed && !self.wants_shutdown {
            // It was lent for what could not be queued.
            self.give_back();
            return Poll::Ready(());
        }
        if self.io.is_none() {
            self.tx.handle_end(RecvError::Lost(Lost::Failed));
        }
        if self.tx.end().is_some() {
            return Poll::Ready(());
        }
        let polled = self.write_and_flush(cx);
        self.give_back();
        match polled {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(error)) => {
                self.fail(error);
                return Poll::Ready(());
            }
            Poll::Pending => self.tx.handle_sent(!self.unflushed),
        }
        self.shut_down_behind_close(cx);
        polled.map(drop)
    }

    /// Whoever writes our Close does it: a blocking reader may be waiting for the peer's end by then.
    pub(crate) fn shut_down_behind_close(&mut self, cx: &mut Context<'_>) {
        if self.wants_shutdown && self.tx.is_closed() {
            let _ = self.poll_shutdown(cx);
        }
    }

    fn write_and_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What the transport held back goes first, so that a flush does not wait for what was queued
        // after it.
        ready!(self.flush(cx))?;
        let written = self.write(cx)?;
        // What the transport did take has left, whatever waits behind it.
        ready!(self.flush(cx))?;
        written.map(Ok)
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.tx.has_output()
            && let Some(io) = &mut self.io
        {
            if self.writes >= MAX_WRITES {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            self.tx.lend(|| LOAN.take());
            let Some(transmit) = self.tx.transmit() else {
                break;
            };
            ready!(write(io, cx, transmit))?;
            self.unflushed = true;
            self.writes += 1;
            self.give_back();
            if self.tx.has_output() {
                self.tx.handle_sent(false);
            } // Or else the flush tells of it.
        }
        Poll::Ready(Ok(()))
    }

    /// What output was gathered in, once all of it has left.
    fn give_back(&mut self) {
        if let Some(idle) = self.tx.take_back() {
            LOAN.set(Some(idle));
        }
    }

    fn flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(io) = &mut self.io
            && self.unflushed
        {
            ready!(io.poll_flush(cx))?;
            self.unflushed = false;
            self.tx.handle_sent(true);
        }
        Poll::Ready(Ok(()))
    }

    /// Whether there is room to queue; writes if there is none at first. A Close makes room for an
    /// error.
    fn make_room(&mut self, cx: &mut Context<'_>) -> bool {
        let has_room = |tx: &Sender| !tx.is_full() || tx.is_closing();
        if !has_room(&self.tx) {
            let _ = self.poll(cx);
        }
        has_room(&self.tx)
    }

    /// Queues what `queue` queues, once there is room for it.
    pub(crate) fn poll_queue(
        &mut self,
        cx: &mut Context<'_>,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        if !self.make_room(cx) {
            return Poll::Pending;
        }
        self.tx.lend(|| LOAN.take());
        Poll::Ready(queue(&mut self.tx).map_err(|error| self.refuse(error)))
    }

    /// As [`poll_queue`](Self::poll_queue), for one of several who queue.
    pub(crate) fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        if self.turns.first().is_none_or(|turn| *turn == key)
            && let Poll::Ready(queued) = self.poll_queue(cx, queue)
        {
            self.leave(key);
            return Poll::Ready(queued);
        }
        if !self.turns.contains(&key) {
            self.turns.push(key);
        }
        Poll::Pending
    }

    /// Queues `message` if there is room, and writes what the transport takes.
    pub(crate) fn try_send(
        &mut self,
        cx: &mut Context<'_>,
        message: Outgoing,
    ) -> Result<(), TrySendError> {
        self.rested();
        if !self.make_room(cx) || self.guarded || !self.turns.is_empty() {
            return Err(TrySendError::Full(message));
        }
        self.tx.lend(|| LOAN.take());
        self.tx
            .send(message)
            .map_err(|error| TrySendError::Failed(self.refuse(error)))?;
        let _ = self.poll(cx);
        Ok(())
    }

    /// Ready when the first `count` messages have left, or never will.
    pub(crate) fn poll_left(
        &mut self,
        cx: &mut Context<'_>,
        count: u64,
    ) -> Poll<Result<(), Error>> {
        let polled = self.poll(cx);
        if self.tx.has_dropped(count) {
            return Poll::Ready(Err(self.refuse(SendError::Closed)));
        }
        if self.tx.flushed() >= count {
            Poll::Ready(Ok(()))
        } else {
            polled.map(Ok)
        }
    }

    /// Ready when all has left, our Close too if there is one, or never will.
    pub(crate) fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll(cx));
        Poll::Ready(match self.tx.end() {
            Some(end @ RecvError::TimedOut(_)) => Err(end.into()),
            _ => Ok(()),
        })
    }

    /// Without a receiver: ends our direction, and the transport when the peer has ended its own.
    pub(crate) fn poll_discard(&mut self, cx: &mut Context<'_>)
    where
        S: Read,
    {
        let _ = self.poll_shutdown(cx);
        let drop = self.ends_when_dropped();
        let mut scrap = [0; 4096];
        while let Some(io) = &mut self.io {
            match io.poll_read(cx, &mut scrap) {
                Poll::Ready(Ok(len)) if len > 0 => {}
                Poll::Pending if !drop => return,
                _ => self.end(RecvError::Lost(Lost::Eof)),
            }
        }
    }

    /// Ends our direction of the transport.
    pub(crate) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(io) = &mut self.io
            && !self.shut_down
        {
            // The peer learns of it or not: there is nobody to tell of a failure.
            let _ = ready!(io.poll_shutdown(cx));
            self.shut_down = true;
        }
        Poll::Ready(())
    }
}

/// Offers what is there, once.
pub(crate) fn write<S: Write>(
    io: &mut S,
    cx: &mut Context<'_>,
    bytes: &mut Transmit,
) -> Poll<io::Result<()>> {
    /// Below this many bytes, pieces are worth to be copied together.
    const GATHER: usize = 4096;
    let taken = if !bytes.has_large() {
        io.poll_write(cx, bytes.chunk())
    } else if io.is_write_vectored() {
        let mut slices = [IoSlice::new(&[]); 32];
        let count = bytes.chunks_vectored(&mut slices);
        io.poll_write_vectored(cx, &slices[..count])
    } else if bytes.chunk().len() < GATHER {
        let mut gathered = [0; GATHER];
        let mut slices = [IoSlice::new(&[]); 8];
        let count = bytes.chunks_vectored(&mut slices);
        let mut len = 0;
        for slice in &slices[..count] {
            let fits = slice.len().min(GATHER - len);
            gathered[len..len + fits].copy_from_slice(&slice[..fits]);
            len += fits;
        }
        io.poll_write(cx, &gathered[..len])
    } else {
        io.poll_write(cx, bytes.chunk())
    };
    match ready!(taken)? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        taken => {
            bytes.advance(taken);
            Poll::Ready(Ok(()))
        }
    }
}

impl<S> fmt::Debug for Output<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("tx", &self.tx)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
