use std::{
    fmt,
    sync::Arc,
    task::{Poll, Waker},
};

use proto::{CloseFrame, Closed, Instant, IntoClose, Outgoing, SendError};

use crate::{
    error::Error, output::Output, shared::Shared, transport::Transport, wakers::Key,
    write_half::WriteHalf,
};

/// Queues messages of one socket from anywhere. A handle can be cloned, has no type parameter, and never writes,
/// waits or blocks.
///
/// Messages are framed, masked and compressed when they are written. The next call of a half that waits writes them.
/// They are written at once only if such a call waits already, such as [`WriteHalf::drive`] in a task or thread of
/// its own.
///
/// A handle is not a half: the transport ends with the last half, even if handles remain.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<dyn Queue + Send + Sync>);

impl Handle {
    /// Returns a number that no other socket of this process ever has.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`] returns the message if as much is queued as
    /// [`send_high_water`](proto::Config::send_high_water) allows.
    pub fn queue(&self, message: impl Into<Outgoing>) -> Result<(), QueueError> {
        self.0.queue(None, &mut std::iter::once(message.into()))
    }

    /// Queues messages one after the other, without a message of another caller between them, until one cannot be
    /// queued. The messages after that one stay in the iterator.
    ///
    /// # Errors
    ///
    /// As [`queue`](Self::queue), for the message that could not be queued.
    pub fn queue_all(
        &self,
        messages: &mut dyn Iterator<Item = Outgoing>,
    ) -> Result<(), QueueError> {
        self.0.queue(None, messages)
    }

    /// Queues a Close after all queued messages. Closing again does nothing.
    pub fn close(&self, frame: impl IntoClose) {
        self.0.close(frame.into_close());
    }

    /// Returns how the connection ended, as far as that is known; see
    /// [`WebSocket::closed`](crate::WebSocket::closed).
    pub fn closed(&self) -> Option<Closed> {
        self.0.closed()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handle").field(&self.id()).finish()
    }
}

/// The reason why a message was not queued.
#[derive(Debug)]
pub enum QueueError {
    /// As much is queued as `send_high_water` allows.
    Full {
        /// The message.
        message: Outgoing,
        /// The number of bytes that wait to be written.
        bytes: usize,
        /// The number of messages that wait to be written, including pieces and control frames.
        messages: u64,
    },
    /// The message cannot be sent.
    Failed(Error),
}

impl fmt::Display for QueueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full {
                bytes, messages, ..
            } => write!(
                f,
                "{messages} messages of {bytes} bytes are queued, as much as send_high_water allows"
            ),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for QueueError {}

/// The operations on the shared state of the halves that a [`Handle`] and an [`Outlet`](crate::Outlet) need.
pub(crate) trait Queue {
    fn id(&self) -> u64;
    /// Queues messages without waking the task at the place `me`.
    fn queue(
        &self,
        me: Option<Key>,
        messages: &mut dyn Iterator<Item = Outgoing>,
    ) -> Result<(), QueueError>;
    fn close(&self, frame: Option<CloseFrame>);
    fn closed(&self) -> Option<Closed>;
    fn queued_bytes(&self) -> usize;
    /// Writes what the transport takes now, without waking the task at the place `key`.
    fn write(&self, key: Key) -> Poll<()>;
    fn deadline(&self) -> Option<Instant>;
    fn handle_timeout(&self, key: Key, now: Instant);
    fn register(&self, key: Key, waker: &Waker);
    /// Removes the half that had the place.
    fn leave(&self, key: Key);
}

impl<S: Transport> Queue for Shared<S> {
    fn id(&self) -> u64 {
        self.id()
    }

    fn queue(
        &self,
        me: Option<Key>,
        messages: &mut dyn Iterator<Item = Outgoing>,
    ) -> Result<(), QueueError> {
        self.with(me, |output, _| {
            for message in messages {
                output.queue(message)?;
            }
            Ok(())
        })
    }

    fn close(&self, frame: Option<CloseFrame>) {
        self.with(None, |output, _| output.tx.close(frame));
    }

    fn closed(&self) -> Option<Closed> {
        self.closed()
    }

    fn queued_bytes(&self) -> usize {
        self.lock().tx.queued_bytes()
    }

    fn write(&self, key: Key) -> Poll<()> {
        self.with(Some(key), |output, cx| {
            output.note_yield();
            output.poll(cx)
        })
    }

    fn deadline(&self) -> Option<Instant> {
        self.lock().tx.poll_timeout()
    }

    fn handle_timeout(&self, key: Key, now: Instant) {
        self.handle_write_timeout(key, now);
    }

    fn register(&self, key: Key, waker: &Waker) {
        self.wakers().register(key, waker);
    }

    fn leave(&self, key: Key) {
        self.wakers().leave(key);
        drop(self.with(None, |output, _| output.half_gone()));
    }
}

impl<S> Output<S> {
    fn queue(&mut self, message: Outgoing) -> Result<(), QueueError> {
        if self.tx.is_closing() {
            return Err(QueueError::Failed(self.refuse(SendError::Closed)));
        }
        // If another call has to queue first, that counts as full, too.
        if self.tx.is_full() || !self.may_queue() {
            return Err(QueueError::Full {
                message,
                bytes: self.tx.queued_bytes(),
                messages: self.tx.accepted().saturating_sub(self.tx.flushed()),
            });
        }
        let queued = self.tx.send_later(message);
        queued.map_err(|error| QueueError::Failed(self.refuse(error)))
    }
}

impl<S> WriteHalf<S>
where
    S: Transport<Clock: Send + Sync> + Send,
{
    /// Returns a handle that queues messages of this socket from anywhere.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }
}
