//! The sending direction of a socket, and the transport.

use std::{
    fmt, io,
    net::SocketAddr,
    task::{Context, Poll, Waker, ready},
};

use proto::{Closed, Deadline, Lost, Outgoing, Receiver, RecvError, SendError, Sender, internal};

use crate::{
    error::{Error, TrySendError, lost},
    transport::Transport,
    wakers::Key,
    wire::Wire,
};

mod loan;
mod write;

pub(crate) use loan::release as release_loan;

/// After so many events, in or out, other tasks get a turn.
pub(crate) const MAX_EVENTS: u8 = 128;
/// And after so many writes: before each, 64 KiB may have been compressed, or masked.
const MAX_WRITES: u8 = 4;

pub(crate) struct Output<S> {
    pub(crate) tx: Sender,
    /// The transport; `None` once the connection has ended, which drops it.
    wire: Option<Wire<S>>,
    /// How the connection ended, as far as that is known: a write error, or the peer's Close, is known
    /// before all was received.
    pub(crate) closed: Option<Box<Closed>>,
    /// The first error of the transport.
    error: Option<io::Error>,
    /// Who waits for room, first come first served.
    turns: Option<Box<Turns>>,
    /// A guard owns the outgoing message.
    pub(crate) guarded: bool,
    /// Halves of a split socket.
    pub(crate) halves: u32,
    /// Nobody receives any more.
    pub(crate) reader_gone: bool,
    /// How often somebody asked for output before others had a turn.
    asked: u8,
    /// How often something was written before that.
    writes: u8,
}

/// Writers, the first to come first: those of a socket that was split.
#[derive(Default)]
struct Turns(Vec<Key>);

/// What those who wait for output wait for.
#[derive(Debug, PartialEq)]
pub(crate) struct Seen {
    flushed: u64,
    waiting: bool,
    full: bool,
    closing: bool,
    closed: bool,
    ended: bool,
    turn: Option<Key>,
    guarded: bool,
    reader_gone: bool,
}

impl<S> Output<S> {
    pub(crate) const fn new(tx: Sender, wire: Wire<S>) -> Self {
        Self {
            tx,
            wire: Some(wire),
            closed: None,
            error: None,
            turns: None,
            guarded: false,
            halves: 0,
            reader_gone: false,
            asked: 0,
            writes: 0,
        }
    }

    /// The transport; `None` once the connection has ended.
    pub(crate) fn get_ref(&self) -> Option<&S> {
        self.wire.as_ref().map(Wire::get_ref)
    }

