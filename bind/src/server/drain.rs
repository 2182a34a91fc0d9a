use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Weak,
    time::Duration,
};

use proto::{CloseCode, CloseFrame, Instant, IntoClose};

use super::registry::Permit;

/// How a server stops: it tells each socket to close, in random order and spread over a time, and ends those that are
/// still there at the deadline.
#[derive(Clone, Debug)]
#[must_use = "it does nothing until it is passed to `stop`"]
pub struct Stop {
    deadline: Duration,
    window: Option<Duration>,
    frame: Option<CloseFrame>,
}

impl Stop {
    /// Stops within `deadline`.
    pub fn within(deadline: Duration) -> Self {
        Self {
            deadline,
            window: None,
            frame: CloseCode::GOING_AWAY.into_close(),
        }
    }

    /// Sets the time over which the sockets are told to close, so that their clients do not all come back at once. The
    /// deadline is not moved by this. The default is 1 ms for each socket, and half of the deadline at most.
    pub fn spread(mut self, window: Duration) -> Self {
        self.window = Some(window);
        self
    }

    /// Sets the Close, such as [`CloseCode::SERVICE_RESTART`]. The default is [`CloseCode::GOING_AWAY`] (RFC 6455 §7.4.1).
    pub fn close(mut self, frame: impl IntoClose) -> Self {
        self.frame = frame.into_close();
        self
    }
}

impl From<Duration> for Stop {
    fn from(deadline: Duration) -> Self {
        Self::within(deadline)
    }
}

/// The sockets of a server that stops.
#[derive(Debug)]
pub(super) struct Drain {
    stop: Stop,
    /// The sockets that were open, in the order in which they are told.
    permits: Vec<Weak<Permit>>,
    /// How many of them were told.
    told: usize,
    began: Option<Instant>,
    /// How many connections were still there at the deadline, once it has passed.
    aborted: Option<usize>,
}

/// What is to be done now.
pub(super) enum Step {
    /// Tell a socket to close.
    Close(Weak<Permit>, Option<CloseFrame>),
    /// End all connections.
    Abort,
    Wait(Instant),
    /// Wait for connections to end. There is no deadline.
    WaitForEnds,
    Done {
        /// How many connections did not end in time.
        aborted: usize,
    },
}

impl Drain {
    /// How long to wait for connections to end after they were aborted. Only a handler that does not return takes longer.
    const GRACE: Duration = Duration::from_secs(1);

    pub(super) const fn new(stop: Stop) -> Self {
        Self {
            stop,
            permits: Vec::new(),
            told: 0,
            began: None,
            aborted: None,
        }
    }

    /// Sets the connections that are told, in random order.
    pub(super) fn tell(&mut self, mut open: Vec<Weak<Permit>>) {
        // Each hasher of the standard library has random keys.
        let random = RandomState::new();
        while let Some(count) = u64::try_from(open.len()).ok().filter(|len| *len > 0) {
            let mut hasher = random.build_hasher();
            hasher.write_u64(count);
            let chosen = usize::try_from(hasher.finish() % count).unwrap_or(0);
            self.permits.push(open.swap_remove(chosen));
        }
    }

    pub(super) fn frame(&self) -> Option<CloseFrame> {
        self.stop.frame.clone()
    }

    /// Returns what is to be done now, while there are so many `connections`.
    pub(super) fn step(&mut self, now: Instant, connections: usize) -> Step {
        let began = *self.began.get_or_insert(now);
        let deadline = began.checked_add(self.stop.deadline);
        let aborted = self.aborted.unwrap_or(0);
        if connections == 0 {
            return Step::Done { aborted };
        }
        if self.aborted.is_some() {
            return match deadline.and_then(|it| it.checked_add(Self::GRACE)) {
                Some(last) if now < last => Step::Wait(last),
                _ => Step::Done { aborted },
            };
        }
        if deadline.is_some_and(|deadline| now >= deadline) {
            self.aborted = Some(connections);
            return Step::Abort;
        }
        let Some(permit) = self.permits.get(self.told) else {
            return deadline.map_or(Step::WaitForEnds, Step::Wait);
        };
        match began.checked_add(self.delay()) {
            Some(due) if due > now => Step::Wait(deadline.map_or(due, |it| it.min(due))),
            _ => {
                self.told += 1;
                Step::Close(permit.clone(), self.stop.frame.clone())
            }
        }
    }

    /// Returns when the next socket is told, counted from the beginning.
    fn delay(&self) -> Duration {
        let count = u32::try_from(self.permits.len()).unwrap_or(u32::MAX);
        let told = u32::try_from(self.told).unwrap_or(u32::MAX);
        let default = Duration::from_millis(count.into()).min(self.stop.deadline / 2);
        let window = self.stop.window.unwrap_or(default);
        window / count.max(1) * told
    }
}
