use std::task::{Poll, Waker};

use bind::{
    Handle, QueueError, Transport,
    proto::{Closed, Instant, IntoClose, Outgoing},
};

use crate::{run::Runner, split::WriteHalf};

/// The sending direction of a socket, for a thread that writes to many sockets: it has no type
/// parameter, and none of its methods waits, if the transport implements
/// [`try_write`](crate::BlockingTransport::try_write).
///
/// The thread [registers](Self::register) a waker, offers messages, and calls [`write`](Self::write), which is ready
/// once everything is sent. An outlet counts as a half: the transport ends when the last half is dropped.
#[derive(Debug)]
pub struct Outlet {
    inner: bind::Outlet,
    runner: Runner,
}

impl Outlet {
    /// Returns a handle that queues messages of the same socket from elsewhere.
    pub fn handle(&self) -> Handle {
        self.inner.handle()
    }

    /// Queues a message, as [`Handle::queue`] does.
    ///
    /// # Errors
    ///
    /// As [`Handle::queue`].
    pub fn offer(&self, message: impl Into<Outgoing>) -> Result<(), QueueError> {
        self.inner.offer(message)
    }

    /// Queues messages until one cannot be queued, as [`Handle::queue_all`] does.
    ///
    /// # Errors
    ///
    /// As [`Handle::queue_all`].
    pub fn offer_all(
        &self,
        messages: &mut dyn Iterator<Item = Outgoing>,
    ) -> Result<(), QueueError> {
        self.inner.offer_all(messages)
    }

    /// Writes what the transport takes now. Returns `Ready` when nothing is queued, or when nothing will
    /// ever be written any more.
    ///
    /// Nothing calls the waker when a full transport has room again: ask the operating system for that,
    /// or try again later.
    pub fn write(&self) -> Poll<()> {
        loop {
            let polled = self.inner.write();
            let before = self.runner.unwritten();
            if polled.is_ready() || before == 0 {
                return polled;
            }
            self.runner.try_write();
            if self.runner.unwritten() > 0 {
                return Poll::Pending;
            }
        }
    }

    /// Returns how many bytes wait to be written.
    pub fn queued_bytes(&self) -> usize {
        let unwritten = self.runner.unwritten();
        self.inner.queued_bytes().saturating_add(unwritten)
    }

    /// Wakes `waker` once, when a write may go on or the connection has ended. Call this before
    /// [`write`](Self::write), and again after each wake.
    pub fn register(&self, waker: &Waker) {
        self.inner.register(waker);
    }

    /// Returns the time by which the peer must have taken some of the queued bytes; see
    /// [`bind::Outlet::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    /// Passes the current time; see [`bind::Outlet::handle_timeout`].
    pub fn handle_timeout(&self, now: Instant) {
        self.inner.handle_timeout(now);
    }

    /// Queues a Close after all queued messages. Closing again does nothing.
    pub fn close(&self, frame: impl IntoClose) {
        self.inner.close(frame);
    }

    /// Returns how the connection ended, as far as that is known; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }
}

impl<S> WriteHalf<S>
where
    S: Transport<Clock: Send + Sync> + Send,
{
    /// Turns this half into an outlet, for a thread that writes to many sockets. Other clones of the
    /// half stay.
    pub fn into_outlet(self) -> Outlet {
        Outlet {
            inner: self.inner.into_outlet(),
            runner: self.runner,
        }
    }
}
