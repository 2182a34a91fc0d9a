use std::{
    pin::pin,
    sync::{Arc, OnceLock, Weak},
    task::{Poll, Waker},
};

use bind::proto::Config;

use crate::{
    Clock, Io, Transport,
    clock::Wants,
    pipe::{Pipe, Turns},
};

/// Waits in this thread for what the driver does.
///
/// The driver's futures do not block. When one is pending, its thread reads, writes or waits for
/// another thread, and polls it again.
pub(crate) struct Runner<S> {
    /// The transport: gone when the driver has dropped its end and nobody waits for it.
    pipe: OnceLock<Weak<Pipe<S>>>,
    clock: Clock,
}

impl<S: Transport> Runner<S> {
    pub(crate) const fn new(clock: Clock) -> Self {
        Self {
            pipe: OnceLock::new(),
            clock,
        }
    }

    /// Runs what is to come over `transport`.
    pub(crate) fn over(&self, transport: S, config: &Config) -> Io<S> {
        let pipe = Arc::new(Pipe::new(transport, config));
        let _ = self.pipe.set(Arc::downgrade(&pipe));
        Io(pipe)
    }

    pub(crate) const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// What `future` comes to. What is owed to the peer then is written, unless that blocks.
    pub(crate) fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let signal = self.clock.signal();
        let waker = Waker::from(signal.clone());
        let mut turns = Turns::default();
        let mut may_wait = None;
        loop {
            signal.reset();
            let (polled, wants) = Wants::poll(future.as_mut(), &waker, may_wait.take());
            match (polled, self.pipe()) {
                (Poll::Pending, Some(pipe)) => may_wait = pipe.wait(&signal, wants, &mut turns),
                (Poll::Pending, None) => self.clock.park(wants.until),
                (Poll::Ready(output), _) => {
                    self.write();
                    return output;
                }
            }
        }
    }

    /// Writes what the driver has put out, if nobody else does, for as long as that does not block. The
    /// rest is left to others; whether there are none.
    pub(crate) fn write(&self) -> bool {
        self.pipe().is_some_and(|pipe| {
            pipe.write();
            pipe.hand_over()
        })
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

    fn pipe(&self) -> Option<Arc<Pipe<S>>> {
        self.pipe.get().and_then(Weak::upgrade)
    }
}

impl<S> Clone for Runner<S> {
    fn clone(&self) -> Self {
        Self {
            pipe: self.pipe.clone(),
            clock: self.clock.clone(),
        }
    }
}
