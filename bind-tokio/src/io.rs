use std::{
    any::Any,
    future::Future,
    io::{self, IoSlice},
    net::SocketAddr,
    ops::Deref,
    pin::{Pin, pin},
    sync::LazyLock,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bind::{Timer, Transport, proto::Instant};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    time::{self, Sleep},
};

/// A transport of tokio.
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
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
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

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
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

/// The epoch of this clock. It lies before any runtime whose clock a test has paused.
static EPOCH: LazyLock<time::Instant> = LazyLock::new(|| {
    let now = std::time::Instant::now();
    now.checked_sub(Duration::from_secs(24 * 60 * 60))
        .unwrap_or(now)
        .into()
});

/// Tokio's clock, which tests may pause (`tokio::time::pause`).
#[derive(Debug)]
pub struct Clock {
    /// The timer, made at the first wait.
    sleep: Option<Pin<Box<Sleep>>>,
    /// The deadline for which `sleep` is set; `waker` is the one that it wakes.
    armed: Option<Instant>,
    waker: Waker,
}

impl Clock {
    pub(crate) fn new() -> Self {
        Self {
            sleep: None,
            armed: None,
            waker: Waker::noop().clone(),
        }
    }

    #[cold]
    fn arm(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        self.armed = Some(deadline);
        self.waker.clone_from(cx.waker());
        let deadline = *EPOCH + deadline.since_epoch();
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(time::sleep_until(deadline)));
        if sleep.deadline() != deadline {
            sleep.as_mut().reset(deadline);
        }
        if sleep.is_elapsed() {
            if deadline <= time::Instant::now() {
                return Poll::Ready(());
            }
            // The timer's runtime has ended, and polling the timer would panic. The current runtime has
            // timers as well.
            sleep.set(time::sleep_until(deadline));
        }
        // If the task had used up its budget, a poll would not register the waker, and the next call
        // would not notice.
        pin!(tokio::task::unconstrained(sleep)).poll(cx)
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
        if self.armed == Some(deadline)
            && self.waker.will_wake(cx.waker())
            && self.sleep.as_ref().is_some_and(|sleep| !sleep.is_elapsed())
        {
            return Poll::Pending;
        }
        self.arm(cx, deadline)
    }
}
