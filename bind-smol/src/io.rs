use std::{
    any::Any,
    future::Future,
    io::{self, IoSlice},
    net::SocketAddr,
    ops::Deref,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll, ready},
    time,
};

use async_net::TcpStream;
use bind::{Timer, Transport, proto::Instant};
use futures_io::{AsyncRead, AsyncWrite};

/// A transport of futures-io.
#[derive(Debug)]
pub struct Io<S>(pub(crate) S);

impl<S> Deref for Io<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + 'static> Transport for Io<S> {
    type Clock = Clock;

    fn clock(&self) -> Clock {
        Clock::new()
    }

    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }

    /// Futures-io does not say. Sockets and TLS take several pieces; a transport that takes only the
    /// first one costs one more write for a large message.
    fn is_write_vectored(&self) -> bool {
        true
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_close(cx)
    }

    /// Futures-io does not promise a half-close, and the TCP streams of async-io and async-std do not
    /// perform it.
    fn half_closes(&self) -> bool {
        false
    }

    /// Asks the stream if it is a TCP stream; no other type is known to have a peer's address.
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        let stream: &dyn Any = &self.0;
        match stream.downcast_ref::<TcpStream>() {
            Some(stream) => stream.peer_addr(),
            None => Err(io::ErrorKind::Unsupported.into()),
        }
    }
}

/// The epoch of this clock.
static EPOCH: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

/// The clock of async-io, which is also smol's.
#[derive(Debug)]
pub struct Clock {
    /// The timer, made at the first wait.
    timer: Option<async_io::Timer>,
    /// The deadline for which `timer` is set.
    armed: Option<Instant>,
}

impl Clock {
    pub(crate) const fn new() -> Self {
        Self {
            timer: None,
            armed: None,
        }
    }

    /// Returns the timer, set to `deadline`.
    fn timer(&mut self, deadline: Instant) -> &mut async_io::Timer {
        let timer = self.timer.get_or_insert_with(async_io::Timer::never);
        if self.armed != Some(deadline) {
            self.armed = Some(deadline);
            timer.set_at(*EPOCH + deadline.since_epoch());
        }
        timer
    }
}

/// A clone waits for its own deadline.
impl Clone for Clock {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Timer for Clock {
    fn now(&self) -> Instant {
        Instant::from_epoch(EPOCH.elapsed())
    }

    #[inline]
    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        // Registers with the reactor only if the deadline or the waker has changed.
        ready!(Pin::new(self.timer(deadline)).poll(cx));
        // A timer that has fired must be set again.
        self.armed = None;
        Poll::Ready(())
    }
}
