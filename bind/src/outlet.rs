use std::{
    fmt,
    sync::Arc,
    task::{Poll, Waker},
};

use proto::{Closed, Instant, IntoClose, Outgoing};

use crate::{
    handle::{Handle, Queue, QueueError},
    transport::Transport,
    wakers::Key,
    write_half::WriteHalf,
};

/// The sending direction of a socket, for a caller that writes to many sockets: it has no type parameter, and none of
/// its methods waits.
///
/// The caller [registers](Self::register) a waker, offers messages, and calls [`write`](Self::write), which is ready
/// once everything is sent. While `write` is pending, the waker is woken when the transport may take more, and
/// [`deadline`](Self::deadline) returns the time by which the peer must have taken something. An outlet counts as a
/// half: the transport ends when the last half is dropped.
pub struct Outlet {
    queue: Arc<dyn Queue + Send + Sync>,
    key: Key,
}

impl Outlet {
    /// Returns a handle that queues messages of the same socket from elsewhere.
    pub fn handle(&self) -> Handle {
        Handle(self.queue.clone())
    }

    /// Queues a message, as [`Handle::queue`] does.
    ///
    /// # Errors
    ///
    /// As [`Handle::queue`].
    pub fn offer(&self, message: impl Into<Outgoing>) -> Result<(), QueueError> {
        self.offer_all(&mut std::iter::once(message.into()))
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
        self.queue.queue(Some(self.key), messages)
    }

    /// Writes what the transport takes now. Returns `Ready` when nothing is queued, or when nothing will ever be
    /// written any more.
    ///
    /// If the transport takes nothing, it is asked again only after it has woken the waker.
    pub fn write(&self) -> Poll<()> {
        self.queue.write(self.key)
    }

    /// Returns how many bytes wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queue.queued_bytes()
    }

    /// Wakes `waker` once, when a write may go on or the connection has ended. Call this before
    /// [`write`](Self::write), and again after each wake.
    pub fn register(&self, waker: &Waker) {
        self.queue.register(self.key, waker);
    }

    /// Returns the time by which the peer must have taken some of the queued bytes
    /// ([`write_timeout`](proto::Config::write_timeout)), or `None` if nothing is queued. If that time has passed
    /// already, call [`handle_timeout`](Self::handle_timeout) at once, because the outlet needs to know the current
    /// time.
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.deadline()
    }

    /// Passes the current time. If the deadline has passed, the connection ends with
    /// [`Deadline::Write`](proto::Deadline::Write).
    pub fn handle_timeout(&self, now: Instant) {
        self.queue.handle_timeout(self.key, now);
    }

    /// Queues a Close after all queued messages. Closing again does nothing.
    pub fn close(&self, frame: impl IntoClose) {
        self.queue.close(frame.into_close());
    }

    /// Returns how the connection ended, as far as that is known; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.queue.closed()
    }
}

impl Drop for Outlet {
    fn drop(&mut self) {
        self.queue.leave(self.key);
    }
}

impl fmt::Debug for Outlet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Outlet").field(&self.queue.id()).finish()
    }
}

impl<S> WriteHalf<S>
where
    S: Transport<Clock: Send + Sync> + Send,
{
    /// Turns this half into an outlet, for a caller that writes to many sockets. Other clones of the half stay.
    pub fn into_outlet(self) -> Outlet {
        let shared = self.shared.clone();
        // The outlet replaces this half, which is dropped when this returns.
        shared.lock().halves += 1;
        Outlet {
            key: shared.wakers().enter(),
            queue: shared,
        }
    }
}
