use alloc::{sync::Arc, vec::Vec};

use bytes::{Buf, Bytes};

use super::{
    error::HandshakeError,
    response::{Method, Response},
};
use crate::{
    config::Config,
    connection::Connection,
    error::Lost,
    send::transmit::Transmit,
    time::{Alarm, Instant},
};

/// The bytes and the deadline of a handshake, which a driver serves on either side.
///
/// ```text
/// Reading ── 101 received ──→ Done, a Connection goes on
///    │ ╲
///    │  request received, to be decided on ──→ Done, an Incoming or a PageRequest goes on
///    ↓ not valid                                        ↓ answered: another Exchange
/// Answering ── flushed ──→ Draining ── peer's end, deadline ──→ Done
/// ```
///
/// Without an answer to write, it is done as soon as `poll` has returned how it ended.
#[derive(Debug)]
pub struct Exchange {
    config: Arc<Config>,
    stage: Stage,
    timer: Alarm,
    /// The received bytes that are still needed are `start..end` of this.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether anything was received, and whether `poll` has still to look at it.
    heard: bool,
    fresh: bool,
    output: Transmit,
    /// The length of `output` when it was last looked at.
    waiting: usize,
    timed_out: bool,
    lost: Option<Lost>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The peer's head is expected, or the body of its refusal.
    Reading,
    /// Our last response is being written. Input is discarded.
    Answering,
    /// Our direction ends. Input is discarded until the peer's direction ends as well: closing a transport with
    /// unread input resets it, and the reset may overtake our answer.
    Draining,
    Done,
}

impl Exchange {
    /// The size of a read. Everything received after the head must fit into a new connection.
    const ROOM: usize = 4 << 10;

    pub(crate) fn new(config: Arc<Config>) -> Self {
        Self {
            config: config.clone(),
            stage: Stage::Reading,
            timer: Alarm::due(config.handshake_timeout),
            input: Vec::new(),
            start: 0,
            end: 0,
            heard: false,
            fresh: false,
            output: Transmit::default(),
            waiting: 0,
            timed_out: false,
            lost: None,
        }
    }

    /// Makes an exchange that answers a request of this `method`, which was read already.
    pub(super) fn refusal(
        config: Arc<Config>,
        response: Response,
        method: Method,
        remainder: &Remainder,
    ) -> Self {
        let mut exchange = Self::new(config);
        exchange.lost = remainder.lost;
        exchange.refuse(response, method);
        exchange
    }

    /// Returns room to read into. Returns `None` until everything received before is polled, and after the end.
    pub fn recv_buf(&mut self) -> Option<&mut [u8]> {
        if self.fresh || self.lost.is_some() || self.is_done() {
            return None;
        }
        if self.start > 0 {
            self.input.copy_within(self.start..self.end, 0);
            self.end = self.end.saturating_sub(self.start);
            self.start = 0;
        }
        if self.end == self.input.len() {
            self.input.resize(self.end.saturating_add(Self::ROOM), 0);
        }
        let room = self.input.get_mut(self.end..)?;
        let size = room.len().min(Self::ROOM);
        room.get_mut(..size)
    }

    /// Takes the `len` bytes just read into [`recv_buf`](Self::recv_buf).
    pub fn handle_input(&mut self, len: usize) {
        if self.stage == Stage::Reading && len > 0 {
            self.end = self.end.saturating_add(len).min(self.input.len());
            self.heard = true;
            self.fresh = true;
        }
    }

    /// Handles the end of the peer's direction of the transport. It takes effect after everything received before
    /// it was polled.
    pub fn handle_eof(&mut self) {
        self.lost.get_or_insert(Lost::Eof);
        if self.stage == Stage::Draining {
            self.finish();
        }
    }

    /// Handles a failure of the transport. It takes effect after everything received before it was polled. If a
    /// write fails, read first what can still be read: a server may refuse a request before it has read all of it.
    pub fn handle_error(&mut self, lost: Lost) {
        self.lost.get_or_insert(lost);
        self.output = Transmit::default();
        if matches!(self.stage, Stage::Answering | Stage::Draining) {
            self.finish();
        }
    }

