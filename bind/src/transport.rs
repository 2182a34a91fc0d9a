//! What a binding provides: a transport, and the clock by which calls over it wait.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll},
};

use proto::Instant;

/// A stream of bytes in both directions. It borrows nothing, so that its type can be looked at for what it knows, such as
/// the peer's address.
///
/// Each direction may be polled by a task of its own. A transport remembers the waker of the last poll of
/// each direction, and wakes it once that direction may be able to go on.
pub trait Transport: 'static {
    /// The clock by which calls over this transport wait.
    type Clock: Timer;

    /// A clock that has nothing to wait for yet.
    fn clock(&self) -> Self::Clock;

    /// Reads into `buf`, which is not empty; zero bytes mean the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes from the front of `buf`.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes from the front of `bufs`, one after the other. It is called only if
    /// [`is_write_vectored`](Self::is_write_vectored) says so.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    /// A vectored write takes more than one piece.
    fn is_write_vectored(&self) -> bool {
        false
    }

    /// Passes on what the transport holds back.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends our direction, after what was written.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The peer sees the end of our direction before the transport is dropped. A transport for which this
    /// is false is dropped as soon as there is nothing left to do but to tell the peer of that end.
    fn half_closes(&self) -> bool {
        true
    }

    /// The peer's address.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if the transport does not know it.
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// What TLS has negotiated, such as the peer's certificates; `None` without TLS.
    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<&rustls::CommonState> {
        None
    }
}

/// A clock that can wake a task. Clones share the clock, and wait each for their own deadline.
pub trait Timer: Clone + Unpin {
    /// The time.
    fn now(&self) -> Instant;

    /// Waits for `deadline`.
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()>;
}

/// Returns what `step` comes to, or `None` if that is not before `deadline`.
pub async fn within<U, T: Timer>(
    step: impl Future<Output = U>,
    mut timer: T,
    deadline: Option<Instant>,
) -> Option<U> {
    let mut step = pin!(step);
    poll_fn(|cx| match (step.as_mut().poll(cx), deadline) {
        (Poll::Pending, Some(deadline)) => timer.poll_until(cx, deadline).map(|()| None),
        (polled, _) => polled.map(Some),
    })
    .await
}
