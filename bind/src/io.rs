//! What a binding provides: a transport and a clock.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    task::{Context, Poll},
};

use proto::Instant;

/// A transport to read from.
pub trait Read {
    /// Reads into `buf`, which is not empty; zero bytes mean the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;
}

/// A transport to write to.
pub trait Write {
    /// Writes from the front of `buf`.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes from the front of `bufs`, one behind the other. Called only if
    /// [`is_write_vectored`](Self::is_write_vectored).
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Whether a vectored write takes more than one piece.
    fn is_write_vectored(&self) -> bool;

    /// Passes on what the transport holds back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends our direction, after what was written.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the peer sees the end of our direction before the transport is dropped. If not, it is
    /// dropped as soon as it has nothing more to do than to tell of that end.
    fn half_closes(&self) -> bool;
}

/// A transport that knows who is at the other end.
pub trait PeerAddr {
    /// The peer's address.
    fn peer_addr(&self) -> io::Result<SocketAddr>;
}

/// A clock that can wake a task. Clones share the clock, and wait each for their own deadline.
pub trait Timer: Clone {
    /// The time.
    fn now(&self) -> Instant;

    /// Waits for `deadline`.
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()>;
}
