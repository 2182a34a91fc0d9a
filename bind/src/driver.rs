//! The one loop that every waiting call runs.

use std::{
    fmt, mem,
    task::{Context, Poll, Waker, ready},
};

use proto::{Chunk, Event, Message, Pull, Receiver, internal};

use crate::{
    error::Error,
    output::{MAX_EVENTS, Output},
    transport::{Timer, Transport},
};

mod loan;
mod opened;
mod parked;
mod steps;

pub(crate) use loan::release as release_loan;
pub use opened::Received;
pub(crate) use parked::Call;
use parked::Parked;
use steps::meet;

/// The number of bytes, read without waiting, after which other tasks may run.
const MAX_BYTES: u16 = u16::MAX;

/// Gives access to the sending direction: directly, or under a lock.
pub(crate) trait Access<S> {
    /// Calls `f` with the context for the transport.
    fn with<U>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U;

    /// Returns the waker of the task that polls. The one in `cx` may wake other tasks as well.
    fn own<'a>(&'a self, cx: &'a Context<'_>) -> &'a Waker;
}

impl<S> Access<S> for &mut Output<S> {
    #[inline]
    fn with<U>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U {
        f(self, cx)
    }

    fn own<'a>(&'a self, cx: &'a Context<'_>) -> &'a Waker {
        cx.waker()
    }
}

/// The sending direction of an unsplit socket, which several tasks may poll.
pub(crate) struct Unsplit<'a, S> {
    pub(crate) output: &'a mut Output<S>,
    /// The waker of the task that polls, if several tasks may.
    pub(crate) own: Option<&'a Waker>,
}

impl<S> Access<S> for Unsplit<'_, S> {
    #[inline]
    fn with<U>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U {
        f(self.output, cx)
    }

    fn own<'a>(&'a self, cx: &'a Context<'_>) -> &'a Waker {
        self.own.unwrap_or_else(|| cx.waker())
    }
}

/// The receiving direction of a socket.
pub(crate) struct Input<T> {
    rx: Receiver,
    timer: T,
    /// Events that were received while a call waited for something else.
    parked: Option<Box<Parked>>,
    /// The form in which the application receives.
    pull: Pull,
    /// Whether the application is in the middle of a message that it receives in chunks.
    inside: bool,
    /// The error to report when the connection has ended.
    failed: Option<Box<Error>>,
    events: u8,
    bytes: u16,
    /// Whether this socket keeps the loan, and is counted for that.
    keeps: bool,
    /// Whether the loan is too small to be lent again.
    outgrown: bool,
    /// Whether a read was just tried without a result.
    has_read: bool,
    /// Whether the last poll stopped to let other tasks run.
    yields: bool,
}

/// The result of a pass of the loop.
pub(crate) enum Pass {
    Event(Event<Chunk>),
    /// The connection has ended.
    Ended,
}

impl<T> Input<T> {
    pub(crate) fn rx(&self) -> &Receiver {
        &self.rx
    }

    /// Returns what [`poll_data`](Self::poll_data) would return, but faster, if that is one of many small messages
    /// that came in one read. Returns `None` if `poll_data` is needed.
    #[inline]
    pub(crate) fn recv_small(&mut self) -> Option<Message> {
        if self.parked.is_some() || self.events >= MAX_EVENTS {
            return None;
        }
        let message = internal::recv_small(&mut self.rx)?;
        self.pull = Pull::Messages;
        self.events += 1;
        Some(message)
    }
}

impl<T: Timer> Input<T> {
    pub(crate) fn new(rx: Receiver, timer: T) -> Self {
        Self {
            rx,
            timer,
            parked: None,
            pull: Pull::Messages,
            inside: false,
            failed: None,
            events: 0,
            bytes: 0,
            keeps: false,
            outgrown: false,
            has_read: false,
            yields: false,
        }
    }

    pub(crate) fn timer(&self) -> &T {
        &self.timer
    }

    /// Whether the last poll was pending because other tasks have to run. It has then woken its own task, and may not
    /// have asked the transport.
    pub(crate) fn yields(&self) -> bool {
        self.yields
    }

