use std::{
    cell::{Cell, OnceCell},
    fmt::Debug,
    pin::Pin,
    sync::{Arc, LazyLock, atomic::Ordering},
    task::{Context, Poll, Wake, Waker},
    time::{self, Duration},
};

use bind::{Timer, proto::Instant};

use crate::sync::{AtomicBool, Thread, thread, thread_local};

/// The time by which a [`BlockingTransport`](crate::Transport) waits: that of the system, or a test's.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<dyn Time>>);

/// A time of its own, for tests that are not to wait.
pub trait Time: Debug + Send + Sync {
    /// What time it is.
    fn now(&self) -> Instant;

    /// As [`thread::park_timeout`], until a time.
    fn park(&self, until: Option<Instant>);

    /// As [`Thread::unpark`].
    fn unpark(&self, thread: &Thread);
}

static EPOCH: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

impl Clock {
    /// A clock that shows `time`.
    pub fn new(time: Arc<dyn Time>) -> Self {
        Self(Some(time))
    }

    /// Waits to be unparked; now and then for no reason.
    pub(crate) fn park(&self, until: Option<Instant>) {
        match (&self.0, until) {
            (Some(time), until) => time.park(until),
            (None, None) => thread::park(),
            (None, Some(until)) => {
                thread::park_timeout(until.since_epoch().saturating_sub(EPOCH.elapsed()));
            }
        }
    }

    /// What wakes this thread.
    pub(crate) fn signal(&self) -> Arc<Signal> {
        thread_local! {
            static SYSTEM: OnceCell<Arc<Signal>> = const { OnceCell::new() };
        }
        let new = || {
            Arc::new(Signal {
                clock: self.clone(),
                thread: thread::current(),
                woken: AtomicBool::new(false),
            })
        };
        match &self.0 {
            Some(_) => new(),
            None => SYSTEM.with(|signal| signal.get_or_init(new).clone()),
        }
    }
}

impl Timer for Clock {
    fn now(&self) -> Instant {
        match &self.0 {
            Some(time) => time.now(),
            None => Instant::from_epoch(EPOCH.elapsed()),
        }
    }

    /// A deadline has come once the transport was asked after it. The process may have been stopped, or the
    /// thread away, for longer than the deadline.
    fn poll_until(&mut self, _: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let mut come = Poll::Pending;
        Wants::note(|wants| {
            if wants.asked.is_some_and(|asked| asked >= deadline) {
                come = Poll::Ready(());
            } else {
                wants.until = Some(wants.until.map_or(deadline, |until| until.min(deadline)));
            }
        });
        come
    }
}

/// Wakes a thread.
#[derive(Debug)]
pub(crate) struct Signal {
    clock: Clock,
    thread: Thread,
    woken: AtomicBool,
}

impl Signal {
    pub(crate) fn reset(&self) {
        self.woken.store(false, Ordering::SeqCst);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.woken.load(Ordering::SeqCst)
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::SeqCst);
        match &self.clock.0 {
            Some(time) => time.unpark(&self.thread),
            None => self.thread.unpark(),
        }
    }
}

/// What a call that is pending waits for, besides being woken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    /// The first of the deadlines.
    pub(crate) until: Option<Instant>,
    /// Something to read.
    pub(crate) read: bool,
    /// When the thread last began to read and write what was to be done.
    asked: Option<Instant>,
    /// The thread that polls allows one read to wait.
    may_wait: Option<MayWait>,
    /// A future is polled.
    polling: bool,
}

/// How long something may wait; `None` for ever.
pub(crate) type MayWait = Option<Duration>;

thread_local! {
    /// Of this thread, which polls one future at a time.
    static WANTS: Cell<Wants> = const {
        Cell::new(Wants { until: None, read: false, asked: None, may_wait: None, polling: false })
    };
}

impl Wants {
    pub(crate) fn note(note: impl FnOnce(&mut Self)) {
        WANTS.with(|cell| {
            let mut wants = cell.get();
            note(&mut wants);
            cell.set(wants);
        });
    }

    /// Whether this read, the first that asks, may wait.
    pub(crate) fn may_wait() -> Option<MayWait> {
        let mut may_wait = None;
        Self::note(|wants| may_wait = wants.may_wait.take());
        may_wait
    }

    /// Whether this thread polls a future.
    pub(crate) fn is_polling() -> bool {
        WANTS.with(|cell| cell.get().polling)
    }

    /// Polls `future`, and returns what it wants then. Its first read may wait as `may_wait` says.
    pub(crate) fn poll<F: Future>(
        future: Pin<&mut F>,
        waker: &Waker,
        may_wait: Option<MayWait>,
        asked: Option<Instant>,
    ) -> (Poll<F::Output>, Self) {
        WANTS.with(|cell| {
            cell.set(Self {
                may_wait,
                asked,
                polling: true,
                ..Self::default()
            });
        });
        let polled = future.poll(&mut Context::from_waker(waker));
        (polled, WANTS.with(Cell::take))
    }
}
