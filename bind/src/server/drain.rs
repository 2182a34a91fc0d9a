use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Weak,
    time::Duration,
};

use proto::{CloseCode, CloseFrame, Instant, IntoClose};

use super::permit::Permit;

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

/// The next thing that a server has to do to stop.
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

    /// Returns the next step, for a server that has this number of `connections`.
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

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::sync::Arc;

    use super::{super::registry::Registry, *};

    const SECOND: Duration = Duration::from_secs(1);

    fn at(time: Duration) -> Instant {
        Instant::from_epoch(time)
    }

    /// Returns the number and the time of each socket that is told, and when the rest are aborted.
    fn told(stop: Stop, count: usize) -> (Vec<(u64, Duration)>, Duration) {
        let registry = Arc::new(Registry::default());
        let permits: Vec<_> = (0..count)
            .map(|_| {
                let permit = registry.admit(None, None).unwrap();
                assert!(permit.open(at(Duration::ZERO), None, "/"));
                permit
            })
            .collect();
        let mut drain = Drain::new(stop);
        drain.tell(permits.iter().map(Arc::downgrade).collect());
        let begin = 100 * SECOND;
        let (mut now, mut told) = (begin, Vec::new());
        loop {
            match drain.step(at(now), count) {
                Step::Close(permit, _) => {
                    told.push((permit.upgrade().unwrap().id(), now.saturating_sub(begin)));
                }
                Step::Wait(until) => {
                    assert!(until > at(now));
                    now = until.since_epoch();
                }
                Step::Abort => return (told, now.saturating_sub(begin)),
                Step::WaitForEnds | Step::Done { .. } => panic!("there is a deadline"),
            }
        }
    }

    #[test]
    fn sockets_are_told_in_random_order_over_the_window() {
        let (sockets, aborted) = told(Stop::within(10 * SECOND).spread(5 * SECOND), 50);
        assert_eq!(aborted, 10 * SECOND);
        let mut ids: Vec<_> = sockets.iter().map(|it| it.0).collect();
        let times: Vec<_> = sockets.iter().map(|it| it.1).collect();
        let even: Vec<_> = (0..50).map(|index| 5 * SECOND / 50 * index).collect();
        assert_eq!(times, even);
        assert!(!ids.is_sorted(), "this fails once in 50! runs");
        ids.sort_unstable();
        assert_eq!(ids, (0..50).collect::<Vec<_>>());
    }

    #[test]
    fn the_window_is_a_millisecond_for_each_and_half_of_the_deadline_at_most() {
        let (sockets, _) = told(SECOND.into(), 10);
        assert_eq!(sockets.last().unwrap().1, Duration::from_millis(9));
        let (sockets, _) = told(SECOND.into(), 5000);
        assert_eq!(sockets.len(), 5000);
        assert!(sockets.last().unwrap().1 < SECOND / 2);
    }

    #[test]
    fn a_window_beyond_the_deadline_does_not_move_it() {
        let (sockets, aborted) = told(Stop::within(SECOND).spread(4 * SECOND), 100);
        assert_eq!((sockets.len(), aborted), (25, SECOND));
    }

    #[test]
    fn it_ends_when_nothing_is_left_or_soon_after_the_deadline() {
        let mut drain = Drain::new(SECOND.into());
        assert!(matches!(drain.step(at(SECOND), 3), Step::Wait(until) if until == at(2 * SECOND)));
        assert!(matches!(
            drain.step(at(SECOND), 0),
            Step::Done { aborted: 0 }
        ));
        assert!(matches!(drain.step(at(2 * SECOND), 2), Step::Abort));
        assert!(
            matches!(drain.step(at(2 * SECOND), 1), Step::Wait(until) if until == at(3 * SECOND))
        );
        assert!(matches!(
            drain.step(at(2 * SECOND), 0),
            Step::Done { aborted: 2 }
        ));
        assert!(matches!(
            drain.step(at(3 * SECOND), 1),
            Step::Done { aborted: 2 }
        ));
        let mut endless = Drain::new(Duration::MAX.into());
        assert!(matches!(endless.step(at(SECOND), 1), Step::WaitForEnds));
    }
}
