//! The deadlines of receiving: keep-alive, Pong, closing, slow messages, idle connections.

use alloc::boxed::Box;
use core::time::Duration;

use bytes::Bytes;

use crate::{
    config::{Config, KeepAlive},
    error::Deadline,
    message::ControlPayload,
    send::control::Control,
    time::{Alarm, Instant},
};

/// The timers of the receiver. No clock is read when something happens. The event is noted and looked at when a
/// deadline comes; a deadline that must begin asks for the time first (see [`Alarm`]).
pub(super) struct Timers {
    keep_alive: Alarm,
    stage: Stage,
    message: Alarm,
    idle: Alarm,
    /// Whether the deadline passed while input was still unread. That input may prove that it was met, so it is
    /// judged only after all of it is polled.
    message_is_late: bool,
    idle_is_late: bool,
    /// Whether any input, or any data frame, arrived since the timer last fired.
    heard: bool,
    heard_data: bool,
    /// The last Ping that was sent, or an earlier one that was answered and not yet measured.
    probe: Option<Box<Probe>>,
    /// The round trip, as an [`Instant`] since the epoch because that takes half the memory of a `Duration`.
    latency: Option<Instant>,
    /// The numbers of Pings that keep-alive sent and that the peer sent.
    pings: u32,
    pings_received: u32,
}

/// The event that keep-alive by Pings waits for.
#[derive(Clone, Copy, PartialEq)]
enum Stage {
    /// The time to check whether anything was heard.
    Listening,
    /// Its Ping to be sent.
    Pinged,
    /// The time by which something must have been heard.
    Awaiting,
}

/// The shortest period of unsolicited Pongs.
const SHORTEST_BEAT: Duration = Duration::from_millis(1);

struct Probe {
    payload: ControlPayload,
    /// When the Ping was sent, once a clock has been read after that.
    sent_at: Option<Instant>,
    answered: bool,
}

impl Timers {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            keep_alive: Alarm::due(config.keep_alive),
            stage: Stage::Listening,
            message: Alarm::OFF,
            idle: Alarm::due(config.idle_timeout),
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
            self.listen(Alarm::DUE);
        }
    }

    #[inline]
    pub(super) fn handle_data(&mut self) {
        self.heard_data = true;
    }

    /// Handles that the first frame of a message came and did not end the message.
    pub(super) fn handle_message(&mut self, config: &Config) {
        self.message.start(config.message_timeout);
    }

    pub(super) fn handle_message_end(&mut self) {
        self.message = Alarm::OFF;
        self.message_is_late = false;
    }

    /// Handles that everything received was polled: a deadline that is late now has passed.
    pub(super) fn handle_drained(&mut self) {
        if core::mem::take(&mut self.message_is_late) {
            self.message = Alarm::PASSED;
        }
        if core::mem::take(&mut self.idle_is_late) {
            self.idle = Alarm::PASSED;
        }
    }

    /// From the first Close on, only the closing handshake has a deadline.
    pub(super) fn handle_closing(&mut self) {
        self.listen(Alarm::OFF);
        self.message = Alarm::OFF;
        self.idle = Alarm::OFF;
        (self.message_is_late, self.idle_is_late) = (false, false);
    }

    pub(super) fn handle_ping_sent(&mut self, payload: ControlPayload) {
        let is_ours = *payload == self.pings.to_be_bytes();
        if is_ours && self.stage == Stage::Pinged {
            (self.stage, self.keep_alive) = (Stage::Awaiting, Alarm::DUE);
        }
        // An earlier Ping that was answered still waits for the time to measure its round trip, so the new one is
        // not measured.
        if self.probe.as_ref().is_none_or(|probe| !probe.answered) {
            self.probe = Some(Box::new(Probe {
                payload,
                sent_at: None,
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
            && (probe.sent_at.is_none() || probe.answered)
        {
            return Some(Instant::EPOCH);
        }
        self.keep_alive.min(self.message).min(self.idle).at()
    }

    /// Returns the deadline that has passed, if one has. Unless `drained`, unread input counts as heard.
    pub(super) fn handle_timeout(
        &mut self,
        config: &Config,
        now: Instant,
        drained: bool,
        owed: &mut Control,
    ) -> Option<Deadline> {
        if let Some(probe) = &mut self.probe {
            let sent_at = *probe.sent_at.get_or_insert(now);
            if probe.answered {
                self.latency = Some(Instant::from_epoch(now.saturating_duration_since(sent_at)));
                self.probe = None;
            }
        }
        if self.message.is_over(now, config.message_timeout) {
            if drained {
                return Some(Deadline::Message);
            }
            // The end of the message may be in the unread input.
            (self.message, self.message_is_late) = (Alarm::OFF, true);
        }
        if self.idle.is_over(now, config.idle_timeout) {
            if core::mem::take(&mut self.heard_data) {
                self.idle = Alarm::DUE;
            } else if drained {
                return Some(Deadline::Idle);
            } else {
                (self.idle, self.idle_is_late) = (Alarm::OFF, true);
            }
        }
        match config.keep_alive_kind {
            KeepAlive::Ping => self.keep_alive_by_ping(config, now, drained, owed),
            KeepAlive::Pong => {
                self.keep_alive_by_pong(config, now, owed);
                None
            }
        }
    }

    fn keep_alive_by_ping(
        &mut self,
        config: &Config,
        now: Instant,
        drained: bool,
        owed: &mut Control,
    ) -> Option<Deadline> {
        match self.stage {
            Stage::Listening => {
                if self.keep_alive.is_over(now, config.keep_alive) {
                    if core::mem::take(&mut self.heard) || !drained {
                        self.keep_alive = Alarm::DUE;
                    } else {
                        self.pings = self.pings.wrapping_add(1);
                        let payload = Bytes::copy_from_slice(&self.pings.to_be_bytes());
                        owed.slots().keep_alive = Some(ControlPayload::from_checked(payload));
                        (self.stage, self.keep_alive) = (Stage::Pinged, Alarm::OFF);
                    }
                }
            }
            Stage::Awaiting => {
                // If anything was heard since, the wait has ended already.
                if self.keep_alive.is_over(now, config.pong_timeout) {
                    self.listen(if drained { Alarm::OFF } else { Alarm::DUE });
                    return drained.then_some(Deadline::Pong);
                }
            }
            Stage::Pinged => {}
        }
        None
    }

    /// §5.5.3: "A response to an unsolicited Pong frame is not expected." Its period therefore begins again at once.
    fn keep_alive_by_pong(&mut self, config: &Config, now: Instant, owed: &mut Control) {
        // Nothing else stops a period of no length from passing again and again.
        let period = config.keep_alive.map(|period| period.max(SHORTEST_BEAT));
        if self.keep_alive.is_over(now, period) {
            owed.slots().keep_alive = Some(ControlPayload::default());
            self.keep_alive = Alarm::DUE;
        }
    }

    fn listen(&mut self, timer: Alarm) {
        (self.stage, self.keep_alive) = (Stage::Listening, timer);
    }
}
