//! Functions that our own driver needs beyond the public API. They may change in any version.

use crate::{
    message::Message,
    recv::Receiver,
    send::{Sender, outgoing::Outgoing},
};

/// Returns the next message if it is a small one that came whole. It is what `poll_data` would return, at less
/// cost. If this returns `None`, call `poll_data`.
#[inline]
pub fn recv_small(rx: &mut Receiver) -> Option<Message> {
    rx.poll_batch()
}

/// Sends a small message as `send` would, if nothing has to be sent before it. If this returns `false`, call
/// `send`.
#[inline]
pub fn send_small(tx: &mut Sender, message: &Outgoing) -> bool {
    tx.frame_small(message)
}

/// Frees the memory that this thread keeps for later messages. A binding whose threads wait calls this before one
/// of them waits for long.
#[cfg(feature = "std")]
pub fn release_thread_memory() {
    crate::memory::spare::release();
}
