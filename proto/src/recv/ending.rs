//! The end of receiving, by a Close, a failure, or the end of the transport (RFC 6455 §7).

use alloc::string::ToString;

use core::time::Duration;

use super::Receiver;
use crate::{
    close::{CloseFrame, Closed, Initiator, code::CloseCode},
    config::Role,
    error::{ConnectionError, Lost},
    send::Sender,
    time::{Alarm, Instant},
};

/// The state of the end, after it has begun.
#[derive(Default)]
pub(super) struct Ending {
    /// An error that was not yet polled.
    pub(super) failed: Option<ConnectionError>,
    /// The cause that will end the connection after the input is polled.
    pub(super) end: Option<ConnectionError>,
    /// The peer's Close frame, for [`Receiver::closed`].
    pub(super) close: Option<Option<CloseFrame>>,
    pub(super) initiator: Option<Initiator>,
    pub(super) cause: Option<ConnectionError>,
    /// The deadline of the closing handshake.
    timer: Alarm,
    /// Whether our Close was sent.
    sent: bool,
    /// Whether nothing more can be sent.
    cut: bool,
    /// A server's wait for the end of the transport, after both Closes.
    linger: Option<Linger>,
}

/// The time and the number of bytes for which a server still reads after both Closes.
///
/// RFC 6455 §7.1.1: the server "MUST close the TCP connection immediately". It ends its own direction at once, but
/// it goes on reading for a moment: closing a socket that still receives bytes resets the connection, and the peer
/// could lose our Close.
struct Linger {
    timer: Alarm,
    /// The number of bytes that may still be discarded.
    remaining: usize,
}

impl Linger {
    const TIME: Duration = Duration::from_secs(1);
    const BYTES: usize = 64 << 10;
}

/// The stage of the receiving direction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    Open,
    /// Nothing more is delivered: a Close was received, or the connection failed.
    Draining,
    /// The peer has ended its direction, but our Close may still be sent.
    Drained,
    Done,
}

impl Receiver {
    /// Handles the end of the peer's direction of the transport. It takes effect after everything received before
    /// it was polled.
    pub fn handle_eof(&mut self) {
        self.handle_end(ConnectionError::Lost(Lost::Eof));
    }

    /// Handles a failure of the transport or of the [`Sender`](crate::Sender). It takes effect after everything
    /// received before it was polled.
    pub fn handle_end(&mut self, end: ConnectionError) {
        self.ending().end.get_or_insert(end);
        self.drained = false;
    }

    /// Exchanges what each half must know of the other's end.
    #[cold]
    pub(super) fn meet_at_the_end(&mut self, sender: &mut Sender) {
        if let Some(end) = self.end() {
            sender.handle_end(end);
        }
        if sender.is_aborted() {
            self.abort();
        }
        match sender.end() {
            // A transport that fails in writing may still have bytes to read, so only the reader reports its end.
            Some(ConnectionError::Lost(_)) => self.ending().cut = true,
            Some(end) => {
                self.ending().cut = true;
                if self.phase != Phase::Done {
                    self.handle_end(end);
                }
            }
            None if sender.is_closing() => self.handle_closing(),
            None => {}
        }
        if sender.is_close_sent() {
            self.handle_close_sent();
        }
        sender.handle_peer(self.is_peer_closed(), self.wants_shutdown());
    }

    /// Handles that the closing handshake has begun, and starts its deadline.
    pub(super) fn handle_closing(&mut self) {
        self.ending().initiator.get_or_insert(Initiator::Local);
        let after = self.config.close_timeout;
        self.ending().timer.start_once(after);
        self.timers.handle_closing();
    }

    /// Handles that our Close was sent. After the peer's Close has come as well, a server gives the peer one second
    /// to end the transport, or [`close_timeout`](crate::Config::close_timeout) if that is less, and discards at
    /// most 64 KiB meanwhile (RFC 6455 §7.1.1).
    fn handle_close_sent(&mut self) {
        let is_server = self.role == Role::Server;
        let ending = self.ending();
        ending.sent = true;
        if is_server && ending.close.is_some() {
            ending.linger.get_or_insert(Linger {
                timer: Alarm::DUE,
                remaining: Linger::BYTES,
            });
        }
    }

    /// Whether both Closes were exchanged. Nothing after them counts as a failure.
    pub(super) fn is_clean(&self) -> bool {
        let ending = self.ending.as_ref();
        ending.is_some_and(|it| it.sent && it.close.is_some())
    }

    /// Returns the first deadline of the end, if the end has begun.
    #[inline]
    pub(super) fn end_timeout(&self) -> Option<Instant> {
        let ending = self.ending.as_ref()?;
        let linger = ending.linger.as_ref();
        let linger = linger.map_or(Alarm::OFF, |linger| linger.timer);
        ending.timer.min(linger).at()
    }

