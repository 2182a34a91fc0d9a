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

/// The clock by which a [`BlockingTransport`](crate::Transport) waits: the system's, or that of a test.
#[derive(Clone, Debug, Default)]
pub struct Clock(Option<Arc<dyn Time>>);

/// A source of time for tests that must not wait for real.
pub trait Time: Debug + Send + Sync {
    /// Returns the current time.
    fn now(&self) -> Instant;

    /// As [`thread::park_timeout`], with a point in time instead of a duration.
    fn park(&self, until: Option<Instant>);

    /// As [`Thread::unpark`].
    fn unpark(&self, thread: &Thread);
}

static EPOCH: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

impl Clock {
    /// Makes a clock that shows `time`.
    pub fn new(time: Arc<dyn Time>) -> Self {
        Self(Some(time))
    }

    /// Waits until unparked or until `until`. May return early for no reason.
    pub(crate) fn park(&self, until: Option<Instant>) {
        match (&self.0, until) {
            (Some(time), until) => time.park(until),
            (None, None) => thread::park(),
            (None, Some(until)) => {
                thread::park_timeout(until.since_epoch().saturating_sub(EPOCH.elapsed()));
            }
        }
    }

    /// Returns the signal that wakes this thread.
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

    /// A deadline is judged only if the transport was asked after it. If the process was stopped for
    /// longer than the deadline, input that meets the deadline may have arrived meanwhile.
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

/// The event that a pending call waits for, besides being woken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wants {
    /// The earliest deadline.
    pub(crate) until: Option<Instant>,
    /// Whether it waits for input.
    pub(crate) read: bool,
    /// When the thread last asked the transport for input and room for output.
    asked: Option<Instant>,
    /// How long one read of the poll may block, if it may.
    may_wait: Option<MayWait>,
    /// Whether this thread is polling a future.
    polling: bool,
}

/// The longest time that something may wait; `None` is without bound.
pub(crate) type MayWait = Option<Duration>;

thread_local! {
    /// Per thread, because a thread polls one future at a time.
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

    /// Takes the permission to block: the first read of a poll that asks for it gets it.
    pub(crate) fn may_wait() -> Option<MayWait> {
        let mut may_wait = None;
        Self::note(|wants| may_wait = wants.may_wait.take());
        may_wait
    }

    /// Whether this thread is polling a future.
    pub(crate) fn is_polling() -> bool {
        WANTS.with(|cell| cell.get().polling)
    }

    /// Polls `future`, and returns what it waits for if it is pending. Its first read may block as
    /// `may_wait` says.
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

    /// Calls a function of the application within a poll. It may run futures itself, as if there were no poll around it.
    pub(crate) fn apart<T>(f: impl FnOnce() -> T) -> T {
        /// Puts the state of the poll back, even if the function panics. A wake that was meant for the outer future may
        /// have been taken by an inner one, so the outer one is polled once more.
        struct Back(Wants);
        impl Drop for Back {
            fn drop(&mut self) {
                WANTS.with(|cell| cell.set(self.0));
                Clock::default().signal().wake();
            }
        }
        let _back = Back(WANTS.with(Cell::take));
        f()
    }
}
