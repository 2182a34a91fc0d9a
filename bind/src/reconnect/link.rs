use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use proto::{Outgoing, SendError};

use super::machine::Step;
use crate::{
    client::Connect,
    error::Error,
    sync::{Mutex, MutexGuard},
};

/// What becomes of a message that is sent while there is no connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Offline {
    /// The call fails and returns the message.
    #[default]
    Fail,
    /// The call waits for a connection. It must not be made by the task or thread that receives, because that one connects.
    Wait,
    /// The message is queued, and sent after the next `on_connect`. The call fails if the bounds are exceeded.
    Queue {
        /// The most messages.
        messages: usize,
        /// The most payload in bytes.
        bytes: usize,
    },
}

/// The stage of a socket that reconnects.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReconnectState {
    /// A connection is being made, or `on_connect` is running.
    Connecting,
    /// There is a connection.
    Open,
    /// The next attempt begins after a delay.
    Waiting,
    /// The socket was stopped, has given up, or was dropped.
    Ended,
}

impl From<Step> for ReconnectState {
    fn from(step: Step) -> Self {
        match step {
            Step::Connect => Self::Connecting,
            Step::Receive => Self::Open,
            Step::Wait(_) => Self::Waiting,
            Step::End => Self::Ended,
        }
    }
}

/// The reason why a message was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReconnectSendError {
    /// There is no connection. Contains the message.
    Disconnected(Outgoing),
    /// There is no connection, and as much is queued as [`Offline::Queue`] allows. Contains the message.
    Full(Outgoing),
    /// There will be no connection any more. Contains the message.
    Ended(Outgoing),
    /// The message was handed to a connection, which failed, or it cannot be sent at all. It is not sent again, because
    /// the peer may have received it.
    Failed(Error),
}

impl fmt::Display for ReconnectSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(_) => f.write_str(
                "there is no connection now: send the message again later, or choose Offline::Wait or Offline::Queue",
            ),
            Self::Full(_) => f.write_str("there is no connection now, and the queue is full"),
            Self::Ended(_) => f.write_str("there is no connection, and no attempt to connect any more"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReconnectSendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            _ => None,
        }
    }
}

/// What the task that receives shares with those that send. `W` is the sending direction of a connection.
pub struct Link<W>(Mutex<Inner<W>>);

struct Inner<W> {
    /// The current connection, unless it is known to have ended.
    half: Option<Arc<W>>,
    state: ReconnectState,
    is_stopped: bool,
    offline: Offline,
    queue: VecDeque<Outgoing>,
    queued_bytes: usize,
    /// The number of changes of the fields above that someone may wait for.
    changes: u64,
    wakers: Vec<Waker>,
    max_send_size: usize,
}

/// The way of a message.
#[derive(Debug)]
pub enum Route<W> {
    /// Hand it to this connection.
    Direct(Arc<W>, Outgoing),
    /// Try again after a [change](Link::poll_change) since this one.
    Later(u64, Outgoing),
    /// The call is over.
    Done(Result<(), ReconnectSendError>),
}

