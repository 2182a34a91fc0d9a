use std::{
    fmt, mem,
    sync::{
        Arc, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use proto::{Closed, Deadline, Instant, Message, State, Stats, Traffic, Utf8Bytes};

use crate::{
    driver::{Access, Call, Input},
    output::Output,
    sync::{Mutex, MutexGuard},
    transport::{Timer, Transport},
    wakers::{Key, Wakers},
};

/// The state that the halves share: both directions and the transport.
///
/// The lock of the output is held to queue, and for one poll of the transport, which does not block. It is never held
/// while a call waits or while input is parsed.
pub(crate) struct Shared<S: Transport> {
    output: Mutex<Output<S>>,
    seat: Mutex<Seat<S::Clock>>,
    wakers: Arc<Wakers>,
    /// All of `wakers` as the one waker that the transport and the clock get.
    joint: Waker,
    /// The clock, which each waiting call clones.
    timer: S::Clock,
    subprotocol: Option<Box<Utf8Bytes>>,
    /// The number of the socket, assigned when a handle first asks for it.
    id: OnceLock<u64>,
}

/// Both directions, and the subprotocol.
type Parts<S> = (
    Input<<S as Transport>::Clock>,
    Output<S>,
    Option<Box<Utf8Bytes>>,
);

/// The place of the receiving direction.
///
/// A call takes the receiving direction out, uses it without a lock, and puts it back. A call that finds the seat
/// empty does not block: it is woken when the seat is filled again. Only a small message is taken without emptying
/// the seat. That is cheaper, and holds the lock for no longer than it takes to parse 4 KiB.
struct Seat<T> {
    input: Option<Box<Input<T>>>,
    /// Whether a call has found the seat empty.
    wanted: bool,
    /// Whether a call that waits for output leaves receiving to the read half.
    relies: bool,
    /// The figures at the time when a call last took the input out.
    noted: Noted,
}

/// The figures of the receiving direction that the halves report.
#[derive(Clone, Copy)]
struct Noted {
    latency: Option<Duration>,
    traffic: Traffic,
}

impl<T> From<&Input<T>> for Noted {
    fn from(input: &Input<T>) -> Self {
        Self {
            latency: input.rx().latency(),
            traffic: input.rx().traffic(),
        }
    }
}

impl<S: Transport> Shared<S> {
    /// Creates the state that a read half and a write half share.
    pub(crate) fn new(
        mut output: Output<S>,
        input: Input<S::Clock>,
        subprotocol: Option<Box<Utf8Bytes>>,
    ) -> Self {
        let wakers = Arc::new(Wakers::with_places(1));
        output.halves = 2;
        Self {
            joint: Waker::from(wakers.clone()),
            output: Mutex::new(output),
            timer: input.timer().clone(),
            seat: Mutex::new(Seat {
                noted: Noted::from(&input),
                input: Some(Box::new(input)),
                wanted: false,
                relies: false,
            }),
            wakers,
            subprotocol,
            id: OnceLock::new(),
        }
    }

    /// Returns a number that no other socket of this process has.
    pub(crate) fn id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        *self.id.get_or_init(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// Returns the parts of a whole socket, if nothing else shares them. The read half was dropped only for this, so
    /// it no longer counts as dropped.
    pub(crate) fn into_parts(shared: Arc<Self>) -> Result<Parts<S>, Arc<Self>> {
        let mut shared = Arc::try_unwrap(shared)?;
        let seat = shared.seat.get_mut();
        let Some(input) = seat.unwrap_or_else(PoisonError::into_inner).input.take() else {
            return Err(Arc::new(shared));
        };
        let output = shared.output.into_inner();
        let mut output = output.unwrap_or_else(PoisonError::into_inner);
        (output.reader_gone, output.halves) = (false, 0);
        Ok((*input, output, shared.subprotocol))
    }

    /// Calls `f` with the sending direction, and wakes the other tasks if that changed what they wait for.
    pub(crate) fn with<U>(
        &self,
        me: Option<Key>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U {
        let mut output = self.lock();
        let before = output.seen();
        let value = f(&mut output, &mut Context::from_waker(&self.joint));
        let changed = output.seen() != before;
        drop(output);
        if changed {
            self.wakers.wake_others(me);
        }
        value
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Output<S>> {
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn closed(&self) -> Option<Closed> {
        self.lock().closed.as_deref().cloned()
    }

    /// Returns the stage of the connection's life, as far as the sending direction knows it.
    pub(crate) fn state(&self) -> State {
        let output = self.lock();
        if output.has_ended() {
            State::Closed
        } else if output.tx.is_closing() {
            State::Closing
        } else {
            State::Open
        }
    }

    pub(crate) fn subprotocol(&self) -> Option<&str> {
        self.subprotocol.as_ref().map(|it| it.as_str())
    }

    pub(crate) fn wakers(&self) -> &Wakers {
        &self.wakers
    }

    fn noted(&self) -> Noted {
        let seat = self.seat();
        seat.input.as_deref().map_or(seat.noted, Noted::from)
    }

    pub(crate) fn latency(&self) -> Option<Duration> {
        self.noted().latency
    }

    pub(crate) fn stats(&self) -> Stats {
        let received = self.noted().traffic;
        self.lock().tx.stats(received)
    }

    /// Returns the next of many small messages that came in one read; see [`Input::recv_small`].
    #[inline]
    pub(crate) fn recv_small(&self) -> Option<Message> {
        self.seat().input.as_mut()?.recv_small()
    }

    /// Calls `f` with the receiving direction, or returns `None` if another call is using it. The caller must have
    /// registered its waker before: it is woken when that other call is done.
    pub(crate) fn with_input<U>(
        &self,
        me: Option<Key>,
        own: &Waker,
        f: impl FnOnce(&mut Input<S::Clock>, &mut Reader<'_, S>, &mut Context<'_>) -> U,
    ) -> Option<U> {
        let mut seat = self.seat();
        let Some(input) = seat.input.take() else {
            seat.wanted |= me.is_some();
            return None;
        };
        seat.noted = Noted::from(&*input);
        drop(seat);
        let mut taken = Taken {
            shared: self,
            me,
            parked: input.parked(),
            input: Some(input),
        };
        let input = taken.input.as_mut()?;
        let shared = self;
        let mut output = Reader { shared, me, own };
        let cx = &mut Context::from_waker(&self.joint);
        Some(f(input, &mut output, cx))
    }

    /// Whether the read half waits, and so receives. If it does, it wakes the caller when it stops waiting.
    fn relies_on_reader(&self) -> bool {
        let mut seat = self.seat();
        let waits = self.wakers.is_waiting(Key::READER);
        seat.relies |= waits;
        waits
    }

    /// Notes that the read half no longer waits: it has an event, or has to let other tasks run.
    pub(crate) fn reader_goes(&self) {
        let mut seat = self.seat();
        self.wakers.clear(Key::READER);
        let relied = mem::take(&mut seat.relies);
        drop(seat);
        if relied {
            self.wakers.wake_others(None);
        }
    }

    fn seat(&self) -> MutexGuard<'_, Seat<S::Clock>> {
        self.seat.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Transport> Shared<S> {
    /// Passes the time to the sending direction, without waking the task at the place `me`.
    pub(crate) fn handle_write_timeout(&self, me: Key, now: Instant) {
        self.with(Some(me), |output, cx| {
            if output.tx.handle_timeout(now).is_err() {
                output.time_out(cx, Deadline::Write);
            }
        });
    }

    /// Reads and discards what has arrived, if no read half exists. Returns `false` if it stopped to let other tasks
    /// run, so that there may be more.
    pub(crate) fn discard(&self, me: Option<Key>, own: &Waker) -> bool {
        let discarded = self.with_input(me, own, |input, output, cx| {
            while input.poll_output(Call::Discards, output, cx).is_ready() {
                if self.lock().has_ended() {
                    return true;
                }
            }
            !input.yields()
        });
        discarded.unwrap_or(true)
    }
}

impl<S: Transport> fmt::Debug for Shared<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lock().fmt(f)
    }
}

/// The receiving direction while it is out of its seat. Dropping this puts it back, even if the call has panicked.
struct Taken<'a, S: Transport> {
    shared: &'a Shared<S>,
    me: Option<Key>,
    /// The number of events that it kept when it was taken out.
    parked: usize,
    input: Option<Box<Input<S::Clock>>>,
}

impl<S: Transport> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        let Some(input) = self.input.take() else {
            return;
        };
        // There is an event for the application, or room again.
        let changed = input.parked() != self.parked;
        let mut seat = self.shared.seat();
        seat.input = Some(input);
        let wanted = mem::take(&mut seat.wanted);
        drop(seat);
        if wanted || changed {
            self.shared.wakers.wake_others(self.me);
        }
    }
}

/// Access to the sending direction for the receiving direction.
pub(crate) struct Reader<'a, S: Transport> {
    shared: &'a Shared<S>,
    me: Option<Key>,
    own: &'a Waker,
}

impl<S: Transport> Access<S> for Reader<'_, S> {
    fn with<U>(
        &mut self,
        _: &mut Context<'_>,
        f: impl FnOnce(&mut Output<S>, &mut Context<'_>) -> U,
    ) -> U {
        self.shared.with(self.me, f)
    }

    fn own<'a>(&'a self, _: &'a Context<'_>) -> &'a Waker {
        self.own
    }
}