    /// Returns the next whole message. Most messages are small and arrive whole in one read, so that is tried first.
    #[inline]
    pub(crate) fn poll_message<S: Transport>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        if self.parked.is_none() && !self.is_tired() && self.rx.wants_input() {
            self.has_read = true;
            if self.poll_read(output, cx, true).is_ready() {
                self.has_read = false;
                if let Some(message) = self.recv_small() {
                    self.keep_or_give_back();
                    return Poll::Ready(Ok(Some(message)));
                }
            }
        }
        let polled = ready!(self.poll_data(Pull::Messages, output, cx));
        Poll::Ready(polled.map(|chunk| chunk.map(|chunk| chunk.data)))
    }

    /// Whether other tasks have to run before more is done.
    fn is_tired(&self) -> bool {
        self.events >= MAX_EVENTS || self.bytes == MAX_BYTES
    }

    /// Returns the next event, or `None` once the connection has ended.
    pub(crate) fn poll_event<S: Transport>(
        &mut self,
        pull: Pull,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Event<Chunk>>, Error>> {
        self.pull = pull;
        if self.parked.is_some() {
            if pull == Pull::Messages {
                self.drop_opened();
            }
            if let Some(event) = self.unpark_for(pull) {
                return Poll::Ready(Ok(Some(event)));
            }
        }
        if pull == Pull::Messages {
            self.inside = false;
        }
        loop {
            match ready!(self.run(Call::Receives, output, cx)) {
                // Events before this one were discarded, so it is discarded, too.
                Pass::Event(_) if self.is_lossy() => {}
                Pass::Event(event) => {
                    if let Event::Data(chunk) = &event {
                        self.inside = !chunk.fin;
                    }
                    return Poll::Ready(Ok(Some(event)));
                }
                Pass::Ended => {
                    let failed = self.failed.take();
                    return Poll::Ready(failed.map_or(Ok(None), |error| Err(*error)));
                }
            }
        }
    }

    /// Returns the next data, as whole messages or chunks.
    pub(crate) fn poll_data<S: Transport>(
        &mut self,
        pull: Pull,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Chunk>, Error>> {
        if pull == Pull::Chunks && self.parked.is_some() {
            self.skip_opened();
        }
        loop {
            match ready!(self.poll_event(pull, output, cx))? {
                Some(Event::Data(chunk)) if self.parked.is_some() && self.skips(chunk.fin) => {}
                Some(Event::Data(chunk)) => return Poll::Ready(Ok(Some(chunk))),
                Some(_) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Reads, answers and keeps time while a call waits for output, or closes. `call` decides which events are kept.
    /// Ready after each event, and once the connection has ended.
    pub(crate) fn poll_output<S: Transport>(
        &mut self,
        call: Call,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        if call == Call::Discards {
            self.discard();
        }
        if let Pass::Event(event) = ready!(self.run(call, output, cx)) {
            self.park(call, event);
        }
        Poll::Ready(())
    }

    /// Runs the connection until there is an event, or the end.
    fn run<S: Transport>(
        &mut self,
        call: Call,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Pass> {
        self.yields = false;
        let mut yielded = call == Call::Receives;
        let holds = self.is_full(call);
        loop {
            // Take what was read before other tasks run, while it is in the cache and the loan is here.
            if !holds
                && self.events < MAX_EVENTS
                && let Some(event) = self.next_event(output, cx)
            {
                self.events += 1;
                self.keep_or_give_back();
                return Poll::Ready(Pass::Event(event));
            }
            let reads = !holds && !self.is_tired();
            // Read everything that has arrived before writing, so that it is answered together.
            if !mem::take(&mut self.has_read)
                && reads
                && !self.rx.is_closing()
                && self.poll_read(output, cx, true).is_ready()
            {
                continue;
            }
            if let Some(polled) = self.pass(mem::take(&mut yielded), holds, output, cx) {
                return polled;
            }
        }
    }

    /// Writes before the call waits, because the peer may be waiting for us; keeps time; ends. Returns `None` if
    /// something happened, so that the loop has to look again.
    fn pass<S: Transport>(
        &mut self,
        yielded: bool,
        holds: bool,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Option<Poll<Pass>> {
        let tired = self.is_tired();
        let rx = &mut self.rx;
        let (done, open, write) = output.with(cx, |output, cx| {
            if yielded {
                output.note_yield();
            }
            let _ = output.poll(cx);
            meet(rx, output);
            output.shut_down_after_close(cx);
            let open = !rx.is_closing() && output.is_open();
            (rx.is_done(), open, output.tx.poll_timeout())
        });
        if done {
            self.keep_or_give_back();
            return Some(self.poll_end(output, cx));
        }
        let moved = !holds && !tired && !open && self.poll_read(output, cx, false).is_ready();
        if self.poll_time(output, cx, write) || moved {
            return None;
        }
        if tired && !holds {
            self.yields = true;
            output.own(cx).wake_by_ref();
        }
        self.give_back();
        (self.events, self.bytes) = (0, 0);
        Some(Poll::Pending)
    }

    /// Handles that the sending direction was aborted.
    pub(crate) fn abort<S>(&mut self, output: &mut Output<S>) {
        self.rx.meet(&mut output.tx);
        self.parked = None;
    }
}

impl<T> fmt::Debug for Input<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Input")
            .field("rx", &self.rx)
            .field("parked", &self.parked.is_some())
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}
