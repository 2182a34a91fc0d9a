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

/// The sending direction of a socket, for a caller that writes for many: it has no type parameter, and no method
/// of it waits.
///
/// The caller [registers](Self::register) a waker, offers messages, and calls [`write`](Self::write); once that is
/// ready all has left. While it is pending, the waker is woken when the transport may take more, and
/// [`deadline`](Self::deadline) says how long the peer has for that. It is a half, so the transport goes with it
/// and the others.
pub struct Outlet {
    queue: Arc<dyn Queue + Send + Sync>,
    key: Key,
}

impl Outlet {
    /// A way to queue messages of the same socket from elsewhere.
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

    /// Writes what the transport takes now. Ready when nothing waits, or nothing will ever be written any more.
    ///
    /// A transport that took nothing is asked again once it has woken the waker.
    pub fn write(&self) -> Poll<()> {
        self.queue.write(self.key)
    }

    /// Bytes that wait to be written.
    pub fn queued_bytes(&self) -> usize {
        self.queue.queued_bytes()
    }

    /// Wakes `waker`, once, when a write may go on, or when the connection has ended. To be called before
    /// [`write`](Self::write), and again after each wake.
    pub fn register(&self, waker: &Waker) {
        self.queue.register(self.key, waker);
    }

    /// When the peer is to have taken something of what waits
    /// ([`write_timeout`](proto::Config::write_timeout)); `None` if nothing waits. One that has come already asks
    /// to be told the time.
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.deadline()
    }

    /// Tells the time. If the deadline has passed, the connection ends by
    /// [`Deadline::Write`](proto::Deadline::Write).
    pub fn handle_timeout(&self, now: Instant) {
        self.queue.handle_timeout(self.key, now);
    }

    /// Queues a Close after the messages queued before. Closing again does nothing.
    pub fn close(&self, frame: impl IntoClose) {
        self.queue.close(frame.into_close());
    }

    /// How the connection ended, as far as that is known; see
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
    /// The sending direction for a caller that writes for many sockets. Other clones of the half stay.
    pub fn into_outlet(self) -> Outlet {
        let shared = self.shared.clone();
        // It takes the place of this half.
        shared.lock().halves += 1;
        Outlet {
            key: shared.wakers().enter(),
            queue: shared,
        }
    }
}
