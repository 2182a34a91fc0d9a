use std::task::{Poll, Waker};

use bind::{
    Handle, QueueError, Transport,
    proto::{Closed, Instant, IntoClose, Outgoing},
};

use crate::{run::Runner, split::WriteHalf};

/// The sending direction of a socket, for a thread that writes for many: it has no type parameter, and no method
/// of it waits, if the transport has a [`try_write`](crate::BlockingTransport::try_write).
///
/// The thread registers a waker, offers messages, and calls [`write`](Self::write); once that is ready all has left.
/// It is a half, so the transport goes with it and the others.
#[derive(Debug)]
pub struct Outlet {
    inner: bind::Outlet,
    runner: Runner,
}

impl Outlet {
    /// A way to queue messages of the same socket from elsewhere.
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

    /// Writes what the transport takes now. Ready when nothing waits, or nothing will ever be written any more.
    ///
    /// Nothing wakes the waker when the transport, which took nothing, has room again: that is to be found out by
    /// the system, or by another try.
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

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        let unwritten = self.runner.unwritten();
        self.inner.queued_bytes().saturating_add(unwritten)
    }

    /// Wakes `waker`, once, when a write may go on, or when the connection has ended. To be called before
    /// [`write`](Self::write), and again after each wake.
    pub fn register(&self, waker: &Waker) {
        self.inner.register(waker);
    }

    /// When the peer is to have taken something of what waits; see [`bind::Outlet::deadline`].
    pub fn deadline(&self) -> Option<Instant> {
        self.inner.deadline()
    }

    /// Tells the time; see [`bind::Outlet::handle_timeout`].
    pub fn handle_timeout(&self, now: Instant) {
        self.inner.handle_timeout(now);
    }

    /// Queues a Close after the messages queued before. Closing again does nothing.
    pub fn close(&self, frame: impl IntoClose) {
        self.inner.close(frame);
    }

    /// How the connection ended, as far as that is known; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.inner.closed()
    }
}

impl<S> WriteHalf<S>
where
    S: Transport<Clock: Send + Sync> + Send + 'static,
{
    /// The sending direction for a thread that writes for many sockets. Other clones of the half stay.
    pub fn into_outlet(self) -> Outlet {
        Outlet {
            inner: self.inner.into_outlet(),
            runner: self.runner,
        }
    }
}