    /// Returns what to write to the transport, or `None` if there is nothing. Call
    /// [`handle_sent`](Self::handle_sent) afterwards.
    pub fn transmit(&mut self) -> Option<&mut Transmit> {
        Some(&mut self.output).filter(|output| output.has_remaining())
    }

    /// Handles an attempt to write, whether it succeeded or not. `flushed` says whether the transport holds no
    /// unwritten bytes itself.
    pub fn handle_sent(&mut self, flushed: bool) {
        let waiting = self.output.remaining();
        let moved = waiting < self.waiting;
        self.waiting = waiting;
        if self.stage != Stage::Answering {
            return;
        }
        if waiting == 0 && flushed {
            self.stage = Stage::Draining;
            self.timer.start(self.config.close_timeout);
            if self.lost.is_some() {
                self.finish();
            }
        } else if moved {
            self.timer.start(self.config.write_timeout);
        }
    }

    /// Returns when to call [`handle_timeout`](Self::handle_timeout). A moment in the past means at once: a
    /// deadline must begin, and needs the current time for that.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer.at()
    }

    /// Handles the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.stage {
            Stage::Reading => {
                if self.timer.is_over(now, self.config.handshake_timeout) {
                    self.timed_out = true;
                    self.timer = Alarm::OFF;
                }
            }
            Stage::Answering => {
                if self.timer.is_over(now, self.config.write_timeout) {
                    self.finish();
                }
            }
            Stage::Draining => {
                if self.timer.is_over(now, self.config.close_timeout) {
                    self.finish();
                }
            }
            Stage::Done => {}
        }
    }

    /// Whether to end our direction of the transport now.
    pub fn wants_shutdown(&self) -> bool {
        self.stage == Stage::Draining
    }

    /// Whether it is over. Close the transport then, unless there is a connection.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Whether the exchange still waits for the peer's part.
    pub(super) fn is_reading(&self) -> bool {
        self.stage == Stage::Reading
    }

    /// Returns the received bytes that are still needed.
    pub(crate) fn received(&mut self) -> &[u8] {
        self.fresh = false;
        self.input.get(self.start..self.end).unwrap_or_default()
    }

    /// Drops the first `count` received bytes.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Whether anything was ever received.
    pub(super) const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Returns the reason why nothing more will be received, if there is one.
    pub(crate) fn ended(&self) -> Option<HandshakeError> {
        match self.lost {
            Some(lost) if self.heard => Some(HandshakeError::Truncated(lost)),
            Some(lost) => Some(HandshakeError::Lost(lost)),
            None => self.timed_out.then_some(HandshakeError::TimedOut),
        }
    }

    /// Ends the exchange and returns the bytes received after the head.
    pub(crate) fn take_remainder(&mut self) -> Remainder {
        let remainder = Remainder {
            bytes: Bytes::copy_from_slice(self.received()),
            lost: self.lost,
        };
        self.finish();
        remainder
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.output.copy(bytes, [0; 4]);
        self.waiting = self.output.remaining();
    }

    /// Returns the output that was not written yet.
    pub(crate) const fn output(&self) -> &Transmit {
        &self.output
    }

    /// Sends a last response to a request of this `method`, and then ends.
    pub(super) fn refuse(&mut self, response: Response, method: Method) {
        self.send(&response.encode_last(method));
        self.stage = Stage::Answering;
        self.fresh = false;
        self.timer.start(self.config.write_timeout);
        if self.lost.is_some_and(|lost| lost != Lost::Eof) {
            self.finish();
        }
    }

    /// Ends at once.
    pub(crate) fn finish(&mut self) {
        self.stage = Stage::Done;
        self.timer = Alarm::OFF;
        self.fresh = false;
        self.input = Vec::new();
        (self.start, self.end) = (0, 0);
        self.output = Transmit::default();
    }
}

/// The bytes received after the peer's head, and the end of the transport if it came.
#[derive(Debug)]
pub(crate) struct Remainder {
    pub(crate) bytes: Bytes,
    lost: Option<Lost>,
}

impl Remainder {
    pub(super) fn hand_to(&self, connection: &mut Connection) {
        connection.receive(&self.bytes);
        match self.lost {
            Some(Lost::Eof) => connection.handle_eof(),
            Some(lost) => connection.handle_error(lost),
            None => {}
        }
    }
}
