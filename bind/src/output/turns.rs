//! Which of several calls may queue: the first that came, and none while a guard owns the outgoing message.

use std::task::{Context, Poll};

use proto::{SendError, Sender};

use super::Output;
use crate::{error::Error, transport::Transport, wakers::Key};

/// Writers, the first to come first: those of a socket that was split.
#[derive(Default)]
pub(super) struct Turns(Vec<Key>);

impl<S> Output<S> {
    /// Whether no other call is to queue first.
    pub(crate) const fn may_queue(&self) -> bool {
        !self.guarded && self.turns.is_none()
    }

    /// Whether other calls wait for room.
    pub(crate) const fn has_turns(&self) -> bool {
        self.turns.is_some()
    }

    pub(super) fn first_turn(&self) -> Option<Key> {
        self.turns.as_ref()?.0.first().copied()
    }

    /// Somebody waits no longer for room.
    pub(crate) fn leave(&mut self, key: Key) {
        if let Some(turns) = &mut self.turns {
            turns.0.retain(|turn| *turn != key);
            if turns.0.is_empty() {
                self.turns = None;
            }
        }
    }

    /// Whether data has to wait for the end of a message that a guard owns. Who does gives up its turn:
    /// the pieces of that message need room as well.
    pub(crate) fn holds_back(&mut self, key: Key) -> bool {
        let holds = self.guarded && !self.tx.is_closing();
        if holds {
            self.leave(key);
        }
        holds
    }

    /// A guard gives the outgoing message back.
    pub(crate) fn release(&mut self) {
        self.guarded = false;
        self.tx.abandon();
    }
}

impl<S: Transport> Output<S> {
    /// As [`poll_queue`](Self::poll_queue), for one of several who queue.
    pub(crate) fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        key: Key,
        queue: impl FnOnce(&mut Sender) -> Result<(), SendError>,
    ) -> Poll<Result<(), Error>> {
        if self.first_turn().is_none_or(|turn| turn == key)
            && let Poll::Ready(queued) = self.poll_queue(cx, queue)
        {
            self.leave(key);
            return Poll::Ready(queued);
        }
        let turns = self.turns.get_or_insert_default();
        if !turns.0.contains(&key) {
            turns.0.push(key);
        }
        Poll::Pending
    }
}
