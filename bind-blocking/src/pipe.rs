use std::{
    fmt,
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr},
    ops::Deref,
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use bind::{
    Read, Timer, Write,
    proto::{Config, Instant},
};

use crate::{
    Clock, PeerAddr, Transport,
    clock::{MayWait, Signal, Wants},
    reading::Reading,
    sync::AtomicBool,
    writing::Writing,
};

/// How long a write blocks before the thread looks around, and a read when there is something to
/// write as well.
const SLICE: Duration = Duration::from_millis(8);

/// A transport, and what is on its way to and from it.
///
/// The driver takes from `reading` and puts into `writing`, and does not block. Threads that wait do the
/// rest, outside of all locks. A socket that was not split has no lock: its driver reads and writes by itself.
pub(crate) struct Pipe<S> {
    transport: S,
    clock: Clock,
    reading: Reading,
    writing: Writing,
    /// Several threads use it.
    shared: AtomicBool,
    /// How long one that reads may be unaware of what another does.
    look: Option<Duration>,
}

impl<S: Transport> Pipe<S> {
    /// A transport whose writes cannot time out is as good as lost.
    pub(crate) fn new(transport: S, config: &Config) -> Self {
        let pipe = Self {
            clock: transport.clock(),
            reading: Reading::default(),
            writing: Writing::default(),
            shared: AtomicBool::new(false),
            look: config.close_timeout,
            transport,
        };
        if let Err(error) = pipe.transport.set_write_timeout(Some(SLICE)) {
            pipe.reading.fail(error);
            pipe.writing.fail();
        }
        pipe
    }

    /// Does one thing of those that are to be done before the call can go on, or waits until another
    /// thread has. If that is a read, and there is no other thread, the driver is to do it: for so long.
    pub(crate) fn wait(&self, signal: &Signal, wants: Wants, turns: &mut Turns) -> Option<MayWait> {
        if signal.is_set() {
            return None;
        }
        let read = wants.read && !self.reading.is_busy();
        match (read, self.writing.is_free()) {
            (false, false) => {
                let may_read = || wants.read && !self.reading.is_busy();
                self.writing.park(may_read, || self.clock.park(wants.until));
            }
            (true, false) if self.is_shared() => {
                let left = self.left(wants.until);
                self.read([left, self.look].into_iter().flatten().min());
            }
            (true, false) => return Some(self.left(wants.until)),
            (false, true) => {
                while !self.write() && self.left(wants.until) != Some(Duration::ZERO) {}
            }
            // Both, for a peer may read nothing before it is read from.
            (true, true) if turns.reads => turns.took(self.read(Some(SLICE))),
            (true, true) => turns.took(self.write()),
        }
        None
    }

    /// Whether something was written, or there is nothing to write. Blocks for a slice of time.
    pub(crate) fn write(&self) -> bool {
        self.writing.write(&self.transport)
    }

    /// Leaves what there is to write to others; whether there are none.
    pub(crate) fn hand_over(&self) -> bool {
        self.writing.hand_over()
    }

    /// From now on several threads use it.
    pub(crate) fn share(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    fn read(&self, time: MayWait) -> bool {
        self.reading.read(&self.transport, time)
    }

    fn left(&self, until: Option<Instant>) -> Option<Duration> {
        let now = self.clock.now().since_epoch();
        until.map(|until| until.since_epoch().saturating_sub(now))
    }
}

/// Whose turn it is when there is something to read and something to write.
#[derive(Default)]
pub(crate) struct Turns {
    reads: bool,
    taken: u8,
}

impl Turns {
    /// So often at most in a row.
    const MAX: u8 = 16;

    fn took(&mut self, moved: bool) {
        self.taken += 1;
        if !moved || self.taken >= Self::MAX {
            (self.reads, self.taken) = (!self.reads, 0);
        }
    }
}

/// The driver's end of a [`Pipe`]. Dropped, it ends the transport.
pub(crate) struct Io<S: Transport>(pub(crate) Arc<Pipe<S>>);

impl<S: Transport> Deref for Io<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.transport
    }
}

impl<S: Transport> Read for Io<S> {
    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let pipe = &*self.0;
        // The peer may wait for what is to be written.
        let may_wait = Wants::may_wait().filter(|_| !pipe.writing.is_free());
        pipe.reading.poll_read(&pipe.transport, buf, may_wait)
    }
}

impl<S: Transport> Write for Io<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let pipe = &*self.0;
        if !pipe.is_shared()
            && let Some(written) = pipe.writing.write_at_once(&pipe.transport, bufs)
        {
            return Poll::Ready(written);
        }
        let mut len = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match pipe.writing.poll_write(cx, buf) {
                Poll::Ready(Ok(taken)) => len += taken,
                polled if len == 0 => return polled,
                _ => break,
            }
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Not again where it would block: reading may be what helps.
        if !self.0.is_shared() && self.0.writing.flows() {
            self.0.write();
        }
        self.0.writing.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.writing.end();
        self.0.writing.poll_end(cx).map(Ok)
    }

    fn half_closes(&self) -> bool {
        true
    }
}

impl<S: Transport + PeerAddr> bind::PeerAddr for Io<S> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.transport.peer_addr()
    }
}

impl<S: Transport> Drop for Io<S> {
    fn drop(&mut self) {
        // TLS says that it ends. That waits for a slice of time at most.
        if self.0.writing.is_ending() {
            self.0.write();
        }
        // The peer learns of it or not: there is nobody to tell of a failure.
        let _ = self.0.transport.shutdown(Shutdown::Both);
    }
}

impl<S: Transport> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Waker};

    use super::*;

    /// Has always something to read, and takes nothing unless it is told to.
    struct Stuck(AtomicBool);

    impl Transport for Stuck {
        fn read(&self, _: &mut [u8]) -> io::Result<usize> {
            Ok(1)
        }

        fn write(&self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.load(Ordering::Relaxed) {
                Ok(bytes.len())
            } else {
                Err(io::ErrorKind::TimedOut.into())
            }
        }

        fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
            Ok(())
        }

        fn shutdown(&self, _: Shutdown) -> io::Result<()> {
            Ok(())
        }
    }

    fn reads(io: &mut Io<Stuck>, may_wait: Option<MayWait>) -> bool {
        let read = pin!(poll_fn(|cx| io.poll_read(cx, &mut [0])));
        Wants::poll(read, Waker::noop(), may_wait).0.is_ready()
    }

    #[test]
    fn a_read_waits_if_it_may_and_nothing_is_to_be_written() {
        let pipe = Pipe::new(Stuck(AtomicBool::new(false)), &crate::config());
        let mut io = Io(Arc::new(pipe));
        assert!(!reads(&mut io, None));
        assert!(reads(&mut io, Some(None)));
        assert!(!reads(&mut io, None), "it was one read");
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(io.poll_write(cx, b"an answer").is_ready());
        assert!(!reads(&mut io, Some(None)));
        io.0.transport.0.store(true, Ordering::Relaxed);
        assert!(io.0.write());
        assert!(reads(&mut io, Some(None)));
    }
}