    /// Whether the closing handshake, or the wait for the end of the transport after it, has taken too long.
    pub(super) fn end_is_late(&mut self, now: Instant) -> bool {
        let Some(ending) = &mut self.ending else {
            return false;
        };
        let after = self.config.close_timeout;
        let mut is_late = ending.timer.expires(now, after);
        if let Some(linger) = &mut ending.linger {
            let after = after.map_or(Linger::TIME, |after| after.min(Linger::TIME));
            is_late |= linger.timer.expires(now, Some(after));
        }
        is_late
    }

    /// §7.1.1, §1.4: "discards any further data received".
    pub(super) fn discard_input(&mut self) {
        let len = self.input.bytes().len();
        self.input.clear();
        if self.phase == Phase::Draining
            && let Some(linger) = self.ending.as_mut().and_then(|it| it.linger.as_mut())
        {
            linger.remaining = linger.remaining.saturating_sub(len);
            if linger.remaining == 0 {
                self.phase = Phase::Drained;
            }
        }
    }

    /// Whether the transport has nothing more to deliver that matters. Frames that the peer is owed may still wait
    /// to be sent; see [`is_done`](Self::is_done).
    pub fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Drained | Phase::Done)
    }

    /// Whether the connection is over: nothing more is received, and our Close was sent or never will be.
    pub fn is_done(&self) -> bool {
        let is_over = |ending: &Ending| ending.sent || ending.cut;
        match self.phase {
            Phase::Open | Phase::Draining => false,
            Phase::Drained => self.ending.as_deref().is_some_and(is_over),
            Phase::Done => true,
        }
    }

    /// Returns the reason why nothing more can be sent, unless it is a closing handshake. The connection is over,
    /// or it will be after the input is polled, because a deadline has passed.
    fn end(&self) -> Option<ConnectionError> {
        let ending = self.ending.as_ref()?;
        let passed = |end: &ConnectionError| matches!(end, ConnectionError::TimedOut(_));
        match self.phase {
            Phase::Done => ending.cause,
            _ => ending.end.filter(passed),
        }
    }

    /// Whether the closing handshake has begun, or failed.
    pub fn is_closing(&self) -> bool {
        let initiator = self.ending.as_ref().and_then(|it| it.initiator);
        initiator.is_some() || self.phase != Phase::Open
    }

    /// Whether the peer's Close was received.
    pub fn is_peer_closed(&self) -> bool {
        self.ending.as_ref().is_some_and(|it| it.close.is_some())
    }

    /// Whether to end our direction of the transport after our Close was sent. A server ends its direction first; a
    /// client waits for that (RFC 6455 §7.1.1), unless the connection failed.
    pub fn wants_shutdown(&self) -> bool {
        match self.phase {
            Phase::Open => false,
            Phase::Draining => {
                let failed = self.ending.as_ref().is_some_and(|it| it.cause.is_some());
                self.role == Role::Server || failed
            }
            Phase::Drained | Phase::Done => true,
        }
    }

    /// Returns how the connection ended, as far as that is known. Returns `None` until the peer's Close was
    /// received, the connection has failed, or the transport has ended.
    pub fn closed(&self) -> Option<Closed> {
        let ending = self.ending.as_ref()?;
        if !self.is_drained() && ending.close.is_none() && ending.cause.is_none() {
            return None;
        }
        let (code, reason) = match &ending.close {
            Some(Some(frame)) => (frame.code().get(), frame.reason().clone()),
            Some(None) => (Closed::NO_STATUS, Default::default()),
            None => (Closed::ABNORMAL, Default::default()),
        };
        Some(Closed {
            code,
            reason,
            initiator: ending.initiator.unwrap_or(Initiator::Peer),
            clean: self.is_clean(),
            cause: ending.cause,
        })
    }

    /// Ends the connection from our side at once.
    pub(super) fn abort(&mut self) {
        self.ending().initiator.get_or_insert(Initiator::Local);
        self.phase = Phase::Done;
        self.discard();
    }

    /// §7.1.7, _Fail the WebSocket Connection_: queues a Close for the peer, and delivers nothing more.
    pub(super) fn fail(&mut self, error: ConnectionError, code: CloseCode) {
        let frame = CloseFrame::new(code, error.to_string());
        self.owed.slots().close = Some(Some(frame.unwrap_or_else(|_| code.into())));
        self.ending().cause = Some(error);
        self.phase = Phase::Draining;
        self.drained = false;
        self.discard();
        self.handle_closing();
    }

    pub(super) fn ending(&mut self) -> &mut Ending {
        self.ending.get_or_insert_default()
    }

    pub(super) fn discard(&mut self) {
        self.partial = None;
        self.inflater = None;
        self.batch.clear();
        self.input.clear();
    }

    /// Ends the connection after everything received before its end was polled.
    pub(super) fn finish(&mut self, end: ConnectionError) -> Result<(), ConnectionError> {
        let phase = core::mem::replace(&mut self.phase, Phase::Done);
        self.discard();
        match (phase, end) {
            (Phase::Open, end) => {
                let ending = self.ending();
                ending.initiator.get_or_insert_with(|| Initiator::of(&end));
                ending.cause = Some(end);
                Err(end)
            }
            (Phase::Draining | Phase::Drained, ConnectionError::Lost(Lost::Eof)) => {
                self.phase = Phase::Drained;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
