//! A world of threads with virtual time.
//!
//! When every thread is blocked, the clock jumps to the next deadline. When there is none, the test fails, because
//! the threads would wait forever. Results therefore do not depend on the speed of the machine, and a test of
//! minutes takes no time.

use std::{
    collections::{HashSet, VecDeque},
    io,
    net::Shutdown,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};
#[cfg(not(shuttle))]
use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicBool},
    thread::{self, Thread, ThreadId},
};

use bowline_blocking::{
    BlockingTransport, Clock, Config, EntropyError, Io, Negotiated, Role, Time, WebSocket,
    from_parts, proto::Instant,
};
#[cfg(shuttle)]
use shuttle::{
    sync::{Condvar, Mutex, MutexGuard, atomic::AtomicBool},
    thread::{self, Thread, ThreadId},
};

pub fn config() -> Config {
    fn entropy(bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes
            .iter_mut()
            .enumerate()
            .for_each(|(i, byte)| *byte = i as u8 ^ 0x5A);
        Ok(())
    }
    Config::new(entropy)
}

/// Returns a client and a server, with a pipe between them that holds `capacity` bytes each way.
pub fn pair(
    world: &World,
    capacity: usize,
    config: Config,
) -> (WebSocket<Io<End>>, WebSocket<Io<End>>) {
    let (a, b) = world.pipe(capacity);
    let config = Arc::new(config);
    (
        socket(a, Role::Client, &config),
        socket(b, Role::Server, &config),
    )
}

pub fn socket<S: BlockingTransport>(end: S, role: Role, config: &Arc<Config>) -> WebSocket<Io<S>> {
    from_parts(end, &[], Negotiated::default(), role, config.clone())
}

/// The threads, and the time.
#[derive(Clone, Debug)]
pub struct World(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    now: Duration,
    /// The number of threads.
    threads: usize,
    /// For each blocked thread, the time until which it waits.
    blocked: Vec<Option<Duration>>,
    /// Counts the changes that may unblock a thread.
    changes: u64,
    unparked: HashSet<ThreadId>,
    lanes: Vec<Lane>,
    /// Whether all threads wait forever.
    stuck: bool,
}

/// One direction of a pipe.
#[derive(Debug)]
struct Lane {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Whether nothing more will be written.
    ended: bool,
    /// Whether nothing more will be read.
    deaf: bool,
}

impl Default for World {
    /// The thread of the test counts as one of its threads.
    fn default() -> Self {
        let state = State {
            threads: 1,
            now: Duration::from_secs(1000),
            ..State::default()
        };
        Self(Arc::new(Inner {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }))
    }
}

impl World {
    pub fn now(&self) -> Duration {
        self.state().now
    }

    pub fn sleep(&self, time: Duration) {
        let until = self.now() + time;
        self.block(Some(until), |_| None::<()>);
    }

    /// Starts a thread.
    pub fn spawn<T: Send + 'static>(&self, f: impl FnOnce() -> T + Send + 'static) -> Handle<T> {
        self.state().threads += 1;
        let done = Arc::new(AtomicBool::new(false));
        let leaving = Leaving(self.clone(), done.clone());
        let thread = thread::spawn(move || {
            let _leaving = leaving;
            f()
        });
        Handle {
            world: self.clone(),
            done,
            thread,
        }
    }

    pub fn pipe(&self, capacity: usize) -> (End, End) {
        let mut state = self.state();
        let first = state.lanes.len();
        for _ in 0..2 {
            state.lanes.push(Lane {
                bytes: VecDeque::new(),
                capacity,
                ended: false,
                deaf: false,
            });
        }
        let end = |reads, writes| End {
            world: self.clone(),
            reads,
            writes,
            read_timeout: Mutex::new(None),
            write_timeout: Mutex::new(None),
            calls: Arc::default(),
        };
        (end(first, first + 1), end(first + 1, first))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap()
    }

    /// Waits until `f` returns something, or until the deadline.
    fn block<T>(
        &self,
        until: Option<Duration>,
        mut f: impl FnMut(&mut State) -> Option<T>,
    ) -> Option<T> {
        let mut state = self.state();
        loop {
            assert!(!state.stuck, "everybody waits for ever");
            let value = f(&mut state);
            if value.is_some() {
                self.change(&mut state);
                return value;
            }
            if until.is_some_and(|until| until <= state.now) {
                return None;
            }
            state.blocked.push(until);
            if state.blocked.len() == state.threads {
                self.advance(&mut state);
            } else {
                let changes = state.changes;
                while state.changes == changes {
                    state = self.0.changed.wait(state).unwrap();
                }
            }
        }
    }

    /// Advances the clock: no thread can continue before the next deadline.
    fn advance(&self, state: &mut State) {
        match state.blocked.iter().flatten().min() {
            Some(next) => state.now = *next,
            None => state.stuck = true,
        }
        self.change(state);
    }

    fn change(&self, state: &mut State) {
        state.changes += 1;
        state.blocked.clear();
        self.0.changed.notify_all();
    }
}

impl Time for World {
    fn now(&self) -> Instant {
        Instant::from_epoch(self.state().now)
    }

    fn park(&self, until: Option<Instant>) {
        let me = thread::current().id();
        self.block(until.map(Instant::since_epoch), |state| {
            state.unparked.remove(&me).then_some(())
        });
    }

    fn unpark(&self, thread: &Thread) {
        let mut state = self.state();
        state.unparked.insert(thread.id());
        self.change(&mut state);
    }
}

