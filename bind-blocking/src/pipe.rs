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
    Timer, Transport,
    proto::{Config, Instant},
};

use crate::{
    clock::{Clock, MayWait, Signal, Wants},
    reading::{PATIENCE, Part, Reading, Receiving, release_thread_memory},
    sync::AtomicBool,
    transport::BlockingTransport,
    writing::Writing,
};

/// How long a write blocks before the thread looks around. A read blocks as long if there is something
/// to write as well.
const SLICE: Duration = Duration::from_millis(8);
/// How long a read of a server's socket blocks at most, because nothing else can tell its thread that the server stops.
const ALERT: Duration = Duration::from_millis(512);

/// A transport, with the bytes on their way to and from it.
///
/// The driver takes from `reading` and puts into `writing`, and does not block. The threads that wait do
/// the reading and writing, outside of all locks. The driver of a socket that was not split reads and
/// writes by itself.
pub(crate) struct Pipe<S: ?Sized> {
    clock: Clock,
    reading: Reading,
    writing: Writing,
    /// Whether several threads use it.
    shared: AtomicBool,
    /// Whether the driver has dropped its end.
    dropped: AtomicBool,
    /// Whether the read half is gone: writers then read what has arrived before they send.
    reader_gone: AtomicBool,
    /// The longest time for which a read blocks if several threads share the socket, so that the reader
    /// notices what the others have done, such as a close.
    look: Option<Duration>,
    /// Whether a server may give orders to the socket.
    alert: AtomicBool,
    transport: S,
}

impl<S: BlockingTransport> Pipe<S> {
    /// Fails the connection if the write timeout cannot be set, because writes could then block without
    /// bound.
    pub(crate) fn new(transport: S, config: &Config) -> Self {
        let pipe = Self {
            clock: transport.clock(),
            reading: Reading::default(),
            writing: Writing::default(),
            shared: AtomicBool::new(false),
            dropped: AtomicBool::new(false),
            reader_gone: AtomicBool::new(false),
            look: config.close_timeout,
            alert: AtomicBool::new(false),
            transport,
        };
        if let Err(error) = pipe.transport.set_write_timeout(Some(SLICE)) {
            pipe.writing.fail(error.kind().into());
            pipe.reading.fail(error);
        }
        pipe
    }
}

impl<S: BlockingTransport + ?Sized> Pipe<S> {
    /// Waits until woken or until `until`. A wait that becomes long releases the thread's memory first.
    fn park(&self, signal: &Signal, until: Option<Instant>, now: Instant) {
        // On a quiet connection the memory is released at once: a thread that reads in slices of time
        // wakes all threads that wait here after each slice, so none would ever wait for `PATIENCE`.
        if !self.reading.is_quiet() {
            let soon = now.checked_add(PATIENCE);
            let soon = [soon, until].into_iter().flatten().min();
            self.clock.park(soon);
            if signal.is_set() || soon == until {
                return;
            }
        }
        release_thread_memory();
        self.clock.park(until);
    }

