//! The steps of the loop: taking events, reading, keeping time, ending.

use std::task::{Context, Poll, ready};

use proto::{Chunk, ConnectionError, Event, Instant, Receiver};

use super::{Access, Input, Pass};
use crate::{
    output::Output,
    transport::{Timer, Transport},
};

impl<T: Timer> Input<T> {
    /// Returns the next event of what was read.
    #[inline]
    pub(super) fn next_event<S: Transport>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Option<Event<Chunk>> {
        let pull = self.next_pull();
        let event = self.rx.poll_data(pull);
        if self.rx.has_control() {
            self.answer(output, cx);
        }
        match event {
            Ok(event) => event,
            Err(error) => {
                self.fail(error, output, cx);
                None
            }
        }
    }

    /// Writes an answer to the peer now, because the application may not call again for a long time.
    #[cold]
    fn answer<S: Transport>(&mut self, output: &mut impl Access<S>, cx: &mut Context<'_>) {
        let rx = &mut self.rx;
        output.with(cx, |output, cx| {
            output.note_yield();
            rx.meet(&mut output.tx);
            let _ = output.poll(cx);
            meet(rx, output);
        });
    }

    /// Keeps the error for the application, unless there is an earlier one.
    #[cold]
    fn fail<S: Transport>(
        &mut self,
        error: ConnectionError,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) {
        let rx = &self.rx;
        let error = output.with(cx, |output, _| {
            output.learn(rx);
            let error = output.report(error);
            output.trace.failed(&error);
            error
        });
        self.failed.get_or_insert_with(|| Box::new(error));
    }

    /// Reads. Ready when something happened. If `open` is true, this does not read once the sender has begun to
    /// close, because the receiver has to learn of that before it reads the peer's answer.
    pub(super) fn poll_read<S: Transport>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
        open: bool,
    ) -> Poll<()> {
        if self.rx.is_drained() {
            return Poll::Pending;
        }
        self.borrow_loan();
        let Some(buf) = self.rx.recv_buf() else {
            // Even a step that only skips input is as much work as an event.
            self.events += 1;
            return Poll::Ready(());
        };
        let room = buf.len();
        let read = output.with(cx, |output, cx| {
            if open && !output.is_open() {
                return Poll::Pending;
            }
            output.poll_read(cx, buf)
        });
        match ready!(read) {
            Ok(len) => {
                let more = u16::try_from(len).unwrap_or(u16::MAX);
                self.bytes = self.bytes.saturating_add(more);
                self.rx.handle_input(len);
                if len == room {
                    self.filled(room);
                }
            }
            Err(end) => self.rx.handle_end(end),
        }
        Poll::Ready(())
    }

    /// Handles the deadlines of receiving and the one of writing, `write`. Returns whether one has passed.
    pub(super) fn poll_time<S: Transport>(
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
        let rx = &mut self.rx;
        output.with(cx, |output, cx| {
            let latency = rx.latency();
            if let Err(deadline) = rx.handle_timeout(now) {
                output.time_out(cx, deadline);
            }
            output.trace.round_trip(latency, rx.latency());
            if let Err(deadline) = output.tx.handle_timeout(now) {
                output.fail(ConnectionError::TimedOut(deadline));
            }
            rx.meet(&mut output.tx);
        });
        true
    }

    /// Ends our direction and drops the transport, because the connection has ended.
    pub(super) fn poll_end<S: Transport>(
        &mut self,
        output: &mut impl Access<S>,
        cx: &mut Context<'_>,
    ) -> Poll<Pass> {
        let rx = &self.rx;
        output.with(cx, |output, cx| {
            // This does not wait for a transport that takes nothing.
            let _ = output.poll_shutdown(cx);
            output.handle_end(rx.closed());
        });
        Poll::Ready(Pass::Ended)
    }
}

/// Lets the two directions meet, and passes on how the connection ends to calls that only have the sending direction.
#[inline]
pub(super) fn meet<S>(rx: &mut Receiver, output: &mut Output<S>) {
    rx.meet(&mut output.tx);
    if rx.is_closing() {
        output.learn(rx);
    }
}
