//! The sending direction of a socket, and the transport.

use std::{
    fmt, io,
    net::SocketAddr,
    task::{Context, Poll, Waker, ready},
};

use proto::{Closed, ConnectionError, Lost, Outgoing, SendError, Sender, internal};

use crate::{
    error::{Error, TrySendError, lost},
    trace::Trace,
    transport::Transport,
    wakers::Key,
    wire::Wire,
};

mod end;
mod loan;
mod orders;
mod turns;
mod write;

pub(crate) use loan::release as release_loan;
use orders::Attached;
pub(crate) use orders::{Orders, Place};
use turns::Turns;

/// The number of events, received or sent, after which other tasks may run.
pub(crate) const MAX_EVENTS: u8 = 128;
/// The number of writes after which other tasks may run. Before each write, up to 64 KiB may have been compressed or
/// masked.
const MAX_WRITES: u8 = 4;

pub(crate) struct Output<S> {
    pub(crate) tx: Sender,
    /// The transport; `None` once the connection has ended, which drops it.
    wire: Option<Wire<S>>,
    pub(crate) trace: Trace,
    /// The end of the connection, as far as it is known. A write error, or the peer's Close, is known before
    /// everything is received.
    pub(crate) closed: Option<Box<Closed>>,
    /// The first error of the transport.
    error: Option<io::Error>,
    /// The calls that wait for room, in the order in which they came.
    turns: Option<Box<Turns>>,
    /// Whether a guard owns the outgoing message.
    pub(crate) guarded: bool,
    /// The number of halves of a split socket.
    pub(crate) halves: u32,
    /// Whether the read half was dropped.
    pub(crate) reader_gone: bool,
    /// The server that the socket belongs to, if any.
    attached: Option<Box<Attached<S>>>,
    /// The number of polls, and of small messages, since a task last let others run.
    asked: u8,
    /// The number of writes since other tasks last ran.
    writes: u8,
}

/// The state that waiting calls wait for. A call that changes it wakes them.
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
    pub(crate) const fn new(tx: Sender, wire: Wire<S>, trace: Trace) -> Self {
        Self {
            tx,
            wire: Some(wire),
            trace,
            closed: None,
            error: None,
            turns: None,
            guarded: false,
            halves: 0,
            reader_gone: false,
            attached: None,
            asked: 0,
            writes: 0,
        }
    }

    /// Returns the transport, or `None` once the connection has ended.
    pub(crate) fn get_ref(&self) -> Option<&S> {
        self.wire.as_ref().map(Wire::get_ref)
    }

    /// Returns the peer's address, if the transport knows it.
    pub(crate) fn peer_addr(&self) -> io::Result<SocketAddr>
    where
        S: Transport,
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

    /// Whether our direction has ended in a way that the peer sees only when the transport is dropped.
    pub(crate) fn ends_when_dropped(&self) -> bool
    where
        S: Transport,
    {
        let wire = self.wire.as_ref();
        wire.is_some_and(|wire| wire.is_shut_down() && !wire.get_ref().half_closes())
    }

    /// Notes that other tasks have run.
    pub(crate) const fn note_yield(&mut self) {
        self.writes = 0;
    }

    /// Lets a new call ask the transport, even if it took nothing before and has not woken us since.
    pub(crate) fn retry(&mut self) {
        if let Some(wire) = &mut self.wire {
            wire.retry();
        }
    }

    /// Lets other tasks run after every [`MAX_EVENTS`] polls: wakes `own` and returns `Pending`. Otherwise a task
    /// whose transport takes everything would never wait. Call this once each time a task is polled.
    pub(crate) fn poll_yield(&mut self, own: &Waker) -> Poll<()> {
        self.note_yield();
        self.asked = (self.asked + 1) % MAX_EVENTS;
        if self.asked > 0 {
            return Poll::Ready(());
        }
        own.wake_by_ref();
        Poll::Pending
    }

    /// Queues a small message at once. Returns `false` if other output waits or other tasks have to run first.
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
}

impl<S: Transport> Output<S> {
    /// Reads, or returns how the transport has ended. After a failed write, this still reads what the peer sent
    /// before, but does not wait for more. The first known cause is kept, because after a reset that a write has met,
    /// reads only report an EOF.
    #[inline(always)]
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<Result<usize, ConnectionError>> {
        let Some(wire) = &mut self.wire else {
            let end = self.tx.end().unwrap_or(ConnectionError::Lost(Lost::Failed));
            return Poll::Ready(Err(end));
        };
        match wire.poll_read(cx, buf) {
            Poll::Ready(Ok(len @ 1..)) => Poll::Ready(Ok(len)),
            Poll::Pending if !self.tx.is_peer_closed() && self.tx.end().is_none() => Poll::Pending,
            polled => self.read_end(polled),
        }
    }

    /// Returns how the transport has ended, if it has. `polled` is the result of a read without bytes.
    #[cold]
    fn read_end(
        &mut self,
        polled: Poll<io::Result<usize>>,
    ) -> Poll<Result<usize, ConnectionError>> {
        let end = match polled {
            // Nothing more will come, and the peer waits for our end, which dropping the transport shows.
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
            (None, Some(lost)) => Poll::Ready(Err(ConnectionError::Lost(lost))),
            (None, None) => Poll::Pending,
        }
    }
}

impl<S: Transport> Output<S> {
    /// Whether there is room to queue. If there is none at first, this writes. A closing connection has room, because
    /// queueing then fails at once.
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

    /// Calls `queue` once there is room.
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

    /// Queues `message` if there is room, and writes what the transport takes.
    pub(crate) fn try_send(
        &mut self,
        cx: &mut Context<'_>,
        message: Outgoing,
    ) -> Result<(), TrySendError> {
        self.note_yield();
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

    /// Waits until the first `count` messages are sent, or will never be.
    pub(crate) fn poll_sent(
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

    /// Waits until everything is sent, including our Close if there is one, or will never be.
    pub(crate) fn poll_all(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        ready!(self.poll(cx));
        let failure = self.failure().filter(|_| !self.tx.is_close_sent());
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