    /// Takes one step that the call waits for, by itself or by waiting for another thread. If the step
    /// is a read and no other thread uses the socket, the driver is to read: the value says how long it
    /// may block.
    pub(crate) fn wait(
        &self,
        signal: &Arc<Signal>,
        wants: Wants,
        now: Instant,
        turns: &mut Alternation,
    ) -> Option<MayWait> {
        if signal.is_set() {
            return None;
        }
        let part = turns.part;
        let may_read = || wants.read && self.reading.is_free(part);
        if wants.until.is_some_and(|until| until <= now) {
            self.ask(may_read());
            return None;
        }
        match (may_read(), self.writing.is_free()) {
            (false, false) => {
                let may_read = || wants.read && self.reading.is_free_or_wakes(part, signal);
                self.writing
                    .park(may_read, || self.park(signal, wants.until, now));
            }
            // Another thread is writing. This one waits for output, so it must soon be ready to take
            // over.
            (true, false) if part != Part::Receives && !self.writing.is_empty() => {
                self.writing.stand_by(|| self.read(Some(SLICE)));
            }
            (true, false) if self.is_shared() => {
                let time = [self.remaining(wants, now), self.look];
                let read = || self.read(time.into_iter().flatten().min());
                if turns.is_on_duty {
                    self.writing.off_duty(read);
                } else {
                    read();
                }
            }
            // This wait may be long, and a read by the driver would hold the driver's memory for all of
            // it.
            (true, false) if self.reading.is_quiet() => {
                self.read(self.remaining(wants, now));
            }
            (true, false) => return Some(self.remaining(wants, now)),
            (false, true) => self.writing.stand_by(|| {
                let goes_on = || !signal.is_set() && !may_read() && !self.is_late(wants);
                let mut patience = Patience::default();
                while !self.write() && goes_on() {
                    patience.waited(SLICE);
                }
            }),
            // Alternates, because a peer may not read until its own output is read.
            (true, true) => self.writing.stand_by(|| {
                let goes_on = || {
                    let both = may_read() && self.writing.is_free();
                    both && !signal.is_set() && !self.is_late(wants)
                };
                let mut patience = Patience::default();
                while !turns.take(|| self.read(Some(SLICE)), || self.write()) && goes_on() {
                    patience.waited(SLICE);
                }
            }),
        }
        None
    }

    /// Returns whether the first deadline has passed.
    fn is_late(&self, wants: Wants) -> bool {
        wants.until.is_some_and(|until| until <= self.clock.now())
    }

    /// Asks the transport once more, without waiting, before a deadline that has passed is judged.
    fn ask(&self, reads: bool) {
        if self.writing.is_free() {
            self.write();
        }
        if reads {
            self.reading.read_now(&self.transport);
        }
    }

    /// Records that this thread is in a call that receives. Until the value is dropped, threads that
    /// send leave reading to it.
    pub(crate) fn receive(&self) -> Receiving<'_> {
        self.reading.receive()
    }

    /// Writes, for at most a slice of time. Returns whether something was written or there was nothing
    /// to write.
    pub(crate) fn write(&self) -> bool {
        self.writing.write(&self.transport)
    }

    /// As [`write`](Self::write), without blocking.
    pub(crate) fn try_write(&self) {
        self.writing.try_write(&self.transport);
    }

    /// Returns how many bytes of the driver's output have not been written.
    pub(crate) fn unwritten(&self) -> usize {
        self.writing.len()
    }

    /// Leaves the unwritten bytes to a thread that waits to write them. Returns whether there are bytes
    /// but no such thread.
    pub(crate) fn hand_over(&self) -> bool {
        self.writing.hand_over()
    }

    /// Prepares for use by several threads.
    pub(crate) fn share(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    /// Ends the transport if the driver has dropped its end in a poll. Returns whether it has.
    pub(crate) fn end_if_dropped(&self) -> bool {
        let dropped = self.dropped.load(Ordering::Relaxed);
        if dropped && self.dropped.swap(false, Ordering::Relaxed) {
            self.end();
        }
        dropped
    }

    /// Ends the transport.
    pub(crate) fn end(&self) {
        // The end of TLS may still have to be written. That takes two slices of time at most, because a
        // signal may cut one of them short.
        for _ in 0..2 {
            if self.writing.is_ending() {
                self.write();
            }
        }
        // A failure is ignored: the connection is over.
        let _ = self.transport.shutdown(Shutdown::Both);
    }

    /// Prepares for use by one thread that also receives.
    pub(crate) fn unshare(&self) {
        self.shared.store(false, Ordering::Relaxed);
        self.reader_gone.store(false, Ordering::Relaxed);
    }

    /// Records that the read half is gone.
    pub(crate) fn reader_gone(&self) {
        self.reader_gone.store(true, Ordering::Relaxed);
    }

    /// Lets a thread that reads look for orders of a server now and then.
    pub(crate) fn alert(&self) {
        self.alert.store(true, Ordering::Relaxed);
    }

    /// Returns how long a read may block: until the first deadline, or until the next look for orders.
    fn remaining(&self, wants: Wants, now: Instant) -> MayWait {
        let until = wants.until.map(|it| it.saturating_duration_since(now));
        let alert = self.alert.load(Ordering::Relaxed).then_some(ALERT);
        [until, alert].into_iter().flatten().min()
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    fn read(&self, time: MayWait) -> bool {
        self.reading.read(&self.transport, time)
    }
}

/// How long a thread has waited in vain while it kept its memory for the next read.
#[derive(Default)]
struct Patience(Duration);

impl Patience {
    fn waited(&mut self, time: Duration) {
        self.0 = self.0.saturating_add(time);
        if self.0 >= PATIENCE {
            release_thread_memory();
        }
    }
}

/// Marks a thread as one that writes what others leave to it, until its call returns.
pub(crate) struct Duty(Arc<Pipe<dyn BlockingTransport>>);

impl Duty {
    pub(crate) fn new(pipe: Arc<Pipe<dyn BlockingTransport>>) -> Self {
        pipe.writing.enter();
        Self(pipe)
    }
}

impl Drop for Duty {
    fn drop(&mut self) {
        self.0.writing.leave();
    }
}

/// Alternates between reading and writing when there is something to read and something to write.
pub(crate) struct Alternation {
    part: Part,
    /// Whether other threads leave their output to this one.
    pub(crate) is_on_duty: bool,
    reads: bool,
    taken: u8,
}

impl Alternation {
    /// The most steps of one kind in a row.
    const MAX: u8 = 16;

    pub(crate) const fn new(part: Part) -> Self {
        Self {
            part,
            is_on_duty: false,
            reads: false,
            taken: 0,
        }
    }

    /// Reads or writes. Returns whether that had a result.
    fn take(&mut self, read: impl FnOnce() -> bool, write: impl FnOnce() -> bool) -> bool {
        let moved = if self.reads { read() } else { write() };
        self.taken += 1;
        if !moved || self.taken >= Self::MAX {
            (self.reads, self.taken) = (!self.reads, 0);
        }
        moved
    }
}

/// A blocking transport as a socket uses it. Dropping it ends the transport.
pub struct Io<S: BlockingTransport>(pub(crate) Arc<Pipe<S>>);

impl<S: BlockingTransport> Deref for Io<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.0.transport
    }
}

