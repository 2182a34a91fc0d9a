//! How sending ends: by a failure, a deadline or an abort, and what is dropped then.

use super::{Sender, control::Control};
use crate::{
    close::{CloseFrame, Closed, Initiator},
    error::{ConnectionError, Lost},
    time::Alarm,
};

/// The details of the end.
pub(super) struct Ending {
    /// The content of a queued Close.
    pub(super) close: Option<CloseFrame>,
    /// The reason why nothing more can be sent.
    pub(super) end: Option<ConnectionError>,
    /// The side that began to end the connection, if no Close did.
    pub(super) initiator: Initiator,
    /// Whether our side ended the connection at once.
    pub(super) aborted: bool,
    /// Messages from this number on were dropped.
    pub(super) dropped_from: u64,
}

impl Default for Ending {
    fn default() -> Self {
        Self {
            close: None,
            end: None,
            initiator: Initiator::Local,
            aborted: false,
            dropped_from: u64::MAX,
        }
    }
}

impl Sender {
    /// Ends the connection at once, without a Close; the caller then drops the transport. The receiver learns of it
    /// in [`meet`](crate::Receiver::meet).
    pub fn abort(&mut self) {
        self.ending().aborted = true;
        self.handle_end(ConnectionError::Lost(Lost::Failed));
    }

    /// Handles that nothing more can be sent: drops everything that waits.
    pub fn handle_end(&mut self, end: ConnectionError) {
        let begins = !self.is_closing();
        let ending = self.ending();
        if begins && !ending.aborted {
            ending.initiator = Initiator::of(&end);
        }
        ending.end.get_or_insert(end);
        self.drop_waiting();
        self.deflater = None;
        self.owed = Control::default();
        self.transmit = None;
        self.write = Alarm::OFF;
    }

    /// Whether any of the first `count` [accepted](Self::accepted) ones will never be written.
    pub fn has_dropped(&self, count: u64) -> bool {
        let Some(ending) = &self.ending else {
            return false;
        };
        ending.dropped_from < count || (ending.end.is_some() && self.progress.flushed < count)
    }

    /// Returns the reason why nothing more can be sent, unless it is a Close.
    pub fn end(&self) -> Option<ConnectionError> {
        self.ending.as_ref()?.end
    }

    /// Returns how the connection ended, as far as the sender can know, or `None` while a Close may still end it.
    /// Prefer the receiver's answer: it knows whether the peer's Close was received.
    pub fn closed(&self) -> Option<Closed> {
        let ending = self.ending.as_ref()?;
        let cause = (!ending.aborted).then_some(ending.end?);
        Some(Closed::abnormal(ending.initiator, cause))
    }

    pub(crate) fn is_aborted(&self) -> bool {
        self.ending.as_ref().is_some_and(|it| it.aborted)
    }

    /// Drops every message that is not completely framed.
    pub(super) fn drop_waiting(&mut self) {
        let framed = self.framed();
        if self.backlog.take().is_some() {
            let ending = self.ending();
            ending.dropped_from = ending.dropped_from.min(framed);
        }
    }

    /// Returns how many messages, chunks, Pings and Pongs ever became bytes.
    #[inline]
    pub(super) fn framed(&self) -> u64 {
        let waiting = self.backlog.as_ref().map_or(0, |backlog| backlog.count());
        let framed = self.progress.accepted.saturating_sub(waiting);
        match &self.ending {
            Some(ending) => framed.min(ending.dropped_from),
            None => framed,
        }
    }

    pub(super) fn ending(&mut self) -> &mut Ending {
        self.ending.get_or_insert_default()
    }
}
