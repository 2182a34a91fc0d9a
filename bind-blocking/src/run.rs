use std::{
    pin::pin,
    sync::{Arc, OnceLock, Weak},
    task::{Poll, Waker},
    time::Duration,
};

use bind::{Timer, internal, proto::Config};

use crate::{
    clock::{Clock, Wants},
    pipe::{Alternation, Duty, Io, Pipe},
    reading::Part,
    transport::BlockingTransport,
};

/// Runs the driver's futures in the calling thread.
///
/// These futures do not block. While one is pending, its thread reads, writes or waits for another
/// thread, and then polls it again.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    /// The transport; gone once the driver has dropped its end and no thread waits for it.
    pipe: OnceLock<Weak<Pipe<dyn BlockingTransport>>>,
    clock: Clock,
}

impl Runner {
    pub(crate) const fn new(clock: Clock) -> Self {
        Self {
            pipe: OnceLock::new(),
            clock,
        }
    }

    /// Prepares to run calls over `transport`.
    pub(crate) fn over<S: BlockingTransport>(&self, transport: S, config: &Config) -> Io<S> {
        let pipe = Arc::new(Pipe::new(transport, config));
        let erased: Arc<Pipe<dyn BlockingTransport>> = pipe.clone();
        let _ = self.pipe.set(Arc::downgrade(&erased));
        Io(pipe)
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs `future` to its end. Then writes what is owed to the peer, unless that blocks.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_as(Part::Receives, false, future)
    }

    /// Runs `future` for at most `timeout`, and returns `None` if it is still pending then. A timeout
    /// too long to be added to the time never passes. After the timeout the transport is asked once
    /// more, so that even a timeout of zero finds what has arrived.
    pub(crate) fn within<F: Future>(
        &self,
        timeout: Duration,
        future: F,
    ) -> impl Future<Output = Option<F::Output>> {
        let deadline = self.clock.now().checked_add(timeout);
        internal::within(future, self.clock.clone(), deadline)
    }

    /// As [`run`](Self::run), for the call of a read half.
    pub(crate) fn receive<F: Future>(&self, future: F) -> F::Output {
        let pipe = self.pipe();
        let _receiving = pipe.as_ref().map(|pipe| pipe.receive());
        self.run(future)
    }

    /// As [`run`](Self::run), for a call that closes.
    pub(crate) fn close<F: Future>(&self, future: F) -> F::Output {
        self.run_as(Part::Closes, true, future)
    }

    /// As [`run`](Self::run), for the other calls of a write half.
    pub(crate) fn send<F: Future>(&self, future: F) -> F::Output {
        self.run_as(Part::Sends, true, future)
    }

    /// As [`send`](Self::send), to write what no other thread will write.
    pub(crate) fn write_remaining<F: Future>(&self, future: F) -> F::Output {
        self.run_as(Part::Sends, false, future)
    }

    /// If `is_on_duty`, other threads may leave their output to this one while the call waits.
    fn run_as<F: Future>(&self, part: Part, is_on_duty: bool, future: F) -> F::Output {
        let mut future = pin!(future);
        let signal = self.clock.signal();
        let waker = Waker::from(signal.clone());
        let mut turns = Alternation::new(part);
        let (mut may_wait, mut asked) = (None, None);
        // Holding the pipe keeps a poll, which may hold a lock, from ending the transport.
        let mut pipe = self.pipe();
        let mut duty = None;
        loop {
            signal.reset();
            let (polled, wants) = Wants::poll(future.as_mut(), &waker, may_wait.take(), asked);
            pipe = pipe.or_else(|| self.pipe());
            pipe = pipe.filter(|pipe| !pipe.end_if_dropped());
            if let Poll::Ready(output) = polled {
                drop(duty);
                self.write();
                return output;
            }
            if is_on_duty && duty.is_none() {
                duty = pipe.clone().map(Duty::new);
                turns.is_on_duty = duty.is_some();
            }
            let now = self.clock.now();
            asked = Some(now);
            match &pipe {
                Some(pipe) => may_wait = pipe.wait(&signal, wants, now, &mut turns),
                None => self.clock.park(wants.until),
            }
        }
    }

    /// Leaves the driver's output to a thread that waits to write, or writes it if there is none, for at
    /// most a slice of time. Returns whether bytes remain that no thread will write.
    pub(crate) fn write(&self) -> bool {
        self.pipe().is_some_and(|pipe| {
            pipe.hand_over() && {
                pipe.write();
                pipe.hand_over()
            }
        })
    }

    /// Writes the driver's output without blocking, unless another thread is writing.
    pub(crate) fn try_write(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.try_write();
        }
    }

    /// Returns how many bytes of the driver's output have not been written.
    pub(crate) fn unwritten(&self) -> usize {
        self.pipe().map_or(0, |pipe| pipe.unwritten())
    }

    /// Returns whether the driver's output holds something that only this thread will write.
    pub(crate) fn must_write(&self) -> bool {
        self.pipe().is_some_and(|pipe| pipe.hand_over())
    }

    /// Prepares for use by several threads.
    pub(crate) fn share(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.share();
        }
    }

    /// Lets a thread that reads look for orders of a server now and then.
    pub(crate) fn alert(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.alert();
        }
    }

    /// Prepares for use by one thread that also receives.
    pub(crate) fn unshare(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.unshare();
        }
    }

    /// Ends the transport, which also ends a read or write that another thread is blocked in.
    pub(crate) fn end(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.end();
        }
    }

    /// Records that the read half is gone.
    pub(crate) fn reader_gone(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.reader_gone();
        }
    }

    fn pipe(&self) -> Option<Arc<Pipe<dyn BlockingTransport>>> {
        self.pipe.get().and_then(Weak::upgrade)
    }
}