impl<S: BlockingTransport> Transport for Io<S> {
    type Clock = Clock;

    fn clock(&self) -> Clock {
        self.0.clock.clone()
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let pipe = &*self.0;
        if pipe.reader_gone.load(Ordering::Relaxed) {
            pipe.reading.look(&pipe.transport, &pipe.clock);
        }
        // The read must not block while there are bytes to write: the peer may be waiting for them.
        let may_wait = Wants::may_wait().filter(|_| !pipe.writing.is_free());
        pipe.reading.poll_read(&pipe.transport, buf, may_wait)
    }

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
        // After a write that timed out, reading may be what makes the peer read again.
        if !self.0.is_shared() && self.0.writing.flows() {
            self.0.write();
        }
        self.0.writing.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.writing.end();
        self.0.writing.poll_end(cx).map(Ok)
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.0.transport.peer_addr()
    }
}

/// Ends the transport. In a poll the thread may hold the socket's lock, so the transport is then ended
/// after the poll.
impl<S: BlockingTransport> Drop for Io<S> {
    fn drop(&mut self) {
        if Wants::is_polling() && Arc::strong_count(&self.0) > 1 {
            self.0.dropped.store(true, Ordering::Relaxed);
        } else {
            self.0.end();
        }
    }
}

impl<S: BlockingTransport> fmt::Debug for Io<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, pin::pin, task::Waker};

    use super::*;

    /// Always has input, and takes output only if the flag is set.
    struct Stuck(AtomicBool);

    impl BlockingTransport for Stuck {
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
        Wants::poll(read, Waker::noop(), may_wait, None)
            .0
            .is_ready()
    }

    #[test]
    fn a_read_waits_if_it_may_and_nothing_is_to_be_written() {
        let pipe = Pipe::new(Stuck(AtomicBool::new(false)), &Config::default());
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
