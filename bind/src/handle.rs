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

/// A way to queue messages of one socket from anywhere: it can be cloned, has no type parameter, and never
/// writes, waits or blocks.
///
/// What it queues is framed, masked and compressed when it is written. It is written by the next call of a half
/// that waits, and at once only while such a call waits already: by a task, or thread, in
/// [`WriteHalf::drive`].
///
/// It is no half: the transport ends with the last half, whatever handles there are.
#[derive(Clone)]
pub struct Handle(pub(crate) Arc<dyn Queue + Send + Sync>);

impl Handle {
    /// A number that no other socket of this process has, ever.
    pub fn id(&self) -> u64 {
        self.0.id()
    }

    /// Queues a message.
    ///
    /// # Errors
    ///
    /// [`QueueError::Full`] gives the message back, if as much waits as
    /// [`send_high_water`](proto::Config::send_high_water) allows.
    pub fn queue(&self, message: impl Into<Outgoing>) -> Result<(), QueueError> {
        self.0.queue(None, &mut std::iter::once(message.into()))
    }

    /// Queues messages, one after the other and none of anyone else between them, until one cannot be queued. Those
    /// after it are left in the iterator.
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

    /// Queues a Close after the messages queued before. Closing again does nothing.
    pub fn close(&self, frame: impl IntoClose) {
        self.0.close(frame.into_close());
    }

    /// How the connection ended, as far as that is known; see
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

/// Why a message was not queued.
#[derive(Debug)]
pub enum QueueError {
    /// Too much waits already.
    Full {
        /// The message.
        message: Outgoing,
        /// Bytes that wait to be written.
        bytes: usize,
        /// Messages that wait to be written, pieces and control frames included.
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
                "{messages} messages of {bytes} bytes wait to be sent, as much as send_high_water allows"
            ),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for QueueError {}

/// What a [`Handle`] and an [`Outlet`](crate::Outlet) ask of the state that halves share.
pub(crate) trait Queue {
    fn id(&self) -> u64;
    /// Queues for the place `me` among the wakers, which is not woken for it.
    fn queue(
        &self,
        me: Option<Key>,
        messages: &mut dyn Iterator<Item = Outgoing>,
    ) -> Result<(), QueueError>;
    fn close(&self, frame: Option<CloseFrame>);
    fn closed(&self) -> Option<Closed>;
    fn queued_bytes(&self) -> usize;
    /// Writes what the transport takes now, for the place `key` among the wakers.
    fn write(&self, key: Key) -> Poll<()>;
    fn deadline(&self) -> Option<Instant>;
    fn handle_timeout(&self, key: Key, now: Instant);
    fn register(&self, key: Key, waker: &Waker);
    /// The half that had the place is gone.
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
            output.rested();
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
        // A message of another call comes first.
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
    /// A way to queue messages of this socket from anywhere.
    pub fn handle(&self) -> Handle {
        Handle(self.shared.clone())
    }
}
