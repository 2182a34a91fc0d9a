//! The one loop that every waiting call runs.

use std::{
    fmt, io, mem,
    task::{Context, Poll, ready},
};

use proto::{Chunk, Event, Message, Receiver};

use crate::{
    Error, Read, Timer, Write,
    output::{MAX_EVENTS, Output},
};

mod loan;
mod steps;

use steps::tell;

/// After so many bytes without waiting, other tasks get a turn.
const MAX_BYTES: u16 = u16::MAX;

/// Lends out the sending direction: directly, or from under a lock.
pub(crate) trait Access<S> {
    fn with<U>(
        &mut self,
        cx: &mut Context<'_>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U;
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
}

/// The receiving direction of a socket.
pub(crate) struct Input<T> {
    rx: Receiver,
    timer: T,
    /// What came while somebody waited for output; pulled as `pull` says.
    parked: Option<Box<Event<Chunk>>>,
    /// How the application receives.
    pull: Pull,
    /// The chunk before was not the last of its message.
    inside: bool,
    /// What will be reported when the connection has ended.
    failed: Option<Box<Error>>,
    io_error: Option<io::Error>,
    events: u8,
    bytes: u16,
    /// It keeps the loan, and is counted.
    keeps: bool,
    /// A read was tried just now, and there was nothing.
    has_read: bool,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Pull {
    Messages,
    Chunks,
}

/// What one pass of the loop came to.
pub(crate) enum Pass {
    Event(Event<Chunk>),
    /// The connection has ended.
    Ended,
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
            io_error: None,
            events: 0,
            bytes: 0,
            keeps: false,
            has_read: false,
        }
    }

    pub(crate) fn timer(&self) -> &T {
        &self.timer
    }

    pub(crate) fn rx(&self) -> &Receiver {
        &self.rx
    }

    /// The next whole message. Most are small, come whole in one read and need no answer: for those there is
    /// a short way.
    #[inline]
    pub(crate) fn poll_message<S: Read + Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Message>, Error>> {
        if let Some(message) = self.next_small() {
            return Poll::Ready(Ok(Some(message)));
        }
        let reads = self.parked.is_none() && !self.is_tired() && self.rx.is_resting();
        if reads && self.poll_read(output, cx, true).is_ready() {
            if let Some(message) = self.next_small() {
                self.keep_or_give_back();
                return Poll::Ready(Ok(Some(message)));
            }
        } else if reads {
            self.has_read = true;
        }
        let polled = ready!(self.poll_data(Pull::Messages, output, cx));
        Poll::Ready(polled.map(|chunk| chunk.map(|chunk| chunk.data)))
    }

    /// The next of many small messages that came in one read: what [`poll_data`](Self::poll_data) would
    /// give, sooner.
    #[inline]
    pub(crate) fn next_small(&mut self) -> Option<Message> {
        if self.parked.is_some() || self.events >= MAX_EVENTS {
            return None;
        }
        let message = self.rx.poll_small()?;
        self.pull = Pull::Messages;
        self.events += 1;
        Some(message)
    }

    /// Whether it is time for other tasks.
    fn is_tired(&self) -> bool {
        self.events >= MAX_EVENTS || self.bytes == MAX_BYTES
    }

    /// The next event, or `None` once the connection has ended.
    pub(crate) fn poll_event<S: Read + Write>(
        &mut self,
        pull: Pull,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Event<Chunk>>, Error>> {
        let pulled = mem::replace(&mut self.pull, pull);
        if let Some(event) = self.parked.take() {
            // A message belongs to the method that first saw it: the rest of one that came in chunks
            // is skipped by those who want it whole.
            let whole = match &*event {
                Event::Data(chunk) => !mem::replace(&mut self.inside, !chunk.fin) && chunk.fin,
                _ => true,
            };
            if whole || pull == Pull::Chunks || pulled == Pull::Messages {
                return Poll::Ready(Ok(Some(*event)));
            }
        }
        match self.run(output, cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Pass::Event(event)) => {
                if let Event::Data(chunk) = &event {
                    self.inside = !chunk.fin;
                }
                Poll::Ready(Ok(Some(event)))
            }
            Poll::Ready(Pass::Ended) => {
                Poll::Ready(self.failed.take().map_or(Ok(None), |error| Err(*error)))
            }
        }
    }

    /// The next data, whole messages or chunks.
    pub(crate) fn poll_data<S: Read + Write>(
        &mut self,
        pull: Pull,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Chunk>, Error>> {
        loop {
            match ready!(self.poll_event(pull, output, cx))? {
                Some(Event::Data(chunk)) => return Poll::Ready(Ok(Some(chunk))),
                Some(_) => {}
                None => return Poll::Ready(Ok(None)),
            }
        }
    }

    /// Reads, answers and keeps time while somebody waits for output; keeps one event.
    pub(crate) fn poll_output<S: Read + Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        match self.run(output, cx) {
            Poll::Ready(Pass::Event(event)) => {
                self.parked = Some(Box::new(event));
                Poll::Ready(())
            }
            Poll::Ready(Pass::Ended) => Poll::Ready(()),
            Poll::Pending => Poll::Pending,
        }
    }

    /// Runs the connection until there is an event that nobody has, or the end.
    fn run<S: Read + Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Pass> {
        let polled = self.poll(output, cx);
        if polled.is_pending() {
            self.give_back();
            (self.events, self.bytes) = (0, 0);
        } else {
            self.keep_or_give_back();
        }
        polled
    }

    fn poll<S: Read + Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Pass> {
        let mut rested = true;
        let mut has_read = mem::take(&mut self.has_read);
        loop {
            // What was read is taken before others have their turn, while it is near and the loan is here.
            if !has_read
                && self.parked.is_none()
                && self.events < MAX_EVENTS
                && let Some(event) = self.next_event(output, cx)
            {
                self.events += 1;
                return Poll::Ready(Pass::Event(event));
            }
            let tired = self.is_tired();
            let reads = self.parked.is_none() && !tired;
            // What is there already is answered together.
            if !mem::take(&mut has_read)
                && reads
                && !self.rx.is_closing()
                && self.poll_read(output, cx, true).is_ready()
            {
                continue;
            }
            // Write before waiting, for the peer may be waiting for us.
            let rx = &mut self.rx;
            let (done, open, write) = output.with(cx, |output, cx| {
                if mem::take(&mut rested) {
                    output.rested();
                }
                let _ = output.poll(cx);
                tell(rx, output);
                output.shut_down_behind_close(cx);
                let open = !rx.is_closing() && output.is_open();
                (rx.is_done(output.is_done()), open, output.tx.poll_timeout())
            });
            if done {
                return self.finish(output, cx);
            }
            let moved = reads && !open && self.poll_read(output, cx, false).is_ready();
            if self.poll_time(output, cx, write) || moved {
                continue;
            }
            if tired && self.parked.is_none() {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        }
    }

    /// Ends the connection at once.
    pub(crate) fn abort<S>(&mut self, output: &mut Output<S>) {
        self.rx.abort();
        self.parked = None;
        output.finish(self.rx.closed(output.tx.is_closed()));
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
