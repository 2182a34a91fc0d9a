use std::{
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
use bind::{PeerAddr, Read, Timer, Write, proto::Instant};
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

impl<S: AsyncRead + Unpin> Read for Io<S> {
    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
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

    /// Futures-io cannot tell. Sockets and TLS take several pieces; a transport that takes the first
    /// only is written to once more for a large message.
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

    /// Futures-io does not promise it, and the TCP streams of async-io and async-std do not do it.
    fn half_closes(&self) -> bool {
        false
    }
}

impl PeerAddr for Io<TcpStream> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.peer_addr()
    }
}

/// Where this clock begins.
static EPOCH: LazyLock<time::Instant> = LazyLock::new(time::Instant::now);

/// The clock of async-io, which smol runs on.
#[derive(Debug)]
pub struct Clock {
    /// Made when something is first waited for.
    timer: Option<async_io::Timer>,
    /// What `timer` waits for.
    armed: Option<Instant>,
}

impl Clock {
    pub(crate) const fn new() -> Self {
        Self {
            timer: None,
            armed: None,
        }
    }

    /// The timer, set to `deadline`.
    fn timer(&mut self, deadline: Instant) -> &mut async_io::Timer {
        let timer = self.timer.get_or_insert_with(async_io::Timer::never);
        if self.armed != Some(deadline) {
            self.armed = Some(deadline);
            timer.set_at(*EPOCH + deadline.since_epoch());
        }
        timer
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
        // Registers with the reactor only if the deadline or the waker is another.
        ready!(Pin::new(self.timer(deadline)).poll(cx));
        // The timer has forgotten it.
        self.armed = None;
        Poll::Ready(())
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, task::Waker, time::Duration};

    use smol::future::FutureExt;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const MOMENT: Duration = Duration::from_millis(20);

    /// Ends a test that would wait for an hour.
    async fn guarded<T>(test: impl Future<Output = T>) -> T {
        let hang = async {
            async_io::Timer::after(Duration::from_secs(60)).await;
            panic!("the test hangs")
        };
        test.or(hang).await
    }

    fn after(clock: &Clock, wait: Duration) -> Instant {
        clock.now().checked_add(wait).unwrap()
    }

    /// Whether `deadline` has passed, asked by a task that waits for it.
    async fn has_passed(clock: &mut Clock, deadline: Instant) -> bool {
        poll_fn(|cx| Poll::Ready(clock.poll_until(cx, deadline).is_ready())).await
    }

    #[test]
    fn a_clock_waits_for_the_deadline_it_was_given_last() {
        smol::block_on(guarded(async {
            let mut clock = Clock::new();
            let far = after(&clock, HOUR);
            assert!(!has_passed(&mut clock, far).await);
            for _ in 0..3 {
                let near = after(&clock, MOMENT);
                poll_fn(|cx| clock.poll_until(cx, near)).await;
                assert!(clock.now() >= near);
                // It has passed for ever.
                poll_fn(|cx| clock.poll_until(cx, near)).await;
            }
            let near = after(&clock, MOMENT);
            let _ = has_passed(&mut clock, near).await;
            // A clone waits for its own.
            let mut clone = clock.clone();
            assert!(!has_passed(&mut clock, far).await);
            poll_fn(|cx| clone.poll_until(cx, near)).await;
            assert!(!has_passed(&mut clock, far).await);
        }));
    }

    #[test]
    fn the_task_that_asked_last_is_woken() {
        smol::block_on(guarded(async {
            let mut clock = Clock::new();
            let near = after(&clock, MOMENT);
            let mut nobody = Context::from_waker(Waker::noop());
            let _ = clock.poll_until(&mut nobody, near);
            poll_fn(|cx| clock.poll_until(cx, near)).await;
            assert!(clock.now() >= near);
        }));
    }
}
