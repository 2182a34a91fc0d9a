//! The one loop that every waiting call runs.

use std::{
    cell::Cell,
    fmt, io, mem,
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    task::{Context, Poll, ready},
};

use proto::{Chunk, Event, Instant, Lost, Message, Receiver, RecvError};

use crate::{
    Error, Read, Timer, Write,
    error::lost,
    output::{MAX_EVENTS, Output},
};

/// The size of the buffer that is lent to one socket after the other, in bytes.
const LOAN: usize = 128 << 10;
/// After so many bytes without waiting, other tasks get a turn.
const MAX_BYTES: u32 = 64 << 10;

/// What is worth to be copied out of the loan, in bytes, where otherwise the socket would keep it.
const COPY_BELOW: usize = 4 << 10;
/// So many sockets of the process may keep the loan while the application works on what they received.
const MAX_KEPT: usize = 16;

static KEPT: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static POOL: Cell<Option<Vec<u8>>> = const { Cell::new(None) };
}

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
    bytes: u32,
    /// It keeps the loan, and is counted in `KEPT`.
    keeps: bool,
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
        }
    }

    pub(crate) fn timer(&self) -> &T {
        &self.timer
    }

    pub(crate) fn rx(&self) -> &Receiver {
        &self.rx
    }

    /// The next of many small messages that came in one read: what [`poll_data`](Self::poll_data) would
    /// give, sooner.
    #[inline]
    pub(crate) fn next_small(&mut self) -> Option<Message> {
        if self.parked.is_some() || self.is_tired() {
            return None;
        }
        let message = self.rx.poll_small()?;
        self.pull = Pull::Messages;
        self.events += 1;
        Some(message)
    }

    /// Whether it is time for other tasks.
    fn is_tired(&self) -> bool {
        self.events >= MAX_EVENTS || self.bytes >= MAX_BYTES
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
        if polled.is_pending() || self.rx.unread() < COPY_BELOW || !self.keep() {
            self.give_back();
        }
        if polled.is_pending() {
            (self.events, self.bytes) = (0, 0);
        }
        polled
    }

    /// Whether the loan may stay here until the next call. Few have it at a time, usually one.
    fn keep(&mut self) -> bool {
        let free = |kept: usize| (kept < MAX_KEPT).then_some(kept + 1);
        self.keeps = self.keeps || KEPT.fetch_update(Relaxed, Relaxed, free).is_ok();
        self.keeps
    }

    fn poll<S: Read + Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Pass> {
        let mut rested = true;
        loop {
            let tired = self.is_tired();
            let reads = self.parked.is_none() && !tired;
            if reads {
                if let Some(event) = self.next_event(output, cx) {
                    self.events += 1;
                    return Poll::Ready(Pass::Event(event));
                }
                // What is there already is answered together.
                if !self.rx.is_closing() && self.poll_read(output, cx, true).is_ready() {
                    continue;
                }
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

    /// What was received and not polled.
    fn next_event<S: Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Option<Event<Chunk>> {
        let event = match self.pull {
            Pull::Chunks => self.rx.poll_chunk(),
            Pull::Messages => {
                let event = self.rx.poll_event();
                event.map(|event| event.map(|event| event.map(|data| Chunk { data, fin: true })))
            }
        };
        if let Some(control) = self.rx.poll_control() {
            // An answer leaves now, whenever the application calls again.
            let rx = &mut self.rx;
            output.with(cx, |output, cx| {
                output.rested();
                output.tx.handle_control(control);
                let _ = output.poll(cx);
                tell(rx, output);
            });
        }
        event.unwrap_or_else(|error| {
            let error = match (error, self.io_error.take()) {
                (RecvError::Lost(_), Some(error)) => Error::Lost(error),
                (error, _) => error.into(),
            };
            #[cfg(feature = "tracing")]
            tracing::debug!(%error, "websocket failed");
            self.failed.get_or_insert_with(|| Box::new(error));
            None
        })
    }

    /// Ready when something happened. Does not read once we have begun to close, if `open` says so: what
    /// that means for the peer's answer has to be known first.
    fn poll_read<S: Read + Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
        open: bool,
    ) -> Poll<()> {
        if self.rx.is_drained() {
            return Poll::Pending;
        }
        if self.rx.wants_loan() {
            self.rx.lend(POOL.take().unwrap_or_else(|| vec![0; LOAN]));
        }
        let Some(buf) = self.rx.recv_buf() else {
            return Poll::Ready(());
        };
        // A transport that cannot be written to still has what the peer sent before, and no more.
        let (read, error) = output.with(cx, |output, cx| {
            if open && !output.is_open() {
                return (Poll::Pending, None);
            }
            let Some(io) = &mut output.io else {
                return (Poll::Pending, Some(None));
            };
            let mut read = io.poll_read(cx, buf);
            if read.is_pending() && output.peer_closed && output.ends_when_dropped() {
                // Nothing more is to come, and the peer waits for the end.
                read = Poll::Ready(Ok(0));
            }
            let lost = read.is_pending() && output.tx.end().is_some();
            (read, lost.then(|| output.error.take()))
        });
        match (read, error) {
            (Poll::Ready(Ok(0)), _) => self.rx.handle_eof(),
            (Poll::Ready(Ok(len)), _) => {
                self.bytes = self.bytes.saturating_add(len as u32);
                self.rx.handle_input(len);
            }
            (Poll::Ready(Err(error)), _) => {
                let end = RecvError::Lost(lost(&error));
                self.io_error.get_or_insert(error);
                self.rx.handle_end(end);
            }
            (Poll::Pending, Some(error)) => {
                self.io_error = self.io_error.take().or(error);
                let end = output.with(cx, |output, _| output.tx.end());
                self.rx
                    .handle_end(end.unwrap_or(RecvError::Lost(Lost::Failed)));
            }
            (Poll::Pending, None) => return Poll::Pending,
        }
        Poll::Ready(())
    }

    /// Whether a deadline came, that of writing (`write`) or one of receiving.
    fn poll_time<S>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
        write: Option<Instant>,
    ) -> bool {
        let deadline = match (self.rx.poll_timeout(), write) {
            (Some(read), Some(write)) => read.min(write),
            (Some(one), None) | (None, Some(one)) => one,
            (None, None) => return false,
        };
        if deadline > Instant::EPOCH && self.timer.poll_until(cx, deadline).is_pending() {
            return false;
        }
        let now = self.timer.now();
        let result = self.rx.handle_timeout(now);
        let control = self.rx.poll_control();
        let rx = &mut self.rx;
        output.with(cx, |output, _| {
            if let Err(deadline) = result {
                // The receiver tells of it.
                let _ = output.time_out(deadline);
            }
            if let Some(control) = control {
                output.tx.handle_control(control);
            }
            if let Err(deadline) = output.tx.handle_timeout(now) {
                rx.handle_end(RecvError::TimedOut(deadline));
            }
        });
        true
    }

    /// The end of it all: our direction is ended, and the transport is dropped.
    fn finish<S: Write>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Pass> {
        let rx = &self.rx;
        output.with(cx, |output, cx| {
            // A transport that takes nothing is not waited for.
            let _ = output.poll_shutdown(cx);
            output.finish(rx.closed(output.tx.is_closed()));
        });
        Poll::Ready(Pass::Ended)
    }

    /// Ends the connection at once.
    pub(crate) fn abort<S>(&mut self, output: &mut Output<S>) {
        self.rx.abort();
        self.parked = None;
        output.finish(self.rx.closed(output.tx.is_closed()));
    }
}

impl<T> Input<T> {
    /// Others need the loan while this task does not run.
    pub(crate) fn give_back(&mut self) {
        if let Some(loan) = self.rx.take_back() {
            POOL.set(Some(loan));
        }
        self.release();
    }

    fn release(&mut self) {
        if mem::take(&mut self.keeps) {
            KEPT.fetch_sub(1, Relaxed);
        }
    }
}

impl<T> Drop for Input<T> {
    fn drop(&mut self) {
        self.release();
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

/// Tells the receiver what happened to the sender.
#[inline]
fn tell<S>(rx: &mut Receiver, output: &mut Output<S>) {
    if let Some(payload) = output.tx.poll_ping() {
        rx.handle_ping_left(payload);
    }
    if output.tx.is_closing() && output.tx.end().is_none() {
        rx.handle_closing();
    }
    output.peer_closed = rx.is_closed();
    output.wants_shutdown = rx.wants_shutdown();
    if output.aborted {
        rx.abort();
    }
}
