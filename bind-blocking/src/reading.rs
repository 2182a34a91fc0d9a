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

/// The size of a read buffer in bytes, after a read has filled the smaller one.
const ROOM: usize = 128 << 10;
/// The size of a read buffer until then.
const FIRST: usize = 8 << 10;
/// The size of the buffer on the stack, which a thread uses that has released its read buffer.
const LITTLE: usize = 1 << 10;

/// How long a thread waits in vain before it releases its memory and waits on. The value is a power of
/// two, so that [`rounded`] does not change it and the transport's timeout stays the same on a busy
/// connection.
pub(crate) const PATIENCE: Duration = Duration::from_millis(64);

thread_local! {
    /// The read buffer of this thread, while it holds no input.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    /// The least size of that buffer.
    static SIZE: Cell<usize> = const { Cell::new(FIRST) };
}

/// Releases this thread's memory before a long wait, because there may be as many threads as peers.
pub(crate) fn release_thread_memory() {
    BUFFER.take();
    SIZE.set(FIRST);
    bind::internal::release_thread_memory();
}

/// The bytes on their way from a transport. One thread at a time has the right to read.
#[derive(Default)]
pub(crate) struct Reading {
    state: Mutex<State>,
    /// How long reads have waited since the last input, in milliseconds.
    quiet: AtomicU64,
}

#[derive(Default)]
struct State {
    /// The received bytes are `start..end`.
    bytes: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether there will be no more input. `error` then holds the reason, if there is one.
    ended: bool,
    error: Option<io::Error>,
    /// Whether a thread is reading.
    busy: bool,
    /// How many threads are in a call that receives.
    receiving: usize,
    /// The threads that wait for the right to read.
    waiting: Vec<Arc<Signal>>,
    /// When a thread that sends last read what had arrived.
    looked: Option<Instant>,
    /// The read timeout that the transport was last given.
    timeout: Option<Option<Duration>>,
}

/// How a thread takes part in reading while its call waits.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Part {
    /// The thread waits for input, or is the only one.
    Receives,
    /// The thread waits for the end, and reads even if another thread is in a call that receives.
    Closes,
    /// The thread waits for output, and leaves reading to a thread that is in a call that receives.
    Sends,
}

impl Reading {
    /// For the driver: returns bytes that were read, or the end. If there are none and `may_wait` allows
    /// it, reads straight into `buf`.
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

    /// Returns whether a thread that takes this part may read now.
    pub(crate) fn is_free(&self, part: Part) -> bool {
        self.state().is_free(part)
    }

    /// As [`is_free`](Self::is_free). If not, `signal` is woken when that may have changed.
    pub(crate) fn is_free_or_wakes(&self, part: Part, signal: &Arc<Signal>) -> bool {
        let mut state = self.state();
        let free = state.is_free(part);
        if !free && !state.waiting.iter().any(|it| Arc::ptr_eq(it, signal)) {
            state.waiting.push(signal.clone());
        }
        free
    }

    /// Records that this thread is in a call that receives.
    pub(crate) fn receive(&self) -> Receiving<'_> {
        self.state().receiving += 1;
        Receiving(self)
    }

    /// Returns whether there has been no input for so long that a waiting thread should keep little
    /// memory.
    pub(crate) fn is_quiet(&self) -> bool {
        u128::from(self.quiet.load(Relaxed)) >= PATIENCE.as_millis()
    }

    /// Reads once and blocks for `time`, or without bound. A wait that becomes long is cut short, so
    /// that the next one begins with the thread's memory released. Returns whether anything was read,
    /// the end included.
    pub(crate) fn read(
        &self,
        transport: &(impl BlockingTransport + ?Sized),
        time: MayWait,
    ) -> bool {
        self.read_by(|buf| self.read_into(transport, time, buf))
    }

    /// Reads what is there, without waiting.
    pub(crate) fn read_now(&self, transport: &(impl BlockingTransport + ?Sized)) -> bool {
        self.read_by(|buf| {
            // The transport may have to set a read timeout for this.
            self.state().timeout = None;
            result(transport.read_now(buf), buf.len())
        })
    }

    /// As [`read_now`](Self::read_now), but only every few milliseconds, because it costs a thread that
    /// sends several system calls.
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
            // The driver must first take what another thread has read.
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
        // One of the threads that wait for the right to read may go on now.
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

    /// Reads once and waits for `time`, or without bound, but for no longer than [`PATIENCE`] unless it
    /// is quiet. Returns `None` if nothing was read.
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
        let last = self.state().timeout.replace(timeout);
        let set = if last == Some(timeout) {
            Ok(())
        } else {
            transport.set_read_timeout(timeout)
        };
        let room = buf.len();
        let read = result(set.and_then(|()| transport.read(buf)), room);
        // This cannot race, because only the thread that has the right to read gets here.
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

    /// Ends the input with `error`.
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

/// Marks a thread as being in a call that receives. When it is dropped, other threads may have to read
/// instead.
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

/// Keeps the buffer for the next read of this thread, unless it is too small.
fn keep(buffer: Vec<u8>) {
    if buffer.len() >= SIZE.get() {
        BUFFER.set(buffer);
    }
}

/// Reads into this thread's buffer, and returns it with the result.
fn read_much(read: impl FnOnce(&mut [u8]) -> ReadResult) -> (ReadResult, Vec<u8>) {
    let mut buffer = BUFFER.take();
    let size = SIZE.get();
    if buffer.len() < size {
        buffer = vec![0; size];
    }
    let read = read(&mut buffer);
    if matches!(read, Some(Ok(len)) if len == buffer.len()) {
        // The buffer was full, so there may be more.
        SIZE.set(ROOM);
    }
    (read, buffer)
}

/// Reads into the stack, which needs no more memory, and returns the result with a copy of the bytes.
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

/// Turns the result of a read into a buffer of `room` bytes into `None` if it timed out.
fn result(read: io::Result<usize>, room: usize) -> ReadResult {
    match read {
        Err(error) if timed_out(&error) => None,
        read => Some(read.map(|len| len.min(room))),
    }
}

/// Rounds down to a power of two of milliseconds, at least one, so that the transport's timeout need not
/// be set again for each read while a deadline comes nearer.
fn rounded(time: Duration) -> Duration {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    Duration::from_millis(1 << millis.ilog2().min(40))
}
