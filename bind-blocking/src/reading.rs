use std::{
    cell::Cell,
    io, mem,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Poll, Wake},
    time::Duration,
};

use bind::{Timer, proto::Instant};

use crate::{
    clock::{Clock, MayWait, Signal, Wants},
    sync::{Mutex, MutexGuard},
    transport::{BlockingTransport, timed_out},
};

/// The most that is read at a time in bytes, once a read has filled less.
const ROOM: usize = 128 << 10;
/// And before that.
const FIRST: usize = 8 << 10;
/// So many bytes are read at a time, into the stack, by a thread that gave back what it kept.
const LITTLE: usize = 1 << 10;

/// A thread that has waited for so long in vain gives back what it keeps to be used again, and waits on. A
/// power of two, so that the transport is not told anew for each message of a busy connection.
pub(crate) const PATIENCE: Duration = Duration::from_millis(64);

thread_local! {
    /// What a thread reads into, kept while it has nothing to say.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// The least size of it.
    static SIZE: Cell<usize> = const { Cell::new(FIRST) };
}

/// This thread is about to wait for long: what it keeps to be used again is given back. There may be as many
/// threads as peers.
pub(crate) fn release_thread_memory() {
    BUFFER.take();
    SIZE.set(FIRST);
    bind::internal::release_thread_memory();
}

/// What is on its way from a transport. One thread at a time has the right to read.
#[derive(Default)]
pub(crate) struct Reading {
    state: Mutex<State>,
    /// For how long reads have waited since something came, in milliseconds.
    quiet: AtomicU64,
}

#[derive(Default)]
struct State {
    /// Received bytes are `start..end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// There will be nothing more, perhaps for a reason.
    ended: bool,
    error: Option<io::Error>,
    /// A thread reads.
    busy: bool,
    /// How many threads are in a call that receives.
    receiving: usize,
    /// Threads that wait for the right to read.
    waiting: Vec<Arc<Signal>>,
    /// When a thread that sends last read what had come.
    looked: Option<Instant>,
    /// What the transport was told last.
    timeout: Option<Option<Duration>>,
}

/// The part that a thread takes in reading while its call waits.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Part {
    /// It waits for input, or is the only thread.
    Receives,
    /// It waits for the end, and reads though another thread may be in a call that receives.
    Closes,
    /// It waits for output, and leaves reading to a thread that is in a call that receives.
    Sends,
}

impl Reading {
    /// For the driver: what was read, or the end. What is not there is read straight into `buf` if that may
    /// wait.
    pub(crate) fn poll_read(
        &self,
        transport: &(impl BlockingTransport + ?Sized),
        buf: &mut [u8],
        may_wait: Option<MayWait>,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state();
        if let Some(bytes) = state.bytes.get(state.start..state.end)
            && !bytes.is_empty()
        {
            let len = bytes.len().min(buf.len());
            buf[..len].copy_from_slice(&bytes[..len]);
            state.start += len;
            if state.start == state.end {
                keep(mem::take(&mut state.bytes));
            }
            return Poll::Ready(Ok(len));
        }
        if state.ended {
            return Poll::Ready(state.error.take().map_or(Ok(0), Err));
        }
        drop(state);
        if let Some(time) = may_wait
            && let Some(read) = self.read_into(transport, time, buf)
        {
            self.state().ended = !matches!(read, Ok(1..));
            return Poll::Ready(read);
        }
        Wants::note(|wants| wants.read = true);
        Poll::Pending
    }

    /// Whether a thread that takes this part in reading may read now.
    pub(crate) fn is_free(&self, part: Part) -> bool {
        self.state().is_free(part)
    }

    /// As [`is_free`](Self::is_free); if not, `signal` is woken when that may have changed.
    pub(crate) fn is_free_or_wakes(&self, part: Part, signal: &Arc<Signal>) -> bool {
        let mut state = self.state();
        let free = state.is_free(part);
        if !free && !state.waiting.iter().any(|it| Arc::ptr_eq(it, signal)) {
            state.waiting.push(signal.clone());
        }
        free
    }

