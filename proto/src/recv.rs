//! Receiving: bytes in, events out (RFC 6455 §5.4, §6.2).

use alloc::{boxed::Box, sync::Arc};
use core::{fmt, time::Duration};

use crate::{
    close::code::CloseCode,
    config::{Config, Role},
    deflate::Inflater,
    error::{ConnectionError, Deadline},
    event::{Event, Pull},
    message::{Chunk, Message},
    send::{Sender, control::Control},
    stats::Traffic,
    time::Instant,
};

mod batch;
mod ending;
mod inflate;
pub(crate) mod input;
mod parse;
mod partial;
mod timers;

use batch::Batch;
use ending::{Ending, Phase};
use input::{Input, RecvBuf};
use partial::Partial;
use timers::Timers;

/// The receiving half of a [`Connection`](crate::Connection).
///
/// This is a pull parser: it parses nothing until the application asks for an event, so at most one read waits
/// here.
pub struct Receiver {
    config: Arc<Config>,
    role: Role,
    phase: Phase,
    input: Input,
    batch: Batch,
    /// The largest message that a batch takes, in bytes.
    max_batched: u16,
    /// Whether all of `input` was polled.
    drained: bool,
    /// The message that has begun and not ended.
    partial: Option<Box<Partial>>,
    /// The state for compressed messages, if they were negotiated.
    inflater: Option<Box<Inflater>>,
    owed: Control,
    timers: Timers,
    ending: Option<Box<Ending>>,
    /// For [`traffic`](Self::traffic).
    messages: u64,
    payload: u64,
    wire: u64,
}

impl Receiver {
    pub(crate) fn new(role: Role, config: Arc<Config>, inflater: Option<Box<Inflater>>) -> Self {
        Self {
            config: config.clone(),
            role,
            phase: Phase::Open,
            input: Input::default(),
            batch: Batch::default(),
            max_batched: Batch::max(&config),
            drained: true,
            partial: None,
            inflater,
            owed: Control::default(),
            timers: Timers::new(&config),
            ending: None,
            messages: 0,
            payload: 0,
            wire: 0,
        }
    }

    /// Returns room to read into. Returns `None` until everything received before is polled, and after the end.
    ///
    /// A large message is read straight into its own memory.
    #[inline]
    pub fn recv_buf(&mut self) -> Option<&mut [u8]> {
        if !self.wants_input() {
            return None;
        }
        match &mut self.partial {
            Some(partial) if partial.is_direct() => Some(partial.room()),
            _ => Some(self.input.room()),
        }
    }

    /// Whether [`recv_buf`](Self::recv_buf) would return room.
    #[inline]
    pub fn wants_input(&self) -> bool {
        self.drained && !self.is_drained()
    }

    /// Takes the `len` bytes just read into [`recv_buf`](Self::recv_buf).
    #[inline]
    pub fn handle_input(&mut self, len: usize) {
        self.drained = false;
        self.wire = self.wire.wrapping_add(len as u64);
        self.timers.handle_input();
        match &mut self.partial {
            Some(partial) if partial.is_direct() => partial.handle_input(len),
            _ => self.input.filled(len),
        }
    }

