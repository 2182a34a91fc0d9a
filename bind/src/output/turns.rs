//! The order in which several calls may queue: first come, first served, and none while a guard owns the outgoing
//! message.

use std::task::{Context, Poll, ready};

use proto::{Chunk, Outgoing, SendError, Sender};

use super::Output;
use crate::{error::Error, transport::Transport, wakers::Key};

/// The writers of a split socket that wait for room, in the order in which they came.
#[derive(Default)]
pub(super) struct Turns(Vec<Key>);

impl<S> Output<S> {
    /// Whether no other call has to queue first.
    pub(crate) const fn may_queue(&self) -> bool {
        !self.guarded && self.turns.is_none()
    }

    pub(super) fn first_turn(&self) -> Option<Key> {
        self.turns.as_ref()?.0.first().copied()
    }

    /// Removes a call that no longer waits for room.
    pub(crate) fn leave(&mut self, key: Key) {
        if let Some(turns) = &mut self.turns {
            turns.0.retain(|turn| *turn != key);
            if turns.0.is_empty() {
                self.turns = None;
            }
        }
    }

    /// Whether data has to wait for the end of a message that a guard owns. A call that has to wait gives up its
    /// turn, because the pieces of that message need room as well.
    pub(crate) fn holds_back(&mut self, key: Key) -> bool {
        let holds = self.guarded && !self.tx.is_closing();
        if holds {
            self.leave(key);
        }
        holds
    }

    /// Gives back the outgoing message that a guard owned.
    pub(crate) fn release(&mut self) {
        self.guarded = false;
        self.tx.abandon();
    }
}

impl<S: Transport> Output<S> {
    /// Queues a piece of the message that a guard owns, once no other call has a turn. Returns the number of messages and
    /// chunks queued so far.
    ///
    /// It takes no turn itself: if the guard were not polled again, the turn would hold up the other calls.
    pub(crate) fn poll_piece(
        &mut self,
        cx: &mut Context<'_>,
        piece: impl FnOnce() -> Option<Chunk<Outgoing>>,
    ) -> Poll<Result<u64, Error>> {
        if self.turns.is_some() {
            return Poll::Pending;
        }
        ready!(self.poll_queue(cx, |tx| {
            piece().map_or(Ok(()), |piece| tx.send_chunk(piece))
        }))?;
        Poll::Ready(Ok(self.tx.accepted()))
    }

    /// As [`poll_queue`](Self::poll_queue), but for one of several calls that queue.
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