    /// A thread is in a call that receives.
    pub(crate) fn receive(&self) -> Receiving<'_> {
        self.state().receiving += 1;
        Receiving(self)
    }

    /// Whether nothing has come for so long that a thread that waits on is to keep little.
    pub(crate) fn is_quiet(&self) -> bool {
        u128::from(self.quiet.load(Relaxed)) >= PATIENCE.as_millis()
    }

    /// Reads once; blocks for `time`, or for ever, but not for long before what the thread keeps was given
    /// back. Returns whether something came, the end included.
    pub(crate) fn read(
        &self,
        transport: &(impl BlockingTransport + ?Sized),
        time: MayWait,
    ) -> bool {
        self.read_by(|buf| self.read_into(transport, time, buf))
    }

    /// Reads what is there, and does not wait.
    pub(crate) fn read_now(&self, transport: &(impl BlockingTransport + ?Sized)) -> bool {
        self.read_by(|buf| {
            // It may be by a timeout.
            self.state().timeout = None;
            result(transport.read_now(buf), buf.len())
        })
    }

    /// As [`read_now`](Self::read_now), once in a while: it costs a thread that sends several system calls.
    pub(crate) fn look(&self, transport: &(impl BlockingTransport + ?Sized), clock: &Clock) {
        const PERIOD: Duration = Duration::from_millis(8);
        let now = clock.now();
        let mut state = self.state();
        let next = state.looked.and_then(|looked| looked.checked_add(PERIOD));
        if next.is_some_and(|next| now < next) || state.busy {
            return;
        }
        state.looked = Some(now);
        drop(state);
        self.read_now(transport);
    }

    fn read_by(&self, read: impl FnOnce(&mut [u8]) -> ReadResult) -> bool {
        let mut state = self.state();
        if !state.bytes.is_empty() || state.ended {
            // The driver takes first what another thread has read.
            return true;
        }
        if mem::replace(&mut state.busy, true) {
            return false;
        }
        drop(state);
        let (read, mut buffer) = if self.is_quiet() {
            release_thread_memory();
            read_little(read)
        } else {
            read_much(read)
        };
        let mut state = self.state();
        state.busy = false;
        // A thread that found the right to read taken may be the one that goes on.
        let waiting = mem::take(&mut state.waiting);
        let came = read.is_some();
        match read {
            Some(Ok(0)) => state.ended = true,
            Some(Ok(len)) => {
                (state.start, state.end) = (0, len);
                state.bytes = mem::take(&mut buffer);
            }
            Some(Err(error)) => state.fail(error),
            None => {}
        }
        drop(state);
        keep(buffer);
        waiting.into_iter().for_each(Wake::wake);
        came
    }

    /// What one read gives that waits for `time`, or for ever, but not for long before it is quiet; `None` if
    /// nothing came.
    fn read_into(
        &self,
        transport: &(impl BlockingTransport + ?Sized),
        time: MayWait,
        buf: &mut [u8],
    ) -> ReadResult {
        let time = if self.is_quiet() {
            time
        } else {
            Some(time.map_or(PATIENCE, |time| time.min(PATIENCE)))
        };
        let timeout = time.map(rounded);
        let told = self.state().timeout.replace(timeout);
        let set = if told == Some(timeout) {
            Ok(())
        } else {
            transport.set_read_timeout(timeout)
        };
        let room = buf.len();
        let read = result(set.and_then(|()| transport.read(buf)), room);
        // Nobody else has the right to read.
        let quiet = match (&read, timeout) {
            (Some(_), _) => 0,
            (None, timeout) => {
                let waited = timeout.unwrap_or_default().as_millis();
                let quiet = self.quiet.load(Relaxed);
                quiet.saturating_add(u64::try_from(waited).unwrap_or(u64::MAX))
            }
        };
        self.quiet.store(quiet, Relaxed);
        read
    }

    /// There will be nothing to read.
    pub(crate) fn fail(&self, error: io::Error) {
        self.state().fail(error);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_free(&self, part: Part) -> bool {
        !self.busy && (part != Part::Sends || self.receiving == 0)
    }

    fn fail(&mut self, error: io::Error) {
        self.ended = true;
        self.error = Some(error);
    }
}

/// A thread is in a call that receives. Dropped, others may have to read instead.
pub(crate) struct Receiving<'a>(&'a Reading);

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.receiving -= 1;
        let waiting = mem::take(&mut state.waiting);
        drop(state);
        waiting.into_iter().for_each(Wake::wake);
    }
}

type ReadResult = Option<io::Result<usize>>;

/// Keeps what was read into for the next read of this thread, unless it is too small.
fn keep(buffer: Vec<u8>) {
    if buffer.len() >= SIZE.get() {
        BUFFER.set(buffer);
    }
}

/// A read into memory of this thread, and that memory.
fn read_much(read: impl FnOnce(&mut [u8]) -> ReadResult) -> (ReadResult, Vec<u8>) {
    let mut buffer = BUFFER.take();
    let size = SIZE.get();
    if buffer.len() < size {
        buffer = vec![0; size];
    }
    let read = read(&mut buffer);
    if matches!(read, Some(Ok(len)) if len == buffer.len()) {
        // There may be more.
        SIZE.set(ROOM);
    }
    (read, buffer)
}

/// A read into the stack, of which a thread has some anyway, and what came.
#[inline(never)]
fn read_little(read: impl FnOnce(&mut [u8]) -> ReadResult) -> (ReadResult, Vec<u8>) {
    let mut little = [0; LITTLE];
    let read = read(&mut little);
    let came = match read {
        Some(Ok(len)) => little[..len].to_vec(),
        _ => Vec::new(),
    };
    (read, came)
}

/// What a read has come to, in a buffer of `room` bytes; `None` if nothing came in time.
fn result(read: io::Result<usize>, room: usize) -> ReadResult {
    match read {
        Err(error) if timed_out(&error) => None,
        read => Some(read.map(|len| len.min(room))),
    }
}

/// A power of two of milliseconds, no longer than `time` if that is one at least: so the transport is
/// not told anew for each read that the deadline has come nearer.
fn rounded(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(1 << millis.ilog2().min(40))
}
