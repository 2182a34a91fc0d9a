//! The end of the sending direction, and the errors of calls after it.

use std::{io, task::Context};

use proto::{Closed, ConnectionError, Deadline, Lost, Receiver, SendError};

use super::Output;
use crate::{
    error::{Error, lost},
    transport::Transport,
    wire::Wire,
};

impl<S> Output<S> {
    /// Handles that the connection has ended as `closed` says, and drops the transport.
    pub(crate) fn handle_end(&mut self, closed: Option<Closed>) {
        if let Some(closed) = closed {
            self.closed = Some(Box::new(closed));
        }
        self.tx.handle_end(ConnectionError::Lost(Lost::Eof));
        self.drop_transport();
    }

    fn drop_transport(&mut self) {
        if self.wire.take().is_some() {
            self.attached = None;
            self.trace.ended(self.closed.as_deref());
        }
    }

    /// Handles that the transport has failed or is given up, so that nothing more can be sent. The first reason is
    /// kept, unless the receiver knows a better one.
    pub(crate) fn fail(&mut self, end: ConnectionError) {
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

    /// Handles that a half of a split socket was dropped. The last half ends the transport, even if handles still
    /// keep this. The transport is returned, to be dropped without a lock.
    pub(crate) fn half_gone(&mut self) -> Option<Wire<S>> {
        self.halves = self.halves.saturating_sub(1);
        self.fail_if_panicking();
        if self.halves == 0 {
            self.attached = None;
        }
        let wire = self.wire.take_if(|_| self.halves == 0)?;
        self.tx.abort();
        self.note();
        self.trace.ended(self.closed.as_deref());
        Some(wire)
    }

    /// Returns the error of a message that cannot be sent. If the connection is closed because of a failure, that is
    /// the failure.
    pub(crate) fn refuse(&self, error: SendError) -> Error {
        match (error, self.failure()) {
            (SendError::Closed, Some(failure)) => failure,
            (error, _) => error.into(),
        }
    }

    /// Returns the error that ended the connection, if no Close did.
    pub(crate) fn failure(&self) -> Option<Error> {
        let closed = self.closed.as_ref();
        if closed.is_some_and(|closed| closed.clean) {
            return None;
        }
        let cause = closed.and_then(|closed| closed.cause);
        let cause = cause.or_else(|| {
            let end = self.tx.end();
            end.filter(|end| !matches!(end, ConnectionError::Lost(_)))
        })?;
        Some(match (cause, &self.error) {
            (ConnectionError::Lost(_), Some(error)) => Error::Lost(copy(error)),
            (cause, _) => cause.into(),
        })
    }

    /// Returns the error for `recv`: as [`failure`](Self::failure), but with the original error of the transport.
    pub(crate) fn report(&mut self, cause: ConnectionError) -> Error {
        match (cause, self.error.take()) {
            (ConnectionError::Lost(_), Some(error)) => {
                self.error = Some(copy(&error));
                Error::Lost(error)
            }
            (cause, error) => {
                self.error = error;
                cause.into()
            }
        }
    }

    pub(super) fn fail_by(&mut self, error: io::Error) {
        let end = ConnectionError::Lost(lost(&error));
        self.error.get_or_insert(error);
        self.fail(end);
    }
}

impl<S: Transport> Output<S> {
    /// Ends the transport because a deadline has passed.
    pub(crate) fn time_out(&mut self, cx: &mut Context<'_>, deadline: Deadline) {
        match deadline {
            // The peer has given no sign of life, or the transport takes nothing.
            Deadline::Pong | Deadline::Write => {}
            _ => drop(self.poll_shutdown(cx)),
        }
        self.fail(ConnectionError::TimedOut(deadline));
        self.drop_transport();
    }

    /// Ends the transport at once, on purpose. TLS still announces the end (RFC 8446 §6.1), if the transport takes
    /// that now.
    pub(crate) fn abort(&mut self, cx: &mut Context<'_>) {
        if self.wire.is_some() {
            let _ = self.poll_shutdown(cx);
        }
        self.tx.abort();
        self.note();
        self.drop_transport();
    }
}

/// Copies an error for another call.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
