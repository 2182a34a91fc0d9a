//! What our own driver needs beyond the API. No version number protects it.

use crate::{
    message::Message,
    recv::Receiver,
    send::{Sender, outgoing::Outgoing},
};

/// The next message, if it is one of the small ones that came whole: what `poll_data` would return, with less work
/// around it. `None` means to call `poll_data`.
#[inline]
pub fn recv_small(rx: &mut Receiver) -> Option<Message> {
    rx.poll_batch()
}

/// Sends a small message as `send` would, if nothing has to leave before it. `false` means to call `send`.
#[inline]
pub fn send_small(tx: &mut Sender, message: &Outgoing) -> bool {
    tx.frame_small(message)
}

/// Gives back the memory that this thread keeps for messages to come. A binding whose threads wait calls
/// this before one of them waits for long.
#[cfg(feature = "std")]
pub fn release_thread_memory() {
    crate::memory::spare::release();
}
