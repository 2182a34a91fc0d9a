//! The orders of a server to one of its sockets, which belongs to a handler.

use std::{
    mem,
    sync::{Arc, PoisonError},
    task::{Context, Waker},
    thread,
};

use proto::{CloseCode, CloseFrame};

use super::Output;
use crate::{
    sync::{Mutex, MutexGuard},
    transport::Transport,
    wakers::remember,
};

/// The order of a server to one of its sockets, and the wakers of those that follow it.
///
/// The handler owns the socket, so the server cannot call it. Instead, every call of the socket that writes or waits looks
/// here.
#[derive(Debug, Default)]
pub(crate) struct Orders(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    order: Order,
    /// Wakes the call of the socket that waits.
    socket: Option<Waker>,
    /// Wakes the task that runs the handler.
    task: Option<Waker>,
}

#[derive(Clone, Debug, Default, PartialEq)]
enum Order {
    #[default]
    GoOn,
    Close(Option<CloseFrame>),
    /// The socket has taken the order to close.
    Closing,
    /// End at once.
    Abort,
}

impl Orders {
    /// Tells the socket to close. Only the first such order counts.
    pub(crate) fn close(&self, frame: Option<CloseFrame>) {
        self.change(|order| {
            if *order == Order::GoOn {
                *order = Order::Close(frame);
            }
        });
    }

    /// Tells the socket to end at once.
    pub(crate) fn abort(&self) {
        self.change(|order| *order = Order::Abort);
    }

    fn change(&self, change: impl FnOnce(&mut Order)) {
        let mut inner = self.lock();
        change(&mut inner.order);
        let wakers = [inner.socket.take(), inner.task.take()];
        drop(inner);
        wakers.into_iter().flatten().for_each(Waker::wake);
    }

    /// Whether the socket is to end at once. If not, the task is woken when that changes.
    pub(crate) fn poll_abort(&self, cx: &Context<'_>) -> bool {
        let mut inner = self.lock();
        remember(&mut inner.task, cx.waker());
        inner.order == Order::Abort
    }

    /// Returns the order for the socket, which is woken when there is another.
    fn take(&self, cx: &Context<'_>) -> Order {
        let mut inner = self.lock();
        remember(&mut inner.socket, cx.waker());
        match &mut inner.order {
            order @ Order::Close(_) => mem::replace(order, Order::Closing),
            order => order.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A socket's place at a server. The socket keeps it for as long as it has a transport.
pub(crate) trait Place: Send + Sync {
    fn orders(&self) -> &Orders;
}

/// A socket's connection to its server.
pub(crate) struct Attached<S> {
    place: Arc<dyn Place>,
    /// Sends the Close of a handler that has panicked. `Drop` needs this pointer, because it does not know that `S` is a
    /// transport.
    fail: fn(&mut Output<S>),
}

impl<S: Transport> Output<S> {
    /// Lets the socket follow the orders of a server.
    pub(crate) fn attach(&mut self, place: Arc<dyn Place>) {
        let fail = |output: &mut Self| {
            output.tx.close(Some(CloseCode::INTERNAL_ERROR.into()));
            let _ = output.poll(&mut Context::from_waker(Waker::noop()));
        };
        self.attached = Some(Box::new(Attached { place, fail }));
    }

    /// Follows the server's order, if there is one.
    #[cold]
    pub(super) fn follow(&mut self, cx: &mut Context<'_>) {
        let order = self.attached.as_ref().map(|it| it.place.orders().take(cx));
        match order {
            Some(Order::Close(frame)) => self.tx.close(frame),
            Some(Order::Abort) => self.abort(cx),
            _ => {}
        }
    }
}

impl<S> Output<S> {
    /// Tells the peer with 1011 if a panic drops the socket of a server, or one of its halves. This does not wait: the Close
    /// is sent if the transport takes it at once.
    pub(super) fn fail_if_panicking(&mut self) {
        if let Some(attached) = &self.attached
            && thread::panicking()
        {
            let fail = attached.fail;
            fail(self);
        }
    }
}

impl<S> Drop for Output<S> {
    fn drop(&mut self) {
        self.fail_if_panicking();
    }
}
