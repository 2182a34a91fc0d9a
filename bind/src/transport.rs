//! The traits of a binding: a transport, and the clock by which calls over it wait.

use std::{
    future::poll_fn,
    io::{self, IoSlice},
    net::SocketAddr,
    pin::pin,
    task::{Context, Poll},
};

use proto::Instant;

/// A stream of bytes in both directions. It borrows nothing, so that a binding can look at its type, for example to
/// find the peer's address.
///
/// Each direction may be polled by a task of its own. A transport must remember the waker of the last poll of each
/// direction, and wake it once that direction may be able to go on.
pub trait Transport: 'static {
    /// The clock by which calls over this transport wait.
    type Clock: Timer;

    /// Returns a clock that waits for nothing yet.
    fn clock(&self) -> Self::Clock;

    /// Reads into `buf`, which is not empty. Zero bytes mean the end.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// Writes from the front of `buf`.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Writes from the front of `bufs`, one buffer after the other. It is called only if
    /// [`is_write_vectored`](Self::is_write_vectored) returns true.
    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = bufs.iter().find(|buf| !buf.is_empty());
        self.poll_write(cx, first.map_or(&[], |buf| buf))
    }

    /// Whether a vectored write takes more than one buffer.
    fn is_write_vectored(&self) -> bool {
        false
    }

    /// Flushes what the transport has buffered.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Ends our direction, after everything that was written.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Whether the peer sees the end of our direction before the transport is dropped. If not, the transport is
    /// dropped as soon as nothing remains to be done except to show the peer that end.
    fn half_closes(&self) -> bool {
        true
    }

    /// Returns the peer's address.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if the transport does not know it.
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns what TLS has negotiated, such as the peer's certificates; `None` without TLS.
    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<&rustls::CommonState> {
        None
    }
}

/// A clock that can wake a task. Clones share the clock, but each waits for a deadline of its own.
pub trait Timer: Clone + Unpin {
    /// Returns the current time.
    fn now(&self) -> Instant;

    /// Waits for `deadline`.
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()>;
}

/// Returns the output of `step`, or `None` if `deadline` passes before.
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
