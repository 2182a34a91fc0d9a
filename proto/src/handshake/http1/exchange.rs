use alloc::{sync::Arc, vec::Vec};

use bytes::{Buf, Bytes};

use super::{error::HandshakeError, response::Response};
use crate::{
    config::Config,
    connection::Connection,
    error::Lost,
    send::transmit::Transmit,
    time::{Instant, Timer},
};

/// The bytes and the deadline of a handshake: what a driver serves on either side.
///
/// ```text
/// Reading ── 101 received ──→ Done, a Connection goes on
///    │ ╲
///    │  request received, to be decided on ──→ Done, an Incoming goes on
///    ↓ not valid                                        ↓ refused: another Exchange
/// Answering ── flushed ──→ Draining ── peer's end, deadline ──→ Done
/// ```
///
/// Without an answer to write it is done as soon as `poll` has told how it ended.
#[derive(Debug)]
pub struct Exchange {
    config: Arc<Config>,
    stage: Stage,
    timer: Timer,
    /// Received bytes that are still needed are `start..end` of it.
    input: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether anything was received, and whether `poll` has not looked at it.
    heard: bool,
    fresh: bool,
    output: Transmit,
    /// How much of `output` waited when it was last looked at.
    waiting: usize,
    timed_out: bool,
    lost: Option<Lost>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// The peer's head is due, or the body of its refusal.
    Reading,
    /// Our refusal is being written. Input is discarded.
    Answering,
    /// Our direction ends. Input is discarded until the peer's ends as well, for a transport that is
    /// closed with input unread is reset, and the reset may overtake our answer.
    Draining,
    Done,
}

impl Exchange {
    /// How much is read at a time: what comes behind the head must fit into a new connection.
    const ROOM: usize = 4 << 10;

    pub(super) fn new(config: Arc<Config>) -> Self {
        Self {
            config: config.clone(),
            stage: Stage::Reading,
            timer: Timer::due(config.handshake_timeout),
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

    /// An exchange whose request was read, and is refused.
    pub(super) fn refusal(config: Arc<Config>, response: Response, rest: &Rest) -> Self {
        let mut exchange = Self::new(config);
        exchange.lost = rest.lost;
        exchange.refuse(response);
        exchange
    }

    /// Room to read into; `None` until what was received before is polled, and after the end.
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

    /// The peer ended its direction of the transport. Takes its place behind what was received.
    pub fn handle_eof(&mut self) {
        self.lost.get_or_insert(Lost::Eof);
        if self.stage == Stage::Draining {
            self.finish();
        }
    }

    /// The transport failed. Takes its place behind what was received: if a write fails, read what can
    /// be read before, for a server may refuse a request that it has not read to its end.
    pub fn handle_error(&mut self, lost: Lost) {
        self.lost.get_or_insert(lost);
        self.output = Transmit::default();
        if matches!(self.stage, Stage::Answering | Stage::Draining) {
            self.finish();
        }
    }

    /// What to write to the transport; `None` if there is nothing. Call
    /// [`handle_sent`](Self::handle_sent) after it.
    pub fn transmit(&mut self) -> Option<&mut Transmit> {
        Some(&mut self.output).filter(|output| output.has_remaining())
    }

    /// A write was attempted, with or without success, and `flushed` tells whether the transport
    /// itself holds nothing back.
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

    /// When to call [`handle_timeout`](Self::handle_timeout); a moment in the past means at once, for
    /// a deadline has to begin.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timer.at()
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.stage {
            Stage::Reading => {
                if self.timer.is_over(now, self.config.handshake_timeout) {
                    self.timed_out = true;
                    self.timer = Timer::OFF;
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

    /// Whether it is over: close the transport, unless there is a connection.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    pub(super) const fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Whether the peer's part is due.
    pub(super) fn is_reading(&self) -> bool {
        self.stage == Stage::Reading
    }

    /// What was received and is still needed.
    pub(super) fn received(&mut self) -> &[u8] {
        self.fresh = false;
        self.input.get(self.start..self.end).unwrap_or_default()
    }

    /// The first `count` bytes received are not needed any more.
    pub(super) fn consume(&mut self, count: usize) {
        self.start = self.start.saturating_add(count).min(self.end);
    }

    /// Whether anything was received, ever.
    pub(super) const fn has_heard(&self) -> bool {
        self.heard
    }

    /// Why nothing more will be received, if so.
    pub(super) fn ended(&self) -> Option<HandshakeError> {
        match self.lost {
            Some(lost) if self.heard => Some(HandshakeError::Truncated(lost)),
            Some(lost) => Some(HandshakeError::Lost(lost)),
            None => self.timed_out.then_some(HandshakeError::TimedOut),
        }
    }

    /// Ends, and leaves what was received behind the head.
    pub(super) fn take_rest(&mut self) -> Rest {
        let rest = Rest {
            bytes: Bytes::copy_from_slice(self.received()),
            lost: self.lost,
        };
        self.finish();
        rest
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.output.copy(bytes, [0; 4]);
        self.waiting = self.output.remaining();
    }

    /// What was not written yet.
    pub(super) const fn output(&self) -> &Transmit {
        &self.output
    }

    /// Sends a last response, and ends.
    pub(super) fn refuse(&mut self, response: Response) {
        self.send(&response.encode_last());
        self.stage = Stage::Answering;
        self.fresh = false;
        self.timer.start(self.config.write_timeout);
        if self.lost.is_some_and(|lost| lost != Lost::Eof) {
            self.finish();
        }
    }

    /// Ends at once.
    pub(super) fn finish(&mut self) {
        self.stage = Stage::Done;
        self.timer = Timer::OFF;
        self.fresh = false;
        self.input = Vec::new();
        (self.start, self.end) = (0, 0);
        self.output = Transmit::default();
    }
}

/// What was received behind the peer's head.
#[derive(Debug)]
pub(super) struct Rest {
    bytes: Bytes,
    lost: Option<Lost>,
}

impl Rest {
    pub(super) fn hand_to(&self, connection: &mut Connection) {
        connection.receive(&self.bytes);
        match self.lost {
            Some(Lost::Eof) => connection.handle_eof(),
            Some(lost) => connection.handle_error(lost),
            None => {}
        }
    }
}
