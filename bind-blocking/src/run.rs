use std::{
    pin::pin,
    sync::{Arc, OnceLock, Weak},
    task::{Poll, Waker},
    time::Duration,
};

use bind::{Timer, internal, proto::Config};

use crate::{
    clock::{Clock, Wants},
    pipe::{Duty, Io, Pipe, Turns},
    reading::Part,
    transport::BlockingTransport,
};

/// Waits in this thread for what the driver does.
///
/// The driver's futures do not block. When one is pending, its thread reads, writes or waits for
/// another thread, and polls it again.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    /// The transport: gone when the driver has dropped its end and nobody waits for it.
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

    /// Runs what is to come over `transport`.
    pub(crate) fn over<S: BlockingTransport>(&self, transport: S, config: &Config) -> Io<S> {
        let pipe = Arc::new(Pipe::new(transport, config));
        let erased: Arc<Pipe<dyn BlockingTransport>> = pipe.clone();
        let _ = self.pipe.set(Arc::downgrade(&erased));
        Io(pipe)
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Runs `future` to its end. What is owed to the peer then is written, unless that blocks.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_as(Part::Receives, false, future)
    }

    /// What `future` comes to, or `None` if it comes to nothing within `timeout`; one that is too long to be added to
    /// the time never passes. Once it has passed the transport is looked at again, so a timeout of zero waits for
    /// nothing and still finds what has come.
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

    /// As [`send`](Self::send), to write what no other thread will.
    pub(crate) fn write_rest<F: Future>(&self, future: F) -> F::Output {
        self.run_as(Part::Sends, false, future)
    }

    /// Where the thread `is_on_duty`, others may leave to it what is to be written, once the call waits.
    fn run_as<F: Future>(&self, part: Part, is_on_duty: bool, future: F) -> F::Output {
        let mut future = pin!(future);
        let signal = self.clock.signal();
        let waker = Waker::from(signal.clone());
        let mut turns = Turns::new(part);
        let (mut may_wait, mut asked) = (None, None);
        // Held meanwhile, so that the transport is not ended in a poll, under a lock.
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

    /// Writes what the driver has put out, unless another thread does, for as long as that does not block.
    /// Leaves the rest to other threads. Returns whether there are none.
    pub(crate) fn write(&self) -> bool {
        self.pipe().is_some_and(|pipe| {
            pipe.hand_over() && {
                pipe.write();
                pipe.hand_over()
            }
        })
    }

    /// Writes what the driver has put out, unless another thread does, and does not block.
    pub(crate) fn try_write(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.try_write();
        }
    }

    /// How much the driver has put out that was not written, in bytes.
    pub(crate) fn unwritten(&self) -> usize {
        self.pipe().map_or(0, |pipe| pipe.unwritten())
    }

    /// Whether something was put out which nobody else will write.
    pub(crate) fn is_left(&self) -> bool {
        self.pipe().is_some_and(|pipe| pipe.hand_over())
    }

    /// From now on several threads use it.
    pub(crate) fn share(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.share();
        }
    }

    /// From now on one thread uses it, and the read half is not gone.
    pub(crate) fn unshare(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.unshare();
        }
    }

    /// The read half is gone.
    pub(crate) fn reader_gone(&self) {
        if let Some(pipe) = self.pipe() {
            pipe.reader_gone();
        }
    }

    fn pipe(&self) -> Option<Arc<Pipe<dyn BlockingTransport>>> {
        self.pipe.get().and_then(Weak::upgrade)
    }
}
