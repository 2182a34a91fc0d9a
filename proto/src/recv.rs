//! Receiving: bytes in, events out (RFC 6455 §5.4, §6.2).

use alloc::{boxed::Box, string::ToString, sync::Arc, vec::Vec};
use core::{fmt, time::Duration};

use bytes::Bytes;

use crate::{
    Chunk, CloseCode, CloseFrame, Closed, Config, Control, ControlPayload, Deadline, Event,
    Initiator, Instant, Lost, Message, RecvError, Role, deflate::Inflater,
};

mod inflate;
mod input;
mod parse;
mod partial;
mod spare;
mod timers;

use input::Input;
use partial::{Partial, Pull};
use timers::Timers;

/// The receiving half of a [`Connection`](crate::Connection).
///
/// It is a pull parser: nothing is parsed until it is asked for, so at most one read waits here.
pub struct Receiver {
    config: Arc<Config>,
    role: Role,
    phase: Phase,
    input: Input,
    /// Whole small messages with their headers, unmasked, that `input` held one behind the other.
    block: Bytes,
    /// The next frame may begin a whole small message.
    plain: bool,
    /// All of `input` was polled.
    drained: bool,
    /// A message that is not all there.
    partial: Option<Box<Partial>>,
    /// For compressed messages, if they may come.
    inflater: Option<Box<Inflater>>,
    owed: Control,
    timers: Timers,
    ending: Option<Box<Ending>>,
}

/// What is known of the end, once that has begun.
#[derive(Default)]
struct Ending {
    /// An error that was not polled.
    failed: Option<RecvError>,
    /// What ends the connection once the input was polled.
    end: Option<RecvError>,
    /// For [`Receiver::closed`].
    close: Option<Option<CloseFrame>>,
    initiator: Option<Initiator>,
    cause: Option<RecvError>,
}

/// How far the receiving direction has come.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Phase {
    Open,
    /// Nothing more is delivered: a Close was received, or the connection failed.
    Draining,
    /// The peer has ended its direction, and our Close may still leave.
    Drained,
    Done,
}

impl Receiver {
    pub(crate) fn new(
        role: Role,
        config: &Arc<Config>,
        inflater: Option<Box<Inflater>>,
        now: Instant,
    ) -> Self {
        Self {
            config: config.clone(),
            role,
            phase: Phase::Open,
            input: Input::default(),
            block: Bytes::new(),
            plain: true,
            drained: true,
            partial: None,
            inflater,
            owed: Control::default(),
            timers: Timers::new(config, now),
            ending: None,
        }
    }

    /// Room to read into; `None` until all that was received before is polled, and after the end.
    ///
    /// A large message is read straight into its own memory.
    #[inline]
    pub fn recv_buf(&mut self) -> Option<&mut [u8]> {
        if !self.drained || self.is_drained() {
            return None;
        }
        match &mut self.partial {
            Some(partial) if partial.is_direct() => Some(partial.room()),
            _ => Some(self.input.room()),
        }
    }

    /// Takes the `len` bytes just read into [`recv_buf`](Self::recv_buf).
    #[inline]
    pub fn handle_input(&mut self, len: usize) {
        self.drained = false;
        self.timers.handle_input();
        match &mut self.partial {
            Some(partial) if partial.is_direct() => partial.handle_input(len),
            _ => self.input.filled(len),
        }
    }

