use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, PoisonError},
    task::{Context, Poll, Waker},
};

use proto::{Outgoing, SendError};

use super::{
    machine::ReconnectState,
    offline::{Offline, ReconnectSendError},
};
use crate::{
    client::Connect,
    error::Error,
    sync::{Mutex, MutexGuard},
};

/// The state that the task that receives shares with those that send. `W` is the sending direction of a connection.
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

    /// Waits until `look` finds something.
    fn poll_until<U>(
        &self,
        cx: &mut Context<'_>,
        look: impl FnOnce(&Inner<W>) -> Option<U>,
    ) -> Poll<U> {
        let mut inner = self.lock();
        if let Some(found) = look(&inner) {
            return Poll::Ready(found);
        }
        if !inner.wakers.iter().any(|waker| waker.will_wake(cx.waker())) {
            inner.wakers.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits for a change after the first `seen` ones.
    pub fn poll_change(&self, cx: &mut Context<'_>, seen: u64) -> Poll<()> {
        self.poll_until(cx, |inner| (inner.changes != seen).then_some(()))
    }

    /// Waits until the socket is stopped.
    pub fn poll_stopped(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.poll_until(cx, |inner| inner.is_stopped.then_some(()))
    }

    /// Waits until the stage is another one than `state`, and returns it.
    pub fn poll_state(&self, cx: &mut Context<'_>, state: ReconnectState) -> Poll<ReconnectState> {
        self.poll_until(cx, |inner| (inner.state != state).then_some(inner.state))
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
        let mut inner = self.lock();
        // The caller still has the half, so it is not dropped here.
        inner.half.take_if(|current| Arc::ptr_eq(current, half));
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

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;

    fn link(offline: Offline) -> Link<u8> {
        let link = Link::new(&Connect::new("ws://a.test"));
        link.set_offline(offline);
        link
    }

    /// Says in a word what becomes of a message.
    fn routed(link: &Link<u8>, text: &str) -> String {
        match link.route(text.into()) {
            Route::Direct(half, message) => {
                assert_eq!(message.message().as_text(), Some(text));
                format!("to {half}")
            }
            Route::Later(..) => "later".to_owned(),
            Route::Done(Ok(())) => "queued".to_owned(),
            Route::Done(Err(ReconnectSendError::Disconnected(_))) => "disconnected".to_owned(),
            Route::Done(Err(ReconnectSendError::Full(_))) => "full".to_owned(),
            Route::Done(Err(ReconnectSendError::Ended(_))) => "ended".to_owned(),
            Route::Done(Err(ReconnectSendError::Failed(_))) => "failed".to_owned(),
        }
    }

    const QUEUE: Offline = Offline::Queue {
        messages: 3,
        bytes: 5,
    };

    #[test]
    fn each_policy_decides_while_there_is_no_connection() {
        for (offline, word) in [
            (Offline::Fail, "disconnected"),
            (Offline::Wait, "later"),
            (QUEUE, "queued"),
        ] {
            let link = link(offline);
            for state in [ReconnectState::Connecting, ReconnectState::Waiting] {
                link.set(state);
                assert_eq!(routed(&link, "a"), word);
            }
            link.set(ReconnectState::Ended);
            assert_eq!(routed(&link, "a"), "ended");
        }
    }

    #[test]
    fn messages_wait_in_the_queue_until_it_is_empty() {
        let link = link(QUEUE);
        assert_eq!(routed(&link, "1"), "queued");
        assert!(link.open(&Arc::new(7)));
        assert_eq!(routed(&link, "2"), "queued");
        let first = || Some(link.first()?.message().as_text()?.to_owned());
        assert_eq!(first().as_deref(), Some("1"));
        link.remove();
        assert_eq!(routed(&link, "3"), "queued");
        assert_eq!(first().as_deref(), Some("2"));
        link.remove();
        link.remove();
        assert_eq!((link.queued(), first()), (0, None));
        assert_eq!(routed(&link, "4"), "to 7");
        link.remove();
    }

    #[test]
    fn the_queue_counts_messages_and_bytes() {
        let link = link(QUEUE);
        assert_eq!(routed(&link, "123456"), "full");
        assert_eq!(routed(&link, "12345"), "queued");
        assert_eq!(routed(&link, "6"), "full");
        link.remove();
        for _ in 0..3 {
            assert_eq!(routed(&link, ""), "queued");
        }
        assert_eq!(routed(&link, ""), "full");
    }

    #[test]
    fn a_connection_that_has_ended_gets_no_more_messages() {
        let (link, half) = (link(Offline::Fail), Arc::new(1));
        assert!(link.open(&half));
        link.refused(&half, SendError::Closed.into()).unwrap();
        assert_eq!(routed(&link, "a"), "disconnected");
        // The next connection is not touched by what is known of the one before.
        assert!(link.open(&Arc::new(2)));
        let lost = Error::Lost(io::ErrorKind::ConnectionReset.into());
        link.refused(&half, lost).unwrap();
        assert_eq!(routed(&link, "a"), "to 2");
        let refused = link.refused(&half, SendError::Unfinished.into());
        assert!(matches!(refused, Err(ReconnectSendError::Failed(_))));
    }

    #[test]
    fn a_socket_that_was_stopped_opens_no_more() {
        let (link, half) = (link(QUEUE), Arc::new(1));
        assert!(link.open(&half));
        assert_eq!(link.stop(), Some(half.clone()));
        assert_eq!(routed(&link, "a"), "ended");
        link.set(ReconnectState::Connecting);
        assert!(!link.open(&half), "nobody would close it");
        assert_eq!(link.stop(), None);
    }

    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn all_who_wait_are_woken_by_a_change() {
        let link = link(Offline::Wait);
        let counts = [const { AtomicUsize::new(0) }; 2].map(|count| Arc::new(Count(count)));
        for count in &counts {
            let waker = Waker::from(count.clone());
            let cx = &mut Context::from_waker(&waker);
            for _ in 0..3 {
                assert!(link.poll_stopped(cx).is_pending());
                assert!(link.poll_state(cx, ReconnectState::Connecting).is_pending());
            }
        }
        let woken = || {
            counts
                .each_ref()
                .map(|count| count.0.load(Ordering::Relaxed))
        };
        assert_eq!(woken(), [0, 0]);
        link.set(ReconnectState::Waiting);
        assert_eq!(woken(), [1, 1], "each waker is kept once");
        let cx = &mut Context::from_waker(Waker::noop());
        let state = link.poll_state(cx, ReconnectState::Connecting);
        assert_eq!(state, Poll::Ready(ReconnectState::Waiting));
        link.stop();
        assert!(link.poll_stopped(cx).is_ready());
    }
}
