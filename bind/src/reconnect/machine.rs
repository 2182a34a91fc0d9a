use std::{collections::VecDeque, fmt, time::Duration};

use proto::{EntropyError, Instant, Message, handshake::Response};

use super::{
    backoff::{Backoff, Exhausted, Row},
    outage::{GaveUp, GiveUpReason, Outage},
};
use crate::client::Connect;

/// An event in the life of a [`Reconnect`](crate::Reconnect).
#[derive(Debug)]
#[non_exhaustive]
pub enum ReconnectEvent {
    /// A message has come.
    Message(Message),
    /// A connection is open, and `on_connect` has succeeded. Contains the server's response.
    Connected(Response),
    /// The connection was lost. Another attempt will be made.
    Lost {
        /// The reason.
        outage: Outage,
        /// The messages that were handed to the connection and not flushed. They are not sent again. The peer may have
        /// received the last messages that were flushed, or not; only its answer can tell.
        unsent: u64,
    },
    /// The next attempt begins after a delay.
    Waiting {
        /// The delay.
        delay: Duration,
        /// The attempts in a row that have failed.
        attempts: u32,
        /// The reason why the last attempt failed, unless [`Lost`](Self::Lost) has told it.
        outage: Option<Outage>,
    },
}

/// The stage of a socket that reconnects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReconnectState {
    /// A connection is being made, or `on_connect` is running.
    Connecting,
    /// There is a connection.
    Open,
    /// The next attempt begins after a delay.
    Waiting,
    /// The socket was stopped, has given up, or was dropped.
    Ended,
}

impl From<Step> for ReconnectState {
    fn from(step: Step) -> Self {
        match step {
            Step::Connect => Self::Connecting,
            Step::Receive => Self::Open,
            Step::Wait(_) => Self::Waiting,
            Step::End => Self::Ended,
        }
    }
}

/// The step that a caller has to take next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// Connect, and then call [`handle_open`](Machine::handle_open) or
    /// [`handle_outage`](Machine::handle_outage).
    Connect,
    /// Receive until the connection is lost, and then call [`handle_outage`](Machine::handle_outage).
    Receive,
    /// Wait until then, and then call [`handle_timeout`](Machine::handle_timeout).
    Wait(Instant),
    /// Nothing. The socket has ended.
    End,
}

/// The decisions of a socket that reconnects. It does no I/O, and is told the time.
pub struct Machine {
    /// The delays, and when to give up.
    pub policy: Backoff,
    /// Replaces [`Outage::is_transient`].
    pub retry_if: Option<Box<RetryIf>>,
    entropy: fn(&mut [u8]) -> Result<(), EntropyError>,
    row: Row,
    step: Step,
    is_open: bool,
    events: VecDeque<ReconnectEvent>,
    gave_up: Option<GaveUp>,
}

type RetryIf = dyn Fn(&Outage) -> bool + Send + Sync;

impl Machine {
    /// Makes a machine that connects at once.
    pub fn new(to: &Connect) -> Self {
        Self {
            entropy: to.current_config().entropy,
            policy: Backoff::default(),
            retry_if: None,
            row: Row::default(),
            step: Step::Connect,
            is_open: false,
            events: VecDeque::new(),
            gave_up: None,
        }
    }

    /// Returns what to do next.
    pub const fn step(&self) -> Step {
        self.step
    }

    /// Returns the next event, or the error with which it has given up, which is returned once.
    pub fn poll_event(&mut self) -> Result<Option<ReconnectEvent>, GaveUp> {
        match self.events.pop_front() {
            None => self.gave_up.take().map_or(Ok(None), Err),
            event => Ok(event),
        }
    }

    /// Records that a connection is open. `on_connect` may still fail.
    pub const fn handle_open(&mut self, now: Instant) {
        self.row.handle_open(now);
    }

    /// Records that `on_connect` has succeeded.
    pub fn handle_ready(&mut self, response: Response) {
        self.is_open = true;
        self.step = Step::Receive;
        self.events.push_back(ReconnectEvent::Connected(response));
    }

    /// Records that an attempt has failed, or that the connection was lost with `unsent` messages.
    pub fn handle_outage(&mut self, outage: Outage, unsent: u64, now: Instant) {
        let was_open = std::mem::take(&mut self.is_open);
        let retries = match &self.retry_if {
            Some(retry_if) => retry_if(&outage),
            None => outage.is_transient(),
        };
        let delay = self
            .row
            .handle_failure(&self.policy, now, self.random(), outage.retry_after());
        let reason = match delay {
            _ if !retries => GiveUpReason::Fatal,
            Ok(delay) => return self.wait(delay, outage, was_open, unsent, now),
            Err(Exhausted::Attempts) => GiveUpReason::Attempts,
            Err(Exhausted::Total) => GiveUpReason::Total,
        };
        self.step = Step::End;
        if reason == GiveUpReason::Fatal && outage.is_normal() {
            return;
        }
        self.gave_up = Some(GaveUp {
            reason,
            outage,
            attempts: self.row.failures(),
            unsent,
        });
    }

    fn wait(&mut self, delay: Duration, outage: Outage, was_open: bool, unsent: u64, now: Instant) {
        let mut outage = Some(outage);
        if was_open && let Some(outage) = outage.take() {
            let lost = ReconnectEvent::Lost { outage, unsent };
            self.events.push_back(lost);
        }
        self.events.push_back(ReconnectEvent::Waiting {
            delay,
            attempts: self.row.failures(),
            outage,
        });
        // A delay that cannot be added to the time never ends.
        let until = now.checked_add(delay);
        self.step = Step::Wait(until.unwrap_or(Instant::from_epoch(Duration::MAX)));
    }

    /// Records that the time to wait has passed.
    pub fn handle_timeout(&mut self) {
        if let Step::Wait(_) = self.step {
            self.step = Step::Connect;
        }
    }

    /// Records that the application has stopped the socket.
    pub fn handle_stop(&mut self) {
        self.step = Step::End;
    }

    /// Without randomness the whole delay is taken.
    fn random(&self) -> u64 {
        let mut bytes = [0; 8];
        match (self.entropy)(&mut bytes) {
            Ok(()) => u64::from_le_bytes(bytes),
            Err(EntropyError) => u64::MAX,
        }
    }
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine")
            .field("policy", &self.policy)
            .field("row", &self.row)
            .field("step", &self.step)
            .finish_non_exhaustive()
    }
}