    /// Takes a copy of as many of `bytes` as fit, and tells how many.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        // Behind its end the transport has nothing to say.
        if self.phase == Phase::Done || self.ending.as_ref().is_some_and(|it| it.end.is_some()) {
            return bytes.len();
        }
        let taken = self.input.copy(bytes);
        if taken > 0 {
            self.drained = false;
            self.timers.handle_input();
        }
        taken
    }

    /// The peer ended its direction of the transport. Takes its place behind what was received.
    pub fn handle_eof(&mut self) {
        self.handle_end(RecvError::Lost(Lost::Eof));
    }

    /// The transport, or the [`Sender`](crate::Sender), failed. Takes its place behind what was
    /// received.
    pub fn handle_end(&mut self, end: RecvError) {
        self.ending().end.get_or_insert(end);
        self.drained = false;
        self.plain = false;
    }

    /// We began to close, or answered: the peer's Close is now due.
    pub fn handle_closing(&mut self) {
        self.ending().initiator.get_or_insert(Initiator::Local);
        self.timers.handle_closing(&self.config);
    }

    /// A Ping with this payload has left.
    pub fn handle_ping_left(&mut self, payload: ControlPayload) {
        self.timers.handle_ping_left(payload);
    }

    /// When to call [`handle_timeout`](Self::handle_timeout); a moment in the past means at once,
    /// for a deadline has to begin.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Done {
            None
        } else {
            self.timers.poll_timeout()
        }
    }

    /// Time has passed. Try to read once before: what waits unread is a sign of life.
    ///
    /// Fails if the transport should be given up at once.
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Deadline> {
        if self.phase == Phase::Done {
            return Ok(());
        }
        let Some(deadline) =
            self.timers
                .handle_timeout(&self.config, now, self.drained, &mut self.owed)
        else {
            return Ok(());
        };
        let error = RecvError::TimedOut(deadline);
        let code = match deadline {
            Deadline::Message => CloseCode::POLICY_VIOLATION,
            Deadline::Idle => CloseCode::GOING_AWAY,
            _ => {
                if deadline == Deadline::Close {
                    self.discard();
                }
                self.ending().end = None;
                self.handle_end(error);
                return Err(deadline);
            }
        };
        self.ending().failed = Some(error);
        self.fail(error, code);
        Ok(())
    }

    /// The next whole message or control frame; `None` when more input is needed, and after the end.
    ///
    /// A message that [`poll_chunk`](Self::poll_chunk) began is skipped. Work is bounded by what was
    /// received since the last call; inflated, that is up to 1,032 times as much, and up to
    /// [`max_message_size`](Config::max_message_size) of it is assembled.
    #[inline]
    pub fn poll_event(&mut self) -> Result<Option<Event>, RecvError> {
        if let Some(message) = self.poll_small() {
            return Ok(Some(Event::Data(message)));
        }
        if self.drained && self.partial.is_none() {
            return Ok(None);
        }
        if self.plain && self.input.is_empty() && self.block.is_empty() {
            self.rest();
            return Ok(None);
        }
        let event = self.poll(Pull::Whole)?;
        Ok(event.map(|event| event.map(|chunk| chunk.data)))
    }

    /// The next message, if that is a small one that came whole and needs no answer: a short way for
    /// many that come in one read. `None` says nothing; ask [`poll_event`](Self::poll_event).
    #[inline]
    pub fn poll_small(&mut self) -> Option<Message> {
        if self.block.is_empty() && (!self.plain || self.input.is_empty() || !self.batch()) {
            return None;
        }
        self.take_small()
    }

    /// Like [`poll_event`](Self::poll_event), but data comes as it arrives.
    ///
    /// Of a message that `poll_event` began, first comes all that was gathered. A compressed one is
    /// inflated by at most 16 KiB a call.
    pub fn poll_chunk(&mut self) -> Result<Option<Event<Chunk>>, RecvError> {
        if let Some(data) = self.take_small() {
            return Ok(Some(Event::Data(Chunk { data, fin: true })));
        }
        self.poll(Pull::Chunks)
    }

    /// What the peer is owed: hand it to [`Sender::handle_control`](crate::Sender::handle_control)
    /// after each `poll_*` and `handle_timeout`.
    #[inline]
    pub fn poll_control(&mut self) -> Option<Control> {
        if self.owed.is_empty() {
            return None;
        }
        Some(core::mem::take(&mut self.owed))
    }

    /// Whether the transport has nothing more to deliver that would matter. What the peer is owed may
    /// still have to leave; see [`is_done`](Self::is_done).
    pub fn is_drained(&self) -> bool {
        matches!(self.phase, Phase::Drained | Phase::Done)
    }

    /// Whether the connection is over, where `sent` tells whether our Close has left, or never will.
    pub fn is_done(&self, sent: bool) -> bool {
        self.phase == Phase::Done || self.phase == Phase::Drained && sent
    }

    /// Why the connection is over, if that is so and no closing handshake was the reason.
    pub(crate) fn end(&self) -> Option<RecvError> {
        let ending = self.ending.as_ref()?;
        ending.cause.filter(|_| self.phase == Phase::Done)
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

    /// How the connection ended, where `sent` tells whether our Close has left; `None` before
    /// [`is_done`](Self::is_done).
    pub fn closed(&self, sent: bool) -> Option<Closed> {
        if !self.is_drained() {
            return None;
        }
        let ending = self.ending.as_ref()?;
        let (code, reason) = match &ending.close {
            Some(Some(frame)) => (frame.code().get(), frame.reason().clone()),
            Some(None) => (Closed::NO_STATUS, Default::default()),
            None => (Closed::ABNORMAL, Default::default()),
        };
        Some(Closed {
            code,
            reason,
            initiator: ending.initiator.unwrap_or(Initiator::Peer),
            clean: sent && ending.close.is_some(),
            cause: ending.cause,
        })
    }

    /// From when the last Ping left to when its Pong was received.
    pub fn latency(&self) -> Option<Duration> {
        self.timers.latency()
    }

    /// Lends memory to read into; see [`take_back`](Self::take_back).
    ///
    /// A driver lends one buffer to one connection after the other, so that none holds any while it
    /// waits. Call it when [`wants_loan`](Self::wants_loan); 128 KiB are a good size, 4 KiB the least.
    #[inline]
    pub fn lend(&mut self, buf: Vec<u8>) {
        self.input.lend(buf);
    }

    /// Whether a lent buffer would be used for the next read.
    #[inline]
    pub fn wants_loan(&self) -> bool {
        !self.input.is_loan()
            && !self
                .partial
                .as_ref()
                .is_some_and(|partial| partial.is_direct())
    }

    /// How many bytes were received and not polled: what [`take_back`](Self::take_back) would copy.
    #[inline]
    pub fn unread(&self) -> usize {
        self.input.bytes().len()
    }

    /// Gives back a lent buffer. What was not polled of its contents is copied.
    #[inline]
    pub fn take_back(&mut self) -> Option<Vec<u8>> {
        self.input.take_back()
    }

    /// Ends the connection from this end at once.
    pub fn abort(&mut self) {
        self.ending().initiator.get_or_insert(Initiator::Local);
        self.phase = Phase::Done;
        self.plain = false;
        self.discard();
    }

    fn poll(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, RecvError> {
        if let Some(error) = self.ending.as_mut().and_then(|it| it.failed.take()) {
            return Err(error);
        }
        match self.phase {
            Phase::Open => match self.parse(pull) {
                Ok(None) => {}
                Ok(event) => return Ok(event),
                Err(error) => {
                    self.fail(error.into(), error.close_code());
                    return Err(error.into());
                }
            },
            // §7.1.1, §1.4: "discards any further data received".
            Phase::Draining | Phase::Drained | Phase::Done => self.input.clear(),
        }
        if let Some(end) = self.ending.as_mut().and_then(|it| it.end.take()) {
            self.finish(end)?;
        }
        self.rest();
        self.plain = self.phase == Phase::Open && self.partial.is_none();
        Ok(None)
    }

    /// All that was received is polled.
    #[inline]
    fn rest(&mut self) {
        self.drained = true;
        self.timers.handle_drained();
        self.input.release();
    }

    /// §7.1.7, _Fail the WebSocket Connection_: tells the peer, and delivers nothing more.
    fn fail(&mut self, error: RecvError, code: CloseCode) {
        let frame = CloseFrame::new(code, error.to_string());
        self.owed.slots().close = Some(Some(frame.unwrap_or_else(|_| code.into())));
        self.ending().cause = Some(error);
        self.phase = Phase::Draining;
        self.plain = false;
        self.drained = false;
        self.discard();
        self.handle_closing();
    }

    fn ending(&mut self) -> &mut Ending {
        self.ending.get_or_insert_default()
    }

    fn discard(&mut self) {
        self.partial = None;
        self.inflater = None;
        self.block.clear();
        self.input.clear();
    }

    /// The transport, or the connection, ended behind all that was received.
    fn finish(&mut self, end: RecvError) -> Result<(), RecvError> {
        let phase = core::mem::replace(&mut self.phase, Phase::Done);
        self.discard();
        match (phase, end) {
            (Phase::Open, end) => {
                let by_peer = matches!(end, RecvError::Lost(_));
                let ending = self.ending();
                ending.initiator.get_or_insert(if by_peer {
                    Initiator::Peer
                } else {
                    Initiator::Local
                });
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

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("role", &self.role)
            .field("phase", &self.phase)
            .field("drained", &self.drained)
            .field("cause", &self.ending.as_ref().and_then(|it| it.cause))
            .finish_non_exhaustive()
    }
}
