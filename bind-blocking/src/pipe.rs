use std::{
    cell::Cell,
    fmt,
    io::{self, IoSlice},
    net::Shutdown,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bind::{
    Read, Timer, Write,
    proto::{Config, Instant},
};

use crate::{
    Clock, Transport,
    clock::{Signal, Wants},
    transport::{PeerAddr, timed_out},
};

/// The most that is read, or waits to be written, in bytes.
const ROOM: usize = 64 << 10;
/// How long a write blocks before the thread looks around, and a read when there is something to
/// write as well.
const SLICE: Duration = Duration::from_millis(8);

thread_local! {
    /// What a thread reads into, kept while it has nothing to say.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A transport, and what is on its way to and from it.
///
/// The driver takes from `reading` and puts into `writing`, and does not block. Threads that wait do the
/// rest, outside of all locks: one at a time has the right to read, one the right to write, and that
/// one writes whatever others have put there. A socket that was not split has no lock, and writes when
/// it flushes.
pub(crate) struct Pipe<S> {
    transport: S,
    clock: Clock,
    reading: Mutex<Reading>,
    writing: Mutex<Writing>,
    /// Several threads use it.
    shared: AtomicBool,
    /// How long one that reads may be unaware of what another does.
    look: Option<Duration>,
}

#[derive(Default)]
struct Reading {
    /// Received bytes are `start..end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// The end, or why there will be nothing more.
    ended: bool,
    error: Option<io::Error>,
    /// Somebody reads.
    busy: bool,
    /// How long the transport lets a read wait.
    timeout: Option<Option<Duration>>,
    waker: Option<Waker>,
}

#[derive(Default)]
struct Writing {
    bytes: Vec<u8>,
    /// What the transport has taken may not have left.
    unflushed: bool,
    shutdown: End,
    failed: bool,
    error: Option<io::Error>,
    /// Somebody writes.
    busy: bool,
    /// How many threads wait to be woken.
    parked: usize,
    waker: Option<Waker>,
}

/// Our direction.
#[derive(Clone, Copy, Default, PartialEq)]
enum End {
    #[default]
    Open,
    Wanted,
    Done,
}

impl Writing {
    fn has_work(&self) -> bool {
        let waits = !self.bytes.is_empty() || self.unflushed || self.shutdown == End::Wanted;
        waits && !self.failed
    }

    fn is_free(&self) -> bool {
        self.has_work() && !self.busy
    }
}

impl<S: Transport> Pipe<S> {
    pub(crate) fn new(transport: S, config: &Config) -> io::Result<Arc<Self>> {
        transport.set_write_timeout(Some(SLICE))?;
        Ok(Arc::new(Self {
            clock: transport.clock(),
            transport,
            reading: Mutex::default(),
            writing: Mutex::default(),
            shared: AtomicBool::new(false),
            look: config.close_timeout,
        }))
    }

    /// Does one thing of those that are to be done before the call can go on, or waits until another
    /// thread has.
    pub(crate) fn wait(&self, signal: &Signal, wants: Wants, turns: &mut Turns) {
        if signal.is_set() {
            return;
        }
        let write = lock(&self.writing).is_free();
        let read = wants.read && !lock(&self.reading).busy;
        match (read, write) {
            (false, false) => self.park(wants),
            (true, false) => {
                self.read(wants.until, self.is_shared());
            }
            (false, true) => while !self.write() && !self.is_over(wants.until) {},
            // Both, for a peer may read nothing before it is read from.
            (true, true) if turns.reads => {
                let until = self.clock.now().checked_add(SLICE);
                turns.took(self.read(until, false));
            }
            (true, true) => turns.took(self.write()),
        }
    }

    /// Whether something was written, or there is nothing to write. Blocks for a slice of time.
    pub(crate) fn write(&self) -> bool {
        let mut writing = lock(&self.writing);
        if !writing.is_free() {
            return true;
        }
        writing.busy = true;
        let mut bytes = std::mem::take(&mut writing.bytes);
        let end = writing.shutdown;
        drop(writing);

        let (written, result) = self.write_all(&bytes, end);
        let mut writing = lock(&self.writing);
        writing.busy = false;
        bytes.drain(..written);
        writing.unflushed |= written > 0;
        if !bytes.is_empty() {
            bytes.append(&mut writing.bytes);
            writing.bytes = bytes;
        }
        let moved = match result {
            Ok(()) => {
                writing.unflushed = false;
                if end == End::Wanted {
                    writing.shutdown = End::Done;
                }
                true
            }
            Err(error) if timed_out(&error) => written > 0,
            Err(error) => {
                writing.failed = true;
                writing.error = Some(error);
                true
            }
        };
        if moved {
            wake(writing.waker.take());
        }
        moved
    }

    /// How much of `bytes` the transport took, and whether it has passed all of it on.
    fn write_all(&self, bytes: &[u8], end: End) -> (usize, io::Result<()>) {
        let mut written = 0;
        while let Some(rest) = bytes.get(written..)
            && !rest.is_empty()
        {
            match self.transport.write(rest) {
                Ok(0) => return (written, Err(io::ErrorKind::WriteZero.into())),
                Ok(len) => written += len.min(rest.len()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return (written, Err(error)),
            }
        }
        let result = self.transport.flush();
        if result.is_ok() && end == End::Wanted {
            return (written, self.transport.shutdown(Shutdown::Write));
        }
        (written, result)
    }

    /// Whether there is something new, the end included. Blocks until a deadline; `look`s up before it
    /// if that is far and others may change what there is to do.
    fn read(&self, until: Option<Instant>, look: bool) -> bool {
        let mut reading = lock(&self.reading);
        if reading.busy {
            return false;
        }
        let left = until.map(|until| {
            let left = until.since_epoch();
            left.saturating_sub(self.clock.now().since_epoch())
        });
        let look = self.look.filter(|_| look);
        let timeout = wait_for([left, look].into_iter().flatten().min());
        let set = (reading.timeout != Some(timeout)).then_some(timeout);
        reading.busy = true;
        drop(reading);

        let mut buffer = BUFFER.take();
        if buffer.is_empty() {
            // Memory that nothing was read into is not touched.
            buffer = vec![0; ROOM];
        }
        let read = match set {
            Some(timeout) => self.transport.set_read_timeout(timeout),
            None => Ok(()),
        };
        let read = read.and_then(|()| self.transport.read(&mut buffer));
        let mut reading = lock(&self.reading);
        reading.busy = false;
        reading.timeout = Some(timeout);
        match read {
            Ok(len) if len > 0 => {
                reading.end = len.min(buffer.len());
                reading.start = 0;
                reading.bytes = buffer;
            }
            Ok(_) => reading.ended = true,
            Err(error) if timed_out(&error) => {
                BUFFER.set(buffer);
                return false;
            }
            Err(error) => {
                reading.ended = true;
                reading.error = Some(error);
            }
        }
        wake(reading.waker.take());
        true
    }

    /// Waits until another thread has read, written or changed what there is to do.
    fn park(&self, wants: Wants) {
        let mut writing = lock(&self.writing);
        if writing.is_free() || (wants.read && !lock(&self.reading).busy) {
            return;
        }
        writing.parked += 1;
        drop(writing);
        self.clock.park(wants.until);
        lock(&self.writing).parked -= 1;
    }

    /// What a call leaves behind when it returns: whether it has to go on because nobody else will.
    pub(crate) fn is_left(&self) -> bool {
        let mut writing = lock(&self.writing);
        if !writing.is_free() {
            return false;
        }
        let parked = writing.parked > 0;
        let waker = writing.waker.take_if(|_| parked);
        drop(writing);
        wake(waker);
        !parked
    }

    /// From now on several threads use it.
    pub(crate) fn share(&self) {
        self.shared.store(true, Ordering::Relaxed);
    }

    fn write_unshared(&self) {
        if !self.is_shared() {
            self.write();
        }
    }

    fn is_shared(&self) -> bool {
        self.shared.load(Ordering::Relaxed)
    }

    fn is_over(&self, until: Option<Instant>) -> bool {
        until.is_some_and(|until| until <= self.clock.now())
    }
}

/// How long to tell the transport to wait: a power of two of milliseconds, so that it is not told anew
/// for each read that the deadline has come nearer.
fn wait_for(left: Option<Duration>) -> Option<Duration> {
    let millis = u64::try_from(left?.as_millis()).unwrap_or(u64::MAX).max(1);
    Some(Duration::from_millis(1 << millis.ilog2().min(40)))
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
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut reading = lock(&self.0.reading);
        if let Some(bytes) = reading.bytes.get(reading.start..reading.end)
            && !bytes.is_empty()
        {
            let len = bytes.len().min(buf.len());
            buf[..len].copy_from_slice(&bytes[..len]);
            reading.start += len;
            if reading.start == reading.end {
                BUFFER.set(std::mem::take(&mut reading.bytes));
            }
            return Poll::Ready(Ok(len));
        }
        if reading.ended {
            return Poll::Ready(reading.error.take().map_or(Ok(0), Err));
        }
        reading.waker = Some(cx.waker().clone());
        Wants::note(|wants| wants.read = true);
        Poll::Pending
    }
}

impl<S: Transport> Write for Io<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut writing = lock(&self.0.writing);
        if writing.failed {
            return Poll::Ready(Err(writing.error()));
        }
        let len = buf.len().min(ROOM.saturating_sub(writing.bytes.len()));
        if len == 0 {
            return writing.pending(cx);
        }
        writing.bytes.extend_from_slice(&buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut len = 0;
        for buf in bufs.iter().filter(|buf| !buf.is_empty()) {
            match self.poll_write(cx, buf) {
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
        self.0.write_unshared();
        let mut writing = lock(&self.0.writing);
        if writing.failed {
            return Poll::Ready(Err(writing.error()));
        }
        if writing.bytes.is_empty() && !writing.unflushed && !writing.busy {
            return Poll::Ready(Ok(()));
        }
        writing.pending(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut writing = lock(&self.0.writing);
        if writing.shutdown == End::Open {
            writing.shutdown = End::Wanted;
        }
        drop(writing);
        self.0.write_unshared();
        let mut writing = lock(&self.0.writing);
        if writing.failed || writing.shutdown == End::Done {
            return Poll::Ready(Ok(()));
        }
        writing.pending(cx)
    }
}

impl Writing {
    fn pending<T>(&mut self, cx: &Context<'_>) -> Poll<T> {
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn error(&mut self) -> io::Error {
        let error = self.error.take();
        error.unwrap_or_else(|| io::ErrorKind::BrokenPipe.into())
    }
}

impl<S: Transport + PeerAddr> bind::PeerAddr for Io<S> {
    fn peer_addr(&self) -> io::Result<std::net::SocketAddr> {
        self.0.transport.peer_addr()
    }
}

impl<S: Transport> Drop for Io<S> {
    fn drop(&mut self) {
        // TLS says that it ends; that waits for a slice of time at most.
        if lock(&self.0.writing).shutdown == End::Wanted {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
