//! How receiving ends: by a Close, a failure, or the transport (RFC 6455 §7).

use alloc::string::ToString;

use core::time::Duration;

use super::Receiver;
use crate::{
    close::{CloseFrame, Closed, Initiator, code::CloseCode},
    config::Role,
    error::{Lost, RecvError},
    send::Sender,
    time::{Instant, Timer},
};

/// What is known of the end, once that has begun.
#[derive(Default)]
pub(super) struct Ending {
    /// An error that was not polled.
    pub(super) failed: Option<RecvError>,
    /// What ends the connection once the input was polled.
    pub(super) end: Option<RecvError>,
    /// For [`Receiver::closed`].
    pub(super) close: Option<Option<CloseFrame>>,
    pub(super) initiator: Option<Initiator>,
    pub(super) cause: Option<RecvError>,
    /// The deadline of the closing handshake.
    timer: Timer,
    /// Our Close has left.
    sent: bool,
    /// Nothing can leave any more.
    cut: bool,
    /// A server's wait for the end of the transport, once both Closes are over.
    linger: Option<Linger>,
}

/// How long, and for how many bytes, a server still reads after both Closes.
///
/// RFC 6455 §7.1.1: the server "MUST close the TCP connection immediately". It ends its own direction at
/// once; to end the transport while bytes are on their way would be answered by a reset.
struct Linger {
    timer: Timer,
    /// How many bytes may still be discarded.
    remaining: usize,
}

impl Linger {
    const TIME: Duration = Duration::from_secs(1);
    const BYTES: usize = 64 << 10;
}

/// How far the receiving direction has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Phase {
    Open,
    /// Nothing more is delivered: a Close was received, or the connection failed.
    Draining,
    /// The peer has ended its direction, and our Close may still leave.
    Drained,
    Done,
}

impl Receiver {
    /// The peer ended its direction of the transport. Takes its place behind what was received.
    pub fn handle_eof(&mut self) {
        self.handle_end(RecvError::Lost(Lost::Eof));
    }

    /// The transport, or the [`Sender`](crate::Sender), failed. Takes its place behind what was
    /// received.
    pub fn handle_end(&mut self, end: RecvError) {
        self.ending().end.get_or_insert(end);
        self.drained = false;
    }

    /// What each half has to know of the other's end.
    #[cold]
    pub(super) fn meet_at_the_end(&mut self, sender: &mut Sender) {
        if let Some(end) = self.end() {
            sender.handle_end(end);
        }
        if sender.is_aborted() {
            self.abort();
        }
        match sender.end() {
            // A transport that cannot be written to may still have something to read: its end is told by who
            // reads.
            Some(RecvError::Lost(_)) => self.ending().cut = true,
            Some(end) => {
                self.ending().cut = true;
                if self.phase != Phase::Done {
                    self.handle_end(end);
                }
            }
            None if sender.is_closing() => self.handle_closing(),
            None => {}
        }
        if sender.is_closed() {
            self.handle_close_sent();
        }
        sender.handle_peer(self.is_closed(), self.wants_shutdown());
    }

    /// We began to close, or answered: the peer's Close is now due.
    pub(super) fn handle_closing(&mut self) {
        self.ending().initiator.get_or_insert(Initiator::Local);
        let after = self.config.close_timeout;
        self.ending().timer.start_once(after);
        self.timers.handle_closing();
    }

    /// Our Close has left. Once the peer's Close has come as well, a server gives the peer a second to end
    /// the transport, or [`close_timeout`](crate::Config::close_timeout) if that is less, and discards no
    /// more than 64 KiB meanwhile (RFC 6455 §7.1.1).
    fn handle_close_sent(&mut self) {
        let is_server = self.role == Role::Server;
        let ending = self.ending();
        ending.sent = true;
        if is_server && ending.close.is_some() {
            ending.linger.get_or_insert(Linger {
                timer: Timer::DUE,
                remaining: Linger::BYTES,
            });
        }
    }

    /// Whether both Closes are over: what comes after them is no failure.
    pub(super) fn is_clean(&self) -> bool {
        let ending = self.ending.as_ref();
        ending.is_some_and(|it| it.sent && it.close.is_some())
    }

    /// The first deadline of the end, once that has begun.
    #[inline]
    pub(super) fn end_timeout(&self) -> Option<Instant> {
        let ending = self.ending.as_ref()?;
        let linger = ending.linger.as_ref();
        let linger = linger.map_or(Timer::OFF, |linger| linger.timer);
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

    /// Whether the transport has nothing more to deliver that would matter. What the peer is owed may
    /// still have to leave; see [`is_done`](Self::is_done).
    pub fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Drained | Phase::Done)
    }

    /// Whether the connection is over: nothing more is received, and our Close has left, or never will.
    pub fn is_done(&self) -> bool {
        let is_over = |ending: &Ending| ending.sent || ending.cut;
        match self.phase {
            Phase::Open | Phase::Draining => false,
            Phase::Drained => self.ending.as_deref().is_some_and(is_over),
            Phase::Done => true,
        }
    }

    /// Why nothing can be sent any more, if that is so and no closing handshake was the reason: the
    /// connection is over, or will be once the input is polled, because a deadline has passed.
    fn end(&self) -> Option<RecvError> {
        let ending = self.ending.as_ref()?;
        let passed = |end: &RecvError| matches!(end, RecvError::TimedOut(_));
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
    pub fn is_closed(&self) -> bool {
        self.ending.as_ref().is_some_and(|it| it.close.is_some())
    }

    /// Whether to end our direction of the transport once our Close has left. A server ends it first;
    /// a client waits for that (RFC 6455 §7.1.1), unless the connection failed.
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

    /// How the connection ended, as far as that is known; `None` before the peer's Close was received, the
    /// connection has failed, or the transport has ended.
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

    /// Ends the connection from this end at once.
    pub(super) fn abort(&mut self) {
        self.ending().initiator.get_or_insert(Initiator::Local);
        self.phase = Phase::Done;
        self.discard();
    }

    /// §7.1.7, _Fail the WebSocket Connection_: tells the peer, and delivers nothing more.
    pub(super) fn fail(&mut self, error: RecvError, code: CloseCode) {
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

    /// The transport, or the connection, ended behind all that was received.
    pub(super) fn finish(&mut self, end: RecvError) -> Result<(), RecvError> {
        let phase = core::mem::replace(&mut self.phase, Phase::Done);
        self.discard();
        match (phase, end) {
            (Phase::Open, end) => {
                let ending = self.ending();
                ending.initiator.get_or_insert_with(|| Initiator::of(&end));
                ending.cause = Some(end);
                Err(end)
            }
            (Phase::Draining | Phase::Drained, RecvError::Lost(Lost::Eof)) => {
                self.phase = Phase::Drained;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
