//! The deadlines of receiving: keep-alive, Pong, closing, slow messages, silence.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Bytes;

use crate::{
    config::Config,
    error::Deadline,
    message::ControlPayload,
    send::control::Control,
    time::{Instant, Timer},
};

/// No clock is read when something happens. What happened is noted, and looked at when a deadline
/// comes; a deadline that has to begin asks for the time first (see [`Timer`]).
pub(super) struct Timers {
    keep_alive: Timer,
    stage: Stage,
    message: Timer,
    idle: Timer,
    /// These have come, and what was not polled may say that they were kept.
    message_is_late: bool,
    idle_is_late: bool,
    /// Something, or data, was heard since it was last looked at.
    heard: bool,
    heard_data: bool,
    /// The last Ping that left, or one that was answered and not measured.
    probe: Option<Box<Probe>>,
    /// Since the epoch: so it takes half as much memory.
    latency: Option<Instant>,
    /// Of keep-alive, and of the peer.
    pings: u32,
    pings_received: u32,
}

/// What keep-alive waits for.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The time to look whether something was heard.
    Listening,
    /// That its Ping leaves.
    Pinged,
    /// The time when something must have been heard.
    Awaiting,
}

struct Probe {
    payload: ControlPayload,
    /// When it left; not known at first.
    left: Option<Instant>,
    answered: bool,
}

impl Timers {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            keep_alive: Timer::due(config.keep_alive),
            stage: Stage::Listening,
            message: Timer::OFF,
            idle: Timer::due(config.idle_timeout),
            message_is_late: false,
            idle_is_late: false,
            heard: false,
            heard_data: false,
            probe: None,
            latency: None,
            pings: 0,
            pings_received: 0,
        }
    }

    #[inline]
    pub(super) fn handle_input(&mut self) {
        self.heard = true;
        if self.stage == Stage::Awaiting {
            self.listen(Timer::DUE);
        }
    }

    #[inline]
    pub(super) fn handle_data(&mut self) {
        self.heard_data = true;
    }

    /// The first frame of a message came, and did not end it.
    pub(super) fn handle_message(&mut self, config: &Config) {
        self.message.start(config.message_timeout);
    }

    pub(super) fn handle_message_end(&mut self) {
        self.message = Timer::OFF;
        self.message_is_late = false;
    }

    /// All that was received was polled: what is late now is late.
    pub(super) fn handle_drained(&mut self) {
        if core::mem::take(&mut self.message_is_late) {
            self.message = Timer::PASSED;
        }
        if core::mem::take(&mut self.idle_is_late) {
            self.idle = Timer::PASSED;
        }
    }

    /// From the first Close on, only the closing handshake has a deadline.
    pub(super) fn handle_closing(&mut self) {
        self.listen(Timer::OFF);
        self.message = Timer::OFF;
        self.idle = Timer::OFF;
        (self.message_is_late, self.idle_is_late) = (false, false);
    }

    pub(super) fn handle_ping_left(&mut self, payload: ControlPayload) {
        let is_ours = *payload == self.pings.to_be_bytes();
        if is_ours && self.stage == Stage::Pinged {
            (self.stage, self.keep_alive) = (Stage::Awaiting, Timer::DUE);
        }
        // One that was answered waits for the time, which tells its round trip: this one is not measured.
        if self.probe.as_ref().is_none_or(|probe| !probe.answered) {
            self.probe = Some(Box::new(Probe {
                payload,
                left: None,
                answered: false,
            }));
        }
    }

    pub(super) fn handle_ping(&mut self) {
        self.pings_received = self.pings_received.wrapping_add(1);
    }

    pub(super) fn pings_received(&self) -> u32 {
        self.pings_received
    }

    /// §5.5.3: the Pong "must have identical "Application data" as found in the … Ping".
    pub(super) fn handle_pong(&mut self, payload: &ControlPayload) {
        if let Some(probe) = &mut self.probe
            && probe.payload == *payload
        {
            probe.answered = true;
        }
    }

    pub(super) fn latency(&self) -> Option<Duration> {
        self.latency.map(Instant::since_epoch)
    }

    #[inline]
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if let Some(probe) = &self.probe
            && (probe.left.is_none() || probe.answered)
        {
            return Some(Instant::EPOCH);
        }
        self.keep_alive.min(self.message).min(self.idle).at()
    }

    /// The deadline that has passed, if one has. What is in the receiver (not `drained`) was heard.
    pub(super) fn handle_timeout(
        &mut self,
        config: &Config,
        now: Instant,
        drained: bool,
        owed: &mut Control,
    ) -> Option<Deadline> {
        if let Some(probe) = &mut self.probe {
            let left = *probe.left.get_or_insert(now);
            if probe.answered {
                self.latency = Some(Instant::from_epoch(now.saturating_duration_since(left)));
                self.probe = None;
            }
        }
        if self.message.is_over(now, config.message_timeout) {
            if drained {
                return Some(Deadline::Message);
            }
            // Its end may be what was not polled.
            (self.message, self.message_is_late) = (Timer::OFF, true);
        }
        if self.idle.is_over(now, config.idle_timeout) {
            if core::mem::take(&mut self.heard_data) {
                self.idle = Timer::DUE;
            } else if drained {
                return Some(Deadline::Idle);
            } else {
                (self.idle, self.idle_is_late) = (Timer::OFF, true);
            }
        }
        match self.stage {
            Stage::Listening => {
                if self.keep_alive.is_over(now, config.keep_alive) {
                    if core::mem::take(&mut self.heard) || !drained {
                        self.keep_alive = Timer::DUE;
                    } else {
                        self.pings = self.pings.wrapping_add(1);
                        let payload = Bytes::copy_from_slice(&self.pings.to_be_bytes());
                        owed.slots().ping = Some(ControlPayload::from_checked(payload));
                        (self.stage, self.keep_alive) = (Stage::Pinged, Timer::OFF);
                    }
                }
            }
            Stage::Awaiting => {
                // Whatever was heard since has ended the wait already.
                if self.keep_alive.is_over(now, config.pong_timeout) {
                    self.listen(if drained { Timer::OFF } else { Timer::DUE });
                    return drained.then_some(Deadline::Pong);
                }
            }
            Stage::Pinged => {}
        }
        None
    }

    fn listen(&mut self, timer: Timer) {
        (self.stage, self.keep_alive) = (Stage::Listening, timer);
    }
}
