//! The traits of a binding: a transport, and the clock by which calls over it wait.

use std::{
    fmt,
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

/// Implements the methods of `Transport` by calling them on what `$of!(self, io => call)` calls `io`. With `except`, the
/// two methods that read remain to be written.
macro_rules! delegate {
    ($of:ident) => {
        #[inline]
        fn poll_read(
            &mut self,
            cx: &mut std::task::Context<'_>,
            buf: &mut [u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            $of!(self, io => io.poll_read(cx, buf))
        }

        #[cfg(feature = "tls")]
        fn tls(&self) -> Option<&rustls::CommonState> {
            $of!(self, io => io.tls())
        }

        $crate::transport::delegate!($of, except poll_read, tls);
    };
    ($of:ident, except poll_read, tls) => {
        fn clock(&self) -> Self::Clock {
            $of!(self, io => io.clock())
        }

        #[inline]
        fn poll_write(
            &mut self,
            cx: &mut std::task::Context<'_>,
            buf: &[u8],
        ) -> std::task::Poll<std::io::Result<usize>> {
            $of!(self, io => io.poll_write(cx, buf))
        }

        fn poll_write_vectored(
            &mut self,
            cx: &mut std::task::Context<'_>,
            bufs: &[std::io::IoSlice<'_>],
        ) -> std::task::Poll<std::io::Result<usize>> {
            $of!(self, io => io.poll_write_vectored(cx, bufs))
        }

        fn is_write_vectored(&self) -> bool {
            $of!(self, io => io.is_write_vectored())
        }

        #[inline]
        fn poll_flush(
            &mut self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            $of!(self, io => io.poll_flush(cx))
        }

        fn poll_shutdown(
            &mut self,
            cx: &mut std::task::Context<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            $of!(self, io => io.poll_shutdown(cx))
        }

        fn half_closes(&self) -> bool {
            $of!(self, io => io.half_closes())
        }

        fn peer_addr(&self) -> std::io::Result<std::net::SocketAddr> {
            $of!(self, io => io.peer_addr())
        }
    };
}
pub(crate) use delegate;

/// A transport whose type is known only at run time.
pub struct AnyTransport<C: Timer>(Box<dyn Transport<Clock = C> + Send + Sync>);

impl<C: Timer> AnyTransport<C> {
    /// Erases the type of a transport.
    pub fn new(io: impl Transport<Clock = C> + Send + Sync) -> Self {
        Self(Box::new(io))
    }
}

macro_rules! inner {
    ($self:ident, $io:ident => $call:expr) => {{
        let Self($io) = $self;
        $call
    }};
}

impl<C: Timer> Transport for AnyTransport<C> {
    type Clock = C;

    delegate!(inner);
}

impl<C: Timer> fmt::Debug for AnyTransport<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AnyTransport").finish_non_exhaustive()
    }
}

/// A clock that can wake a task. Clones share the clock, but each waits for a deadline of its own.
pub trait Timer: Clone + Unpin + 'static {
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