impl<W> Link<W> {
    /// Makes the link of a socket that has no connection yet.
    pub fn new(to: &Connect) -> Self {
        Self(Mutex::new(Inner {
            half: None,
            state: ReconnectState::Connecting,
            is_stopped: false,
            offline: Offline::Fail,
            queue: VecDeque::new(),
            queued_bytes: 0,
            changes: 0,
            wakers: Vec::new(),
            max_send_size: to.current_config().max_send_size,
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Inner<W>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the fields and wakes all who wait for that.
    fn change<U>(&self, f: impl FnOnce(&mut Inner<W>) -> U) -> U {
        let mut inner = self.lock();
        let value = f(&mut inner);
        inner.changes += 1;
        let wakers = std::mem::take(&mut inner.wakers);
        drop(inner);
        wakers.into_iter().for_each(Waker::wake);
        value
    }

    /// Sets what becomes of a message while there is no connection.
    pub fn set_offline(&self, offline: Offline) {
        self.lock().offline = offline;
    }

    /// Records that there is a connection. Returns `false` if the socket was stopped, because nobody would close it.
    pub fn open(&self, half: &Arc<W>) -> bool {
        self.change(|inner| {
            if !inner.is_stopped {
                inner.state = ReconnectState::Open;
                inner.half = Some(half.clone());
            }
            !inner.is_stopped
        })
    }

    /// Records that there is no connection.
    pub fn set(&self, state: ReconnectState) {
        // The half may be the last one, and dropping it ends a transport, so the lock is released before.
        drop(self.change(|inner| {
            inner.state = state;
            inner.half.take()
        }));
    }

    /// Returns the stage.
    pub fn state(&self) -> ReconnectState {
        self.lock().state
    }

    /// Returns the number of messages in the queue.
    pub fn queued(&self) -> usize {
        self.lock().queue.len()
    }

    /// Returns the number of changes up to now.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// Waits for a change after the first `seen` ones.
    pub fn poll_change(&self, cx: &mut Context<'_>, seen: u64) -> Poll<u64> {
        let mut inner = self.lock();
        if inner.changes != seen {
            return Poll::Ready(inner.changes);
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Stops the socket. Returns the connection that is to be closed, if there is one.
    pub fn stop(&self) -> Option<Arc<W>> {
        self.change(|inner| {
            inner.is_stopped = true;
            inner.half.clone()
        })
    }

    /// Returns whether the socket was stopped.
    pub fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    /// Waits until the socket is stopped.
    pub fn poll_stopped(&self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let seen = self.changes();
            if self.is_stopped() {
                return Poll::Ready(());
            }
            ready!(self.poll_change(cx, seen));
        }
    }

    /// Waits until the stage is another one than `state`, and returns it.
    pub fn poll_state(&self, cx: &mut Context<'_>, state: ReconnectState) -> Poll<ReconnectState> {
        loop {
            let seen = self.changes();
            let now = self.state();
            if now != state {
                return Poll::Ready(now);
            }
            ready!(self.poll_change(cx, seen));
        }
    }

    /// Decides about a message. While messages wait in the queue, later ones wait there too, so that their order stays.
    pub fn route(&self, message: Outgoing) -> Route<W> {
        let mut inner = self.lock();
        if inner.is_stopped || inner.state == ReconnectState::Ended {
            return Route::Done(Err(ReconnectSendError::Ended(message)));
        }
        if let Some(half) = &inner.half
            && inner.queue.is_empty()
        {
            return Route::Direct(half.clone(), message);
        }
        match inner.offline {
            Offline::Fail => Route::Done(Err(ReconnectSendError::Disconnected(message))),
            Offline::Wait => Route::Later(inner.changes, message),
            Offline::Queue { .. } if message.message().len() > inner.max_send_size => {
                let error = SendError::TooBig {
                    max: inner.max_send_size as u64,
                };
                Route::Done(Err(ReconnectSendError::Failed(error.into())))
            }
            Offline::Queue { messages, bytes } => {
                let len = inner.queued_bytes.saturating_add(message.message().len());
                if inner.queue.len() >= messages || len > bytes {
                    return Route::Done(Err(ReconnectSendError::Full(message)));
                }
                inner.queued_bytes = len;
                inner.queue.push_back(message);
                Route::Done(Ok(()))
            }
        }
    }

    /// Decides about a message that the connection `half` has not taken. Returns the error, unless the connection has ended.
    pub fn refused(&self, half: &Arc<W>, error: Error) -> Result<(), ReconnectSendError> {
        if let Error::Send(cause) = &error
            && !matches!(cause, SendError::Closed)
        {
            return Err(ReconnectSendError::Failed(error));
        }
        self.lost(half);
        Ok(())
    }

    /// Records that a connection has ended, which the task that receives may not have noticed yet.
    fn lost(&self, half: &Arc<W>) {
        let is_current =
            |inner: &Inner<W>| inner.half.as_ref().is_some_and(|it| Arc::ptr_eq(it, half));
        // The caller still has the half, so it is not dropped here.
        let mut inner = self.lock();
        if is_current(&inner) {
            inner.half = None;
        }
    }

    /// Returns the first message of the queue, which stays there until [`remove`](Self::remove).
    pub fn first(&self) -> Option<Outgoing> {
        self.lock().queue.front().cloned()
    }

    /// Removes the first message of the queue, which was handed to a connection.
    pub fn remove(&self) {
        let mut inner = self.lock();
        if let Some(message) = inner.queue.pop_front() {
            inner.queued_bytes -= message.message().len();
        }
    }
}

impl<W> fmt::Debug for Link<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = self.lock();
        f.debug_struct("Link")
            .field("state", &inner.state)
            .field("queued", &inner.queue.len())
            .finish_non_exhaustive()
    }
}
