//! The times at which deadlines must come, by what [`Config`] says of them, and not a moment earlier.
//!
//! The time is passed after every operation, so that a deadline begins at the time of its cause.

use std::time::Duration;

use proto::{Config, Deadline, Instant, KeepAlive};

use crate::bodies::{entropy, outbox::Kept};

#[derive(Default, Debug)]
pub(crate) struct Watch {
    keep_alive: Stage,
    /// The most unsolicited Pongs that may be seen until nothing waits.
    beats: u32,
    /// Whether one of them must be seen by then.
    owes_beat: bool,
    heard: bool,
    /// Whether everything received was polled.
    polled: bool,
    closing: Since,
    write: Since,
    /// For a message that has not ended: the time since which everything received of it is polled.
    message: Since,
    which: u64,
    over: Vec<Deadline>,
}

#[derive(Default, Debug)]
enum Stage {
    /// It begins when the time is passed.
    #[default]
    New,
    /// At that time it checks whether anything was received, or sends a Pong.
    Listening(Option<Instant>),
    /// A Ping must be sent.
    Pinged,
    Awaiting(Since),
    Off,
}

/// The time at which something with a deadline began.
#[derive(Clone, Copy, Default, Debug, PartialEq)]
enum Since {
    #[default]
    Never,
    /// The time was not passed since then.
    Now,
    At(Instant),
}

impl Since {
    fn is_over(&mut self, now: Instant, after: Option<Duration>) -> bool {
        if *self == Self::Now {
            *self = Self::At(now);
        }
        match (*self, after) {
            (Self::At(at), Some(after)) => now.saturating_duration_since(at) >= after,
            _ => false,
        }
    }
}

impl Watch {
    pub(crate) fn new() -> Self {
        Self {
            polled: true,
            ..Self::default()
        }
    }

    /// Handles that bytes were read.
    pub(crate) fn heard(&mut self) {
        self.heard = true;
        self.polled = false;
        if let Stage::Awaiting(_) = self.keep_alive {
            self.keep_alive = Stage::New;
        }
    }

    /// Handles the end of the transport. If the transport failed, nothing more is sent.
    pub(crate) fn ended(&mut self, failed: bool) {
        self.polled = false;
        if failed {
            self.stop();
            self.write = Since::Never;
        }
    }

    /// Handles that everything received was polled.
    pub(crate) fn polled(&mut self) {
        self.polled = true;
    }

    /// Handles that data was delivered.
    pub(crate) fn data(&mut self) {
        self.message = Since::Never;
    }

    /// Handles that everything was polled, and this message has not ended.
    pub(crate) fn unfinished(&mut self, which: Option<u64>) {
        match which {
            None => self.message = Since::Never,
            Some(which) if which == self.which => {}
            Some(which) => (self.which, self.message) = (which, Since::Now),
        }
    }

    /// Handles that the closing handshake began, or that the connection failed.
    pub(crate) fn closing(&mut self) {
        if self.closing == Since::Never {
            self.closing = Since::Now;
        }
        self.stop();
    }

    fn stop(&mut self) {
        self.keep_alive = Stage::Off;
        self.owes_beat = false;
    }

    /// Handles an attempt to write: whether bytes were written, whether something still waits, and what keep-alive
    /// sent.
    pub(crate) fn wrote(&mut self, moved: bool, waits: bool, kept: Kept) {
        if !waits {
            self.write = Since::Never;
        } else if moved || self.write == Since::Never {
            self.write = Since::Now;
        }
        if kept.pings > 0 {
            assert!(
                matches!(self.keep_alive, Stage::Pinged | Stage::Off),
                "a Ping before its time"
            );
            if let Stage::Pinged = self.keep_alive {
                self.keep_alive = Stage::Awaiting(Since::Now);
            }
        }
        assert!(kept.beats <= self.beats, "a Pong before its time");
        self.beats -= kept.beats;
        self.owes_beat &= kept.beats == 0 && kept.perhaps == 0;
        if waits {
            return;
        }
        let excused = self.is_over() || entropy::is_dry();
        let missing = matches!(self.keep_alive, Stage::Pinged);
        assert!(!missing || excused, "a keep-alive Ping is missing");
        assert!(!self.owes_beat || excused, "an unsolicited Pong is missing");
        self.beats = 0;
    }

    /// Passes the time.
    pub(crate) fn tick(&mut self, now: Instant, config: &Config) {
        let mut over = |is_over, deadline| {
            if is_over {
                self.over.push(deadline);
            }
        };
        over(
            self.closing.is_over(now, config.close_timeout),
            Deadline::Close,
        );
        over(
            self.write.is_over(now, config.write_timeout),
            Deadline::Write,
        );
        if self.closing == Since::Never && self.polled {
            over(
                self.message.is_over(now, config.message_timeout),
                Deadline::Message,
            );
        }
        let is_pong = config.keep_alive_kind == KeepAlive::Pong;
        let least = Duration::from_millis(if is_pong { 1 } else { 0 });
        let next = || now.checked_add(config.keep_alive?.max(least));
        match &mut self.keep_alive {
            Stage::New => self.keep_alive = Stage::Listening(next()),
            Stage::Listening(Some(at)) if *at <= now && is_pong => {
                self.keep_alive = Stage::Listening(next());
                // One that is being written, and one in a slot.
                (self.beats, self.owes_beat) = ((self.beats + 1).min(2), true);
            }
            Stage::Listening(Some(at)) if *at <= now => {
                let heard = std::mem::take(&mut self.heard) || !self.polled;
                self.keep_alive = match heard {
                    true => Stage::Listening(next()),
                    false => Stage::Pinged,
                };
            }
            Stage::Awaiting(since) => {
                let is_over = since.is_over(now, config.pong_timeout);
                self.over
                    .extend((is_over && self.polled).then_some(Deadline::Pong));
                if is_over {
                    // Unread input counts as received.
                    self.keep_alive = Stage::Listening(next());
                }
            }
            _ => {}
        }
    }

    /// Whether a deadline must have ended the connection.
    pub(crate) fn is_over(&self) -> bool {
        !self.over.is_empty()
    }

    /// Checks that this deadline, which was reported, has passed.
    pub(crate) fn assert_over(&self, deadline: Deadline, config: &Config) {
        match deadline {
            // It runs from when data was parsed, which may be long before the data is delivered.
            Deadline::Idle => assert!(config.idle_timeout.is_some()),
            Deadline::Message => assert!(config.message_timeout.is_some()),
            _ => assert!(self.over.contains(&deadline), "{deadline}, before its time"),
        }
    }
}