/// A thread of the world.
pub struct Handle<T> {
    world: World,
    done: Arc<AtomicBool>,
    thread: thread::JoinHandle<T>,
}

impl<T> Handle<T> {
    pub fn join(self) -> T {
        let done = self.done.clone();
        self.world
            .block(None, |_| done.load(Ordering::SeqCst).then_some(()));
        match self.thread.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

struct Leaving(World, Arc<AtomicBool>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
        let mut state = match self.0.0.state.lock() {
            Ok(state) => state,
            Err(poisoned) => poisoned.into_inner(),
        };
        state.threads -= 1;
        self.0.change(&mut state);
    }
}

/// One end of a pipe.
#[derive(Debug)]
pub struct End {
    world: World,
    reads: usize,
    writes: usize,
    read_timeout: Mutex<Option<Duration>>,
    write_timeout: Mutex<Option<Duration>>,
    pub calls: Arc<Mutex<Calls>>,
}

/// The calls that were made, and the one that is to fail.
#[derive(Debug, Default)]
pub struct Calls {
    pub reads: usize,
    pub writes: usize,
    pub read_timeouts: usize,
    pub shutdowns: usize,
    pub all: usize,
    /// The number of the call that is to fail, and the failure.
    pub fault: Option<(usize, Fault)>,
    /// Whether that call was a read or a write.
    pub moved_bytes: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    Error(io::ErrorKind),
    /// A read or write fails because its timeout has passed.
    Late,
    /// One byte is read or written, even if there is more.
    Short,
    /// Nothing is read or written: the end for a reader, an error for a writer.
    Zero,
}

impl End {
    /// Returns the number of bytes that have arrived and were not read.
    pub fn waiting(&self) -> usize {
        self.world.state().lanes[self.reads].bytes.len()
    }

    fn call(&self, count: impl FnOnce(&mut Calls)) -> io::Result<Option<Fault>> {
        let mut calls = self.calls.lock().unwrap();
        calls.all += 1;
        let moved = calls.reads + calls.writes;
        count(&mut calls);
        let moves_bytes = calls.reads + calls.writes > moved;
        if calls.fault.is_some_and(|(number, _)| number == calls.all) {
            calls.moved_bytes = moves_bytes;
        }
        match calls.fault {
            Some((number, Fault::Error(kind))) if number == calls.all => Err(kind.into()),
            Some((number, fault)) if number == calls.all => Ok(Some(fault)),
            _ => Ok(None),
        }
    }

    fn until(&self, timeout: &Mutex<Option<Duration>>) -> Option<Duration> {
        let timeout = *timeout.lock().unwrap();
        timeout.map(|timeout| self.world.now() + timeout)
    }
}

impl End {
    fn write_until(&self, bytes: &[u8], until: Option<Duration>) -> io::Result<usize> {
        assert!(!bytes.is_empty());
        let fault = self.call(|calls| calls.writes += 1)?;
        let most = match fault {
            Some(Fault::Zero) => return Ok(0),
            Some(Fault::Late) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(_) => 1,
            None => bytes.len(),
        };
        let written = self.world.block(until, |state| {
            let lane = &mut state.lanes[self.writes];
            if lane.ended || lane.deaf {
                return Some(Err(io::ErrorKind::BrokenPipe.into()));
            }
            let room = lane.capacity - lane.bytes.len();
            let len = most.min(room);
            lane.bytes.extend(&bytes[..len]);
            (len > 0).then_some(Ok(len))
        });
        written.unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    fn read_until(&self, buf: &mut [u8], until: Option<Duration>) -> io::Result<usize> {
        let fault = self.call(|calls| calls.reads += 1)?;
        let most = match fault {
            Some(Fault::Zero) => return Ok(0),
            Some(Fault::Late) => return Err(io::ErrorKind::WouldBlock.into()),
            Some(_) => 1,
            None => buf.len(),
        };
        let read = self.world.block(until, |state| {
            let lane = &mut state.lanes[self.reads];
            let len = lane.bytes.len().min(most);
            if len == 0 {
                return (lane.ended || lane.deaf).then_some(0);
            }
            for (to, from) in buf.iter_mut().zip(lane.bytes.drain(..len)) {
                *to = from;
            }
            Some(len)
        });
        read.ok_or_else(|| io::ErrorKind::WouldBlock.into())
    }
}

impl BlockingTransport for End {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_until(buf, self.until(&self.read_timeout))
    }

    fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_until(buf, Some(self.world.now()))
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_until(bytes, self.until(&self.write_timeout))
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write_until(bytes, Some(self.world.now()))
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.call(|calls| calls.read_timeouts += 1)?;
        assert_ne!(timeout, Some(Duration::ZERO));
        *self.read_timeout.lock().unwrap() = timeout;
        Ok(())
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.call(|_| {})?;
        assert_ne!(timeout, Some(Duration::ZERO));
        *self.write_timeout.lock().unwrap() = timeout;
        Ok(())
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        let failed = self.call(|calls| calls.shutdowns += 1);
        let mut state = self.world.state();
        if how != Shutdown::Read && (failed.is_ok() || how == Shutdown::Both) {
            state.lanes[self.writes].ended = true;
        }
        if how != Shutdown::Write {
            state.lanes[self.reads].deaf = true;
        }
        self.world.change(&mut state);
        failed.map(drop)
    }

    fn clock(&self) -> Clock {
        Clock::new(Arc::new(self.world.clone()))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Ok(mut state) = self.world.0.state.lock() {
            state.lanes[self.writes].ended = true;
            state.lanes[self.reads].deaf = true;
            self.world.change(&mut state);
        }
    }
}
