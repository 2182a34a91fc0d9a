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

/// What the halves share: both directions and the transport.
///
/// The lock of the output is held to queue and for one poll of the transport that does not block; never
/// while a call waits, and never while parsing.
pub(crate) struct Shared<S: Transport> {
    output: Mutex<Output<S>>,
    seat: Mutex<Seat<S::Clock>>,
    wakers: Arc<Wakers>,
    /// [`Wakers`], as the transport and the clock see them.
    joint: Waker,
    /// To be cloned by the calls that wait.
    timer: S::Clock,
    subprotocol: Option<Box<Utf8Bytes>>,
    /// For handles, drawn when it is first asked for.
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
/// A call takes it out, uses it without a lock, and puts it back. No call waits for it: one that finds the
/// seat empty is woken when it is filled again. Only a small message is taken from it where it is, which is
/// cheaper than to take it out, and takes no longer than to look at 4 KiB.
struct Seat<T> {
    input: Option<Box<Input<T>>>,
    /// A call has found it empty.
    wanted: bool,
    /// A call that waits for output has left receiving to the read half.
    relies: bool,
    /// As of when a call took the input out.
    noted: Noted,
}

/// What the halves report of the receiving direction.
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
    /// What a reader and a writer share.
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

    /// A number that no other socket of this process has.
    pub(crate) fn id(&self) -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        *self.id.get_or_init(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }

    /// What a whole socket is made of, if nothing else shares it. Its read half, which was dropped for it, is not
    /// gone.
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

    /// Uses the sending direction, and wakes the others if that changed what they wait for.
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

    /// Where the connection is in its life, as far as the sending direction knows.
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

    /// The next of many small messages that came in one read; see [`Input::recv_small`].
    #[inline]
    pub(crate) fn recv_small(&self) -> Option<Message> {
        self.seat().input.as_mut()?.recv_small()
    }

    /// Uses the receiving direction; `None` if another call does. The waker of the caller has to be at its
    /// place before: it is woken when that call is done.
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

    /// Whether the read half waits. If so, it wakes the caller when it no longer does.
    fn relies_on_reader(&self) -> bool {
        let mut seat = self.seat();
        let waits = self.wakers.is_waiting(Key::READER);
        seat.relies |= waits;
        waits
    }

    /// The read half waits no more: it has an event, or has to let other tasks run.
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
    /// Tells the sending direction the time, for the place `me` among the wakers.
    pub(crate) fn handle_write_timeout(&self, me: Key, now: Instant) {
        self.with(Some(me), |output, cx| {
            if output.tx.handle_timeout(now).is_err() {
                output.time_out(cx, Deadline::Write);
            }
        });
    }

    /// While no read half exists: reads what has come, and discards it. Takes no more than other tasks can
    /// wait for; `false` if there may be more.
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

/// The receiving direction, out of its seat. Dropped, it goes back, although the call may have panicked.
struct Taken<'a, S: Transport> {
    shared: &'a Shared<S>,
    me: Option<Key>,
    /// How many events were kept in it.
    parked: usize,
    input: Option<Box<Input<S::Clock>>>,
}

impl<S: Transport> Drop for Taken<'_, S> {
    fn drop(&mut self) {
        let Some(input) = self.input.take() else {
            return;
        };
        // The application has something to take, or there is room again.
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

/// The way from the receiving direction to the sending direction.
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

/// A call that waits for output. It has a place among the wakers, and watches the write deadline by a
/// timer of its own, made when it first waits. While it waits it also receives, unless the read half does.
pub(crate) struct Waiter<S: Transport> {
    shared: Arc<Shared<S>>,
    key: Key,
    timer: Option<S::Clock>,
    waited: bool,
}

/// How a call goes on after a look at the output.
enum Look<U> {
    Done(U),
    Waits,
    /// It is time for other tasks.
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

    /// Waits for `done`, and receives meanwhile; `call` says what becomes of the events.
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
                if output.poll_rest(own).is_pending() {
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
            // What the call waits for may have happened meanwhile, and nothing else would wake it for that.
            if let Poll::Ready(value) = self.poll_output(cx, &mut done) {
                return Poll::Ready(value);
            }
        }
        Poll::Pending
    }

    /// Whether a call that waits has to receive. A closing one always does: the answer that it waits for may
    /// be the next event, and the read half may not come back.
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

    /// Looks at the output, and once more if that waits and the write deadline has passed.
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

    /// Whether `deadline` has come; asks the timer only if it may lie ahead.
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