    /// The peer's address, as far as the transport knows it.
    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr>
    where
        S: Transport + 'static,
    {
        match self.get_ref() {
            Some(io) => io.peer_addr(),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Whether the connection has ended, and its transport is dropped.
    pub(crate) const fn has_ended(&self) -> bool {
        self.wire.is_none()
    }

    pub(crate) fn seen(&self) -> Seen {
        Seen {
            flushed: self.tx.flushed(),
            waiting: self.tx.accepted() > self.tx.flushed(),
            full: self.tx.is_full(),
            closing: self.tx.is_closing(),
            closed: self.closed.is_some(),
            ended: self.has_ended(),
            turn: self.first_turn(),
            guarded: self.guarded,
            reader_gone: self.reader_gone,
        }
    }

    /// The connection has ended as `closed` says: the transport is dropped.
    pub(crate) fn finish(&mut self, closed: Option<Closed>) {
        if let Some(closed) = closed {
            #[cfg(feature = "tracing")]
            tracing::debug!(%closed, "websocket ended");
            self.closed = Some(Box::new(closed));
        }
        self.tx.handle_end(RecvError::Lost(Lost::Eof));
        self.wire = None;
    }

    /// The transport has failed, or is given up: nothing can be sent any more. The first reason stays, unless
    /// the receiver knows better.
    pub(crate) fn fail(&mut self, end: RecvError) {
        self.tx.handle_end(end);
        self.note();
    }

    /// Keeps how the connection ends, as far as the receiver knows.
    pub(crate) fn learn(&mut self, rx: &Receiver) {
        if let Some(closed) = rx.closed() {
            self.closed = Some(Box::new(closed));
        }
    }

    /// Keeps how the connection ended, as far as the sender can know.
    fn note(&mut self) {
        if self.closed.is_none() {
            self.closed = self.tx.closed().map(Box::new);
        }
    }

    /// Whether our direction is to end, and the peer will see that when the transport is dropped.
    pub(crate) fn ends_when_dropped(&self) -> bool
    where
        S: Transport,
    {
        let wire = self.wire.as_ref();
        wire.is_some_and(|wire| wire.is_shut_down() && !wire.get_ref().half_closes())
    }

    /// Other tasks had their turn.
    pub(crate) const fn rested(&mut self) {
        self.writes = 0;
    }

    /// A new call asks the transport, though it took nothing before and has not woken us since.
    pub(crate) fn retry(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.retry();
        }
    }

    /// Pending, and woken, when it is time for other tasks: a transport that takes everything lets nobody
    /// wait. To be called once whenever a task runs.
    pub(crate) fn poll_rest(&mut self, own: &Waker) -> Poll<()> {
        self.rested();
        self.asked = (self.asked + 1) % MAX_EVENTS;
        if self.asked > 0 {
            return Poll::Ready(());
        }
        own.wake_by_ref();
        Poll::Pending
    }

    /// Sends a small message at once, unless something waits or it is time for other tasks. Returns `false` then.
    #[inline]
    pub(crate) fn send_small(&mut self, message: &Outgoing) -> bool {
        if self.asked + 1 >= MAX_EVENTS {
            return false;
        }
        self.borrow_loan();
        let sent = internal::send_small(&mut self.tx, message);
        self.asked += u8::from(sent);
        sent
    }

    /// Whether neither we nor the transport have begun to end the connection.
    pub(crate) fn is_open(&self) -> bool {
        !self.tx.is_closing()
    }

    /// Whether no other call is to queue first.
    pub(crate) const fn may_queue(&self) -> bool {
        !self.guarded && self.turns.is_none()
    }

    /// A half of a split socket is gone. With the last one goes the transport, whatever else keeps this; it is
    /// returned, to be dropped without a lock.
    pub(crate) fn half_gone(&mut self) -> Option<Wire<S>> {
        self.halves = self.halves.saturating_sub(1);
        let wire = self.wire.take_if(|_| self.halves == 0)?;
        self.tx.abort();
        self.note();
        Some(wire)
    }

    /// Why a message cannot be sent: what ended the connection explains more than that it is closed.
    pub(crate) fn refuse(&self, error: SendError) -> Error {
        match (error, self.failure()) {
            (SendError::Closed, Some(failure)) => failure,
            (error, _) => error.into(),
        }
    }

    /// What ended the connection, if no Close did.
    pub(crate) fn failure(&self) -> Option<Error> {
        let closed = self.closed.as_ref();
        if closed.is_some_and(|closed| closed.clean) {
            return None;
        }
        let cause = closed.and_then(|closed| closed.cause);
        let cause = cause.or_else(|| {
            let end = self.tx.end();
            end.filter(|end| !matches!(end, RecvError::Lost(_)))
        })?;
        Some(match (cause, &self.error) {
            (RecvError::Lost(_), Some(error)) => Error::Lost(copy(error)),
            (cause, _) => cause.into(),
        })
    }

    /// What `recv` reports: as [`failure`](Self::failure), with the error of the transport itself.
    pub(crate) fn report(&mut self, cause: RecvError) -> Error {
        match (cause, self.error.take()) {
            (RecvError::Lost(_), Some(error)) => {
                self.error = Some(copy(&error));
                Error::Lost(error)
            }
            (cause, error) => {
                self.error = error;
                cause.into()
            }
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
        self.tx.abandon();
    }

    fn fail_by(&mut self, error: io::Error) {
        let end = RecvError::Lost(lost(&error));
        self.error.get_or_insert(error);
        self.fail(end);
    }
}

/// The same error once more, for another call.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}

impl<S: Transport> Output<S> {
    /// Reads, or returns how the transport has ended. One that cannot be written to still has what the
    /// peer sent before, and no more. The first cause that was known stays: a reset that a write has met
    /// looks like an EOF to the reads after it.
    #[inline(always)]
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, RecvError>> {
        let Some(wire) = &mut self.wire else {
            let end = self.tx.end().unwrap_or(RecvError::Lost(Lost::Failed));
            return Poll::Ready(Err(end));
        };
        match wire.poll_read(cx, buf) {
            Poll::Ready(Ok(len @ 1..)) => Poll::Ready(Ok(len)),
            Poll::Pending if !self.tx.is_peer_closed() && self.tx.end().is_none() => Poll::Pending,
            polled => self.read_end(polled),
        }
    }

    /// How the transport has ended, if it has; `polled` is what a read without bytes came to.
    #[cold]
    fn read_end(&mut self, polled: Poll<io::Result<usize>>) -> Poll<Result<usize, RecvError>> {
        let end = match polled {
            // Nothing more is to come, and the peer waits for the end.
            Poll::Pending if self.tx.is_peer_closed() && self.ends_when_dropped() => {
                Some(Lost::Eof)
            }
            Poll::Pending => None,
            Poll::Ready(Ok(_)) => Some(Lost::Eof),
            Poll::Ready(Err(error)) => {
                let lost = lost(&error);
                if self.tx.end().is_none() {
                    self.error.get_or_insert(error);
                }
                Some(lost)
            }
        };
        match (self.tx.end(), end) {
            (Some(end), _) => Poll::Ready(Err(end)),
            (None, Some(lost)) => Poll::Ready(Err(RecvError::Lost(lost))),
            (None, None) => Poll::Pending,
        }
    }
}

impl<S: Transport> Output<S> {
    /// Ends the transport because a deadline has passed.
    pub(crate) fn time_out(&mut self, cx: &mut Context<'_>, deadline: Deadline) {
        match deadline {
            // The transport has given no sign of life, or takes nothing.
            Deadline::Pong | Deadline::Write => {}
            _ => drop(self.poll_shutdown(cx)),
        }
        self.fail(RecvError::TimedOut(deadline));
        self.wire = None;
    }

    /// Ends the transport at once, on purpose. TLS still says that it ends (RFC 8446 §6.1), if the
    /// transport takes that now.
    pub(crate) fn abort(&mut self, cx: &mut Context<'_>) {
        if self.wire.is_some() {
            let _ = self.poll_shutdown(cx);
        }
        self.tx.abort();
        self.note();
        self.wire = None;
    }

    /// Whether there is room to queue; writes if there is none at first. A Close makes room for an
    /// error.
    #[inline]
    fn make_room(&mut self, cx: &mut Context<'_>) -> bool {
        !self.tx.is_full() || self.write_for_room(cx)
    }

    #[cold]
    fn write_for_room(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.tx.is_closing() {
            let _ = self.poll(cx);
        }
        !self.tx.is_full() || self.tx.is_closing()
    }

    /// Queues what `queue` queues, once there is room for it.
    #[inline]
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
        self.retry();
        if !self.make_room(cx) || !self.may_queue() {
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
        let failure = self.failure().filter(|_| !self.tx.is_closed());
        Poll::Ready(failure.map_or(Ok(()), Err))
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
