//! A write half that is used as a `Sink`.

use std::{
    fmt,
    task::{Context, Poll},
};

use proto::Message;

use super::WriteHalf;
use crate::{driver::Call, error::Error, shared::Waiter, transport::Transport};

/// The state of the sink between its calls.
pub(crate) struct Sending<S: Transport> {
    pub(crate) waiter: Waiter<S>,
    /// The message that could not be queued, because a guard owned the outgoing message.
    pub(crate) item: Option<Message>,
    /// The number of messages that a pending flush waits for.
    pub(crate) count: Option<u64>,
}

impl<S: Transport> Sending<S> {
    /// Queues the message that was held back. Ready when there is room for more.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let (key, item) = (self.waiter.key(), &mut self.item);
        self.waiter.poll(cx, Call::Sends, |output, cx| {
            if output.holds_back(key) {
                return Poll::Pending;
            }
            output.poll_turn(cx, key, |tx| {
                item.take().map_or(Ok(()), |message| tx.send(message))
            })
        })
    }
}

impl<S: Transport> fmt::Debug for Sending<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sending")
            .field("item", &self.item.is_some())
            .finish_non_exhaustive()
    }
}

impl<S: Transport> WriteHalf<S> {
    pub(crate) fn sending(&mut self) -> &mut Sending<S> {
        self.sink.get_or_insert_with(|| {
            Box::new(Sending {
                waiter: Waiter::new(&self.shared),
                item: None,
                count: None,
            })
        })
    }
}
