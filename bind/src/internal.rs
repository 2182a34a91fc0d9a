//! What our blocking binding needs beyond the API, because its calls are not futures. No version number protects it.

use proto::{Message, Outgoing};

use crate::{
    driver, error::Error, output, socket::WebSocket, transport::Transport, write_half::WriteHalf,
};

pub use crate::transport::within;

/// The next message, if it is one of many small ones that came in one read: what `recv` would return. `None` means
/// to call `recv`.
#[inline]
pub fn recv_small<S: Transport>(socket: &mut WebSocket<S>) -> Option<Message> {
    socket.recv_small()
}

/// Queues a small message as `feed` would, if nothing has to leave before it. `false` means to call `feed`.
#[inline]
pub fn feed_small<S: Transport>(socket: &mut WebSocket<S>, message: &Outgoing) -> bool {
    socket.feed_small(message)
}

/// Writes and flushes all that there is, what the reader owes the peer as well: for a binding whose
/// reader may be blocked. Fails with [`Error::TimedOut`] if the peer takes no output.
pub async fn flush_all<S: Transport>(write: &WriteHalf<S>) -> Result<(), Error> {
    write.flush_all().await
}

/// Gives back the memory that this thread keeps for the sockets it runs. A binding whose threads wait calls
/// this before one of them waits for long.
pub fn release_thread_memory() {
    driver::release_loan();
    output::release_loan();
    proto::internal::release_thread_memory();
}
