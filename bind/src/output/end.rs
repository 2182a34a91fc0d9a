//! How the sending direction ends, and what the calls that come after are told.

use std::{io, task::Context};

use proto::{Closed, ConnectionError, Deadline, Lost, Receiver, SendError};

use super::Output;
use crate::{
    error::{Error, lost},
    transport::Transport,
    wire::Wire,
};

impl<S> Output<S> {
    /// The connection has ended as `closed` says: the transport is dropped.
    pub(crate) fn finish(&mut self, closed: Option<Closed>) {
        if let Some(closed) = closed {
            self.closed = Some(Box::new(closed));
        }
        self.tx.handle_end(ConnectionError::Lost(Lost::Eof));
        self.drop_transport();
    }

    fn drop_transport(&mut self) {
        if self.wire.take().is_some() {
            self.trace.ended(self.closed.as_deref());
        }
    }

    /// The transport has failed, or is given up: nothing can be sent any more. The first reason stays, unless
    /// the receiver knows better.
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

    /// A half of a split socket is gone. With the last one goes the transport, whatever else keeps this; it is
    /// returned, to be dropped without a lock.
    pub(crate) fn half_gone(&mut self) -> Option<Wire<S>> {
        self.halves = self.halves.saturating_sub(1);
        let wire = self.wire.take_if(|_| self.halves == 0)?;
        self.tx.abort();
        self.note();
        self.trace.ended(self.closed.as_deref());
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
            end.filter(|end| !matches!(end, ConnectionError::Lost(_)))
        })?;
        Some(match (cause, &self.error) {
            (ConnectionError::Lost(_), Some(error)) => Error::Lost(copy(error)),
            (cause, _) => cause.into(),
        })
    }

    /// What `recv` reports: as [`failure`](Self::failure), with the error of the transport itself.
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
            // The transport has given no sign of life, or takes nothing.
            Deadline::Pong | Deadline::Write => {}
            _ => drop(self.poll_shutdown(cx)),
        }
        self.fail(ConnectionError::TimedOut(deadline));
        self.drop_transport();
    }

    /// Ends the transport at once, on purpose. TLS still says that it ends (RFC 8446 §6.1), if the
    /// transport takes that now.
    pub(crate) fn abort(&mut self, cx: &mut Context<'_>) {
        if self.wire.is_some() {
            let _ = self.poll_shutdown(cx);
        }
        self.tx.abort();
        self.note();
        self.drop_transport();
    }
}

/// The same error once more, for another call.
fn copy(error: &io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(code) => io::Error::from_raw_os_error(code),
        None => io::Error::new(error.kind(), error.to_string()),
    }
}
