//! The sending direction of a socket, and the transport.

use std::{
    fmt, io,
    task::{Context, Poll, ready},
};

use proto::{CloseCode, Closed, Deadline, Lost, Outgoing, RecvError, SendError, Sender};

use crate::{Error, Read, TrySendError, Write, error::lost, wakers::Key};

mod loan;
mod write;

pub(crate) use write::write;

/// After so many events, in or out, other tasks get a turn.
pub(crate) const MAX_EVENTS: u8 = 128;
/// And after so many writes: before each, 64 KiB may have been compressed, or masked.
const MAX_WRITES: u8 = 4;

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
    turns: Option<Box<Turns>>,
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

/// Writers, the first to come first: those of a socket that was split.
#[derive(Default)]
struct Turns(Vec<Key>);

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
            turns: None,
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
            turn: self.first_turn(),
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
        self.borrow_loan();
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

    fn first_turn(&self) -> Option<Key> {
        self.turns.as_ref()?.0.first().copied()
    }

    /// Somebody waits no longer for room.
    pub(crate) fn leave(&mut self, key: Key) {
        if let Some(turns) = &mut self.turns {
            turns.0.retain(|turn| *turn != key);
            if turns.0.is_empty() {
                self.turns = None;
            }
        }
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

impl<S: Read + Write> Output<S> {
    /// Reads, or tells how the transport has ended, and with which error of it. One that cannot be written to
    /// still has what the peer sent before, and no more.
    #[inline]
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, (RecvError, Option<io::Error>)>> {
        let Some(io) = &mut self.io else {
            let end = self.tx.end().unwrap_or(RecvError::Lost(Lost::Failed));
            return Poll::Ready(Err((end, None)));
        };
        match io.poll_read(cx, buf) {
            Poll::Ready(Ok(len)) => Poll::Ready(Ok(len)),
            Poll::Ready(Err(error)) => {
                Poll::Ready(Err((RecvError::Lost(lost(&error)), Some(error))))
            }
            // Nothing more is to come, and the peer waits for the end.
            Poll::Pending if self.peer_closed && self.ends_when_dropped() => Poll::Ready(Ok(0)),
            Poll::Pending => match self.tx.end() {
                Some(end) => Poll::Ready(Err((end, self.error.take()))),
                None => Poll::Pending,
            },
        }
    }
}

impl<S: Write> Output<S> {
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
        self.borrow_loan();
        Poll::Ready(queue(&mut self.tx).map_err(|error| self.refuse(error)))
    }

    /// As [`poll_queue`](Self::poll_queue), for one of several who queue.
    pub(crate) fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        if self.first_turn().is_none_or(|turn| turn == key)
            && let Poll::Ready(queued) = self.poll_queue(cx, queue)
        {
            self.leave(key);
            return Poll::Ready(queued);
        }
        let turns = self.turns.get_or_insert_default();
        if !turns.0.contains(&key) {
            turns.0.push(key);
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
        if !self.make_room(cx) || self.guarded || self.turns.is_some() {
            return Err(TrySendError::Full(message));
        }
        self.borrow_loan();
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
}

impl<S> fmt::Debug for Output<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output")
            .field("tx", &self.tx)
            .field("closed", &self.closed)
            .finish_non_exhaustive()
    }
}
