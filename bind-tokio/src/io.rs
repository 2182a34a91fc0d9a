use std::{
    future::Future,
    io::{self, IoSlice},
    net::SocketAddr,
    ops::Deref,
    pin::{Pin, pin},
    sync::LazyLock,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};

use bind::{PeerAddr, Read, Timer, Write, proto::Instant};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    runtime::Handle,
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

impl<S: AsyncRead + Unpin> Read for Io<S> {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(buf);
        ready!(Pin::new(&mut self.0).poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

impl<S: AsyncWrite + Unpin> Write for Io<S> {
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

    fn half_closes(&self) -> bool {
        true
    }
}

impl PeerAddr for Io<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

/// Fails outside of a runtime, where nothing can be waited for: tokio would panic.
pub(crate) fn in_runtime() -> io::Result<()> {
    Handle::try_current().map(drop).map_err(io::Error::other)
}

/// Where this clock begins: before any runtime whose clock was stopped by a test.
static EPOCH: LazyLock<time::Instant> = LazyLock::new(|| {
    let now = std::time::Instant::now();
    now.checked_sub(Duration::from_secs(24 * 60 * 60))
        .unwrap_or(now)
        .into()
});

/// The clock of tokio, which tests may stop (`tokio::time::pause`).
#[derive(Debug)]
pub struct Clock {
    /// Made when something is first waited for.
    sleep: Option<Pin<Box<Sleep>>>,
    /// What `sleep` waits for, and for whom.
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
            // Its runtime has ended, and to poll it would panic. The one that polls us has timers as well.
            sleep.set(time::sleep_until(deadline));
        }
        // Out of its budget of work, a task would not be registered, and the next call would not know.
        pin!(tokio::task::unconstrained(sleep)).poll(cx)
    }
}

/// A clone waits for a deadline of its own.
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

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_waits_for_the_deadline_it_was_given_last() {
        let mut clock = Clock::new();
        let start = clock.now();
        let after = |secs| start.checked_add(Duration::from_secs(secs)).unwrap();
        let early = poll_fn(|cx| Poll::Ready(clock.poll_until(cx, after(5)))).await;
        assert!(early.is_pending());
        for secs in [3, 4, 4, 1] {
            poll_fn(|cx| clock.poll_until(cx, after(secs))).await;
            assert!(clock.now() >= after(secs));
            assert!(clock.now() < after(5), "{secs}");
        }
        // A clone waits for its own.
        let mut clone = clock.clone();
        let (first, second) = (after(7), after(6));
        tokio::join!(
            poll_fn(|cx| clock.poll_until(cx, first)),
            poll_fn(|cx| clone.poll_until(cx, second)),
        );
        assert!(clock.now() >= first);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_has_worked_a_lot_is_woken_all_the_same() {
        let work = Semaphore::new(usize::MAX >> 4);
        let mut clock = Clock::new();
        let deadline = clock.now().checked_add(Duration::from_secs(1)).unwrap();
        let mut worked = false;
        let waiting = poll_fn(|cx| {
            if !worked {
                // Until the task has used up what it may do in one turn.
                while pin!(work.acquire()).poll(cx).is_ready() {}
                worked = true;
            }
            clock.poll_until(cx, deadline)
        });
        let woken = time::timeout(Duration::from_secs(2), waiting);
        assert!(woken.await.is_ok());
    }
}