/// A call that waits for output. It has a place among the wakers, and watches the write deadline with a timer of its
/// own, which is made when the call first waits. While it waits it also receives, unless the read half does.
pub(crate) struct Waiter<S: Transport> {
    shared: Arc<Shared<S>>,
    key: Key,
    timer: Option<S::Clock>,
    waited: bool,
}

/// The outcome of a look at the output.
enum Look<U> {
    Done(U),
    Waits,
    /// Other tasks have to run first.
    Yields,
    /// No read half exists, so this call reads first.
    Discards,
}

impl<S: Transport> Waiter<S> {
    pub(crate) fn new(shared: &Arc<Shared<S>>) -> Self {
        Self {
            shared: shared.clone(),
            key: shared.wakers.enter(),
            timer: None,
            waited: false,
        }
    }

    pub(crate) fn key(&self) -> Key {
        self.key
    }

    /// Waits for `done`, and receives meanwhile. `call` decides what happens to the events.
    pub(crate) fn poll<U>(
        &mut self,
        cx: &mut Context<'_>,
        call: Call,
        mut done: impl FnMut(&mut Output<S>, &mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        self.shared.wakers.register(self.key, cx.waker());
        let own = cx.waker();
        let (begins, mut first) = (!self.waited, true);
        let mut call = call;
        let look = self.look(cx, |output, joint| {
            if mem::take(&mut first) {
                if begins {
                    output.retry();
                }
                if output.poll_yield(own).is_pending() {
                    return Look::Yields;
                }
            }
            if output.reader_gone {
                return Look::Discards;
            }
            match done(output, joint) {
                Poll::Ready(value) => Look::Done(value),
                Poll::Pending => Look::Waits,
            }
        });
        let mut receives = match look {
            Look::Done(value) => return Poll::Ready(value),
            Look::Yields => return Poll::Pending,
            Look::Waits => self.may_receive(call),
            Look::Discards => {
                call = Call::Discards;
                let all = self.shared.discard(Some(self.key), own);
                if let Poll::Ready(value) = self.poll_output(cx, &mut done) {
                    return Poll::Ready(value);
                }
                all
            }
        };
        let shared = self.shared.clone();
        while receives {
            let received = shared.with_input(Some(self.key), own, |input, output, cx| {
                input.poll_output(call, output, cx).is_ready()
            });
            receives = received == Some(true) && !shared.lock().has_ended();
            // Receiving may have made `done` ready, and nothing else would wake the call for that.
            if let Poll::Ready(value) = self.poll_output(cx, &mut done) {
                return Poll::Ready(value);
            }
        }
        Poll::Pending
    }

    /// Whether a call that waits has to receive. A call that closes always has to, because the answer that it waits
    /// for may be the next event, and the application may never call the read half again.
    fn may_receive(&self, call: Call) -> bool {
        match call {
            Call::Closes => true,
            Call::Writes => false,
            _ => !self.shared.relies_on_reader(),
        }
    }

    fn poll_output<U>(
        &mut self,
        cx: &mut Context<'_>,
        mut done: impl FnMut(&mut Output<S>, &mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        let look = self.look(cx, |output, joint| match done(output, joint) {
            Poll::Ready(value) => Look::Done(value),
            Poll::Pending => Look::Waits,
        });
        match look {
            Look::Done(value) => Poll::Ready(value),
            _ => Poll::Pending,
        }
    }

    /// Looks at the output. If the call has to wait and the write deadline has passed, handles the deadline and looks
    /// again.
    fn look<U>(
        &mut self,
        cx: &mut Context<'_>,
        mut look: impl FnMut(&mut Output<S>, &mut Context<'_>) -> Look<U>,
    ) -> Look<U> {
        loop {
            let (looked, deadline) = self.shared.with(Some(self.key), |output, joint| {
                (look(output, joint), output.tx.poll_timeout())
            });
            self.waited |= !matches!(looked, Look::Done(_));
            let (Look::Waits, Some(deadline)) = (&looked, deadline) else {
                return looked;
            };
            if !self.is_over(cx, deadline) {
                return looked;
            }
            let now = self.shared.timer.now();
            self.shared.handle_write_timeout(self.key, now);
        }
    }

    /// Whether `deadline` has passed. This asks the timer only if the deadline may be in the future.
    fn is_over(&mut self, cx: &mut Context<'_>, deadline: Instant) -> bool {
        let timer = self.timer.get_or_insert_with(|| self.shared.timer.clone());
        deadline <= Instant::EPOCH || timer.poll_until(cx, deadline).is_ready()
    }
}

impl<S: Transport> Drop for Waiter<S> {
    fn drop(&mut self) {
        if self.waited {
            let key = self.key;
            self.shared.with(Some(key), |output, _| output.leave(key));
        }
        self.shared.wakers.leave(self.key);
    }
}