    /// Copies as many of `bytes` as fit, and returns how many it took.
    pub fn receive(&mut self, bytes: &[u8]) -> usize {
        // The transport has ended: bytes after its end are ignored.
        if self.phase == Phase::Done || self.ending.as_ref().is_some_and(|it| it.end.is_some()) {
            return bytes.len();
        }
        let taken = self.input.copy(bytes);
        if taken > 0 {
            self.drained = false;
            self.wire = self.wire.wrapping_add(taken as u64);
            self.timers.handle_input();
        }
        taken
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). A moment in the past means at once: a
    /// deadline must begin, and needs the current time for that.
    #[inline]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.phase == Phase::Done {
            None
        } else {
            let timers = self.timers.poll_timeout();
            match self.end_timeout() {
                Some(end) => Some(timers.map_or(end, |at| at.min(end))),
                None => timers,
            }
        }
    }

    /// Handles the passing of time. Try to read once before calling this: unread bytes prove that the peer is
    /// alive.
    ///
    /// Returns an error if the transport should be dropped at once, because the connection has failed. If the peer
    /// keeps the transport open after both Closes, that is no failure: the receiver then [is done](Self::is_done).
    pub fn handle_timeout(&mut self, now: Instant) -> Result<(), Deadline> {
        if self.phase == Phase::Done {
            return Ok(());
        }
        let passed = self
            .timers
            .handle_timeout(&self.config, now, self.drained, &mut self.owed);
        let closing = self.end_is_late(now).then_some(Deadline::Close);
        let Some(deadline) = closing.or(passed) else {
            return Ok(());
        };
        let error = ConnectionError::TimedOut(deadline);
        let code = match deadline {
            Deadline::Message => CloseCode::POLICY_VIOLATION,
            Deadline::Idle => CloseCode::GOING_AWAY,
            Deadline::Close if self.is_clean() => {
                self.abort();
                return Ok(());
            }
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

    /// Returns the next control frame, or the next message or chunk, as `pull` says. Returns `None` when more input
    /// is needed, and after the end.
    ///
    /// If the application began a message in chunks and then asks for whole messages, the remainder of that message
    /// is skipped. If it asks for chunks while a message is being assembled, the first chunk is everything gathered
    /// so far.
    ///
    /// The work of a call is bounded by what was received since the last call. Compressed data can inflate to 1,032
    /// times its size, but a call inflates at most [`max_message_size`](Config::max_message_size) of a message that
    /// is assembled, and 16 KiB of a message that is delivered in chunks or skipped. In the last case `None` may
    /// mean that the caller should call again at once: see [`is_skipping`](Self::is_skipping).
    #[inline]
    pub fn poll_data(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, ConnectionError> {
        if self.drained && self.partial.is_none() {
            return Ok(None);
        }
        if let Some(data) = self.poll_batch() {
            return Ok(Some(Event::Data(Chunk { data, fin: true })));
        }
        if self.is_between_messages() && self.input.is_empty() && self.batch.is_empty() {
            self.set_drained();
            return Ok(None);
        }
        self.poll(pull)
    }

    /// Counts data that the application receives.
    #[inline(always)]
    fn count(&mut self, len: usize, fin: bool) {
        self.messages = self.messages.wrapping_add(fin.into());
        self.payload = self.payload.wrapping_add(len as u64);
    }

    /// Returns what the application has received.
    pub fn traffic(&self) -> Traffic {
        Traffic {
            messages: self.messages,
            payload: self.payload,
            wire: self.wire,
            pings: self.timers.pings_received().into(),
        }
    }

    /// Takes back chunks of the current message, so that the message belongs to the method that the application
    /// calls next.
    ///
    /// Give back every chunk that [`poll_data`](Self::poll_data) returned of it, in order. The application must not
    /// have seen any of them.
    pub fn put_back(&mut self, chunk: Chunk) {
        if let Some(partial) = &mut self.partial {
            self.payload = self.payload.wrapping_sub(chunk.data.len() as u64);
            partial.put_back(chunk);
        }
    }

    pub(crate) fn role(&self) -> Role {
        self.role
    }

    /// Returns the limits, deadlines and policy.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Whether [`poll_data`](Self::poll_data) returned `None` because it skips a compressed message in steps.
    /// Nothing can be read yet: ask for the next event again, and do not wait for the transport.
    #[inline]
    pub fn is_skipping(&self) -> bool {
        self.partial.as_ref().is_some_and(|it| it.is_skipping())
    }

    /// Exchanges what the two halves of a connection must know of each other. The sender gets the control frames
    /// that the peer is owed. The receiver learns that a Ping or our Close was sent. Each learns how far the other
    /// has come to its end.
    ///
    /// Nothing else passes between the halves. Call this after each `poll_*`, `handle_timeout` and `handle_sent`,
    /// and before asking the receiver how it ended. An extra call changes nothing.
    #[inline]
    pub fn meet(&mut self, sender: &mut Sender) {
        if !self.owed.is_empty() {
            sender.handle_control(core::mem::take(&mut self.owed));
        }
        if let Some(payload) = sender.poll_ping() {
            self.timers.handle_ping_sent(payload);
        }
        if self.ending.is_some() || sender.is_closing() {
            self.meet_at_the_end(sender);
        }
    }

    /// Whether the peer is owed a Ping, a Pong or a Close. The sender gets them in [`meet`](Self::meet).
    #[inline]
    pub fn has_control(&self) -> bool {
        !self.owed.is_empty()
    }

    /// Returns the time between the last Ping and its Pong.
    pub fn latency(&self) -> Option<Duration> {
        self.timers.latency()
    }

    /// Lends memory to read into; see [`take_back`](Self::take_back).
    ///
    /// A driver lends one buffer to each connection in turn, so that waiting connections hold no buffer. Call this
    /// when [`wants_loan`](Self::wants_loan) returns true.
    #[inline]
    pub fn lend(&mut self, buf: Box<RecvBuf>) {
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

    /// Returns the number of bytes that were received and not yet polled, which [`take_back`](Self::take_back)
    /// would copy.
    #[inline]
    pub fn unread(&self) -> usize {
        self.input.bytes().len()
    }

    /// Gives back a lent buffer. Bytes in it that were not yet polled are copied first.
    #[inline]
    pub fn take_back(&mut self) -> Option<Box<RecvBuf>> {
        self.input.take_back()
    }

    fn poll(&mut self, pull: Pull) -> Result<Option<Event<Chunk>>, ConnectionError> {
        if let Some(error) = self.ending.as_mut().and_then(|it| it.failed.take()) {
            return Err(error);
        }
        match self.phase {
            Phase::Open => match self.parse(pull) {
                Ok(None) if self.is_skipping() => return Ok(None),
                Ok(None) => {}
                Ok(event) => return Ok(event),
                Err(error) => {
                    self.fail(error.into(), error.close_code());
                    return Err(error.into());
                }
            },
            Phase::Draining | Phase::Drained | Phase::Done => self.discard_input(),
        }
        if let Some(end) = self.ending.as_mut().and_then(|it| it.end.take()) {
            self.finish(end)?;
        }
        self.set_drained();
        Ok(None)
    }

    /// Takes the next message if it is a small one that arrived whole; see [`Batch`].
    #[inline(always)]
    pub(crate) fn poll_batch(&mut self) -> Option<Message> {
        if self.drained {
            None
        } else if self.batch.is_empty() {
            self.fill_batch()
        } else {
            self.take_from_batch()
        }
    }

    fn fill_batch(&mut self) -> Option<Message> {
        if !self.is_between_messages() {
            return None;
        }
        let message = self
            .batch
            .fill(&mut self.input, self.role, self.max_batched)?;
        self.timers.handle_data();
        self.count(message.len(), true);
        if self.batch.is_empty() {
            self.handle_batch_end();
        }
        Some(message)
    }

    fn take_from_batch(&mut self) -> Option<Message> {
        let message = self.batch.next(self.role)?;
        self.count(message.len(), true);
        if self.batch.is_empty() {
            self.handle_batch_end();
        }
        Some(message)
    }

    /// Handles that the last message of the batch was taken: it may be the last of all that was received.
    #[inline]
    fn handle_batch_end(&mut self) {
        if self.input.is_empty() && self.ending.is_none() {
            self.set_drained();
        }
    }

    /// Whether no message is under way and the connection is not ending, so that the next frame may be a whole
    /// small message.
    #[inline]
    fn is_between_messages(&self) -> bool {
        self.phase == Phase::Open && self.partial.is_none() && self.ending.is_none()
    }

    /// Handles that everything received was polled.
    #[inline]
    fn set_drained(&mut self) {
        self.drained = true;
        self.timers.handle_drained();
        self.input.release();
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
