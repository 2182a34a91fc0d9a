//! A deterministic world: tasks, a clock and pipes that change only when the test makes them.
//!
//! When no task can continue, the clock jumps to the next deadline. When there is none, the test fails, because the
//! tasks would wait forever. A lost wake-up therefore cannot hide among others, and a test of minutes takes no
//! time.

use std::{
    cell::{Cell, RefCell},
    collections::VecDeque,
    convert::Infallible,
    future::{Future, Pending, pending, poll_fn},
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use bowline_bind::{
    AnyTransport, Network, Timer, Transport, WebSocket, drive,
    proto::{Config, Connection, EntropyError, Instant, Negotiated, Role},
};

pub type Socket = WebSocket<End>;

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
pub fn pair(world: &World, capacity: usize, config: Config) -> (Socket, Socket) {
    let (a, b) = pipe(world, capacity);
    (
        socket(a, Role::Client, config.clone()),
        socket(b, Role::Server, config),
    )
}

pub fn socket(end: End, role: Role, config: Config) -> Socket {
    agreed(end, role, Negotiated::default(), config)
}

/// Returns a socket whose opening handshake resulted in `negotiated`.
pub fn agreed(end: End, role: Role, negotiated: Negotiated, config: Config) -> Socket {
    let connection = Connection::new(role, negotiated, config);
    drive(connection, end)
}

/// The tasks, and the time.
#[derive(Clone, Default)]
pub struct World(Rc<Inner>);

#[derive(Default)]
struct Inner {
    now: Cell<Duration>,
    timers: RefCell<Vec<(Duration, u64, Waker)>>,
    tasks: RefCell<Vec<Option<Task>>>,
    next: Cell<u64>,
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    woken: Arc<Woken>,
    /// Whether the world may end before this task does.
    daemon: bool,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::SeqCst);
    }
}

impl World {
    pub fn clock(&self) -> Clock {
        Clock {
            world: self.clone(),
            id: self.id(),
        }
    }

    pub fn now(&self) -> Duration {
        self.0.now.get()
    }

    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) {
        self.push(future, false);
    }

    /// Starts a task that may still wait when the others are done.
    pub fn spawn_daemon(&self, future: impl Future<Output = ()> + 'static) {
        self.push(future, true);
    }

    fn push(&self, future: impl Future<Output = ()> + 'static, daemon: bool) {
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        self.0.tasks.borrow_mut().push(Some(Task {
            future: Box::pin(future),
            woken,
            daemon,
        }));
    }

    /// Lets time pass while a task runs.
    pub fn pass(&self, time: Duration) {
        self.0.now.set(self.now() + time);
    }

    pub async fn sleep(&self, after: Duration) {
        let mut clock = self.clock();
        let at = Instant::from_epoch(self.now() + after);
        poll_fn(|cx| clock.poll_until(cx, at)).await;
    }

    /// Runs until every task is done.
    #[track_caller]
    pub fn run(&self) {
        loop {
            let moved = self.step();
            let tasks = self.0.tasks.borrow();
            let open = tasks.iter().flatten().filter(|task| !task.daemon).count();
            drop(tasks);
            if open == 0 {
                return;
            }
            assert!(
                moved || self.advance(),
                "{open} tasks wait for ever at {:?}",
                self.now()
            );
        }
    }

    /// Runs `future` and all spawned tasks, until `future` is done.
    #[track_caller]
    pub fn block_on<T: 'static>(&self, future: impl Future<Output = T> + 'static) -> T {
        let value = Rc::new(RefCell::new(None));
        let slot = value.clone();
        self.spawn(async move { *slot.borrow_mut() = Some(future.await) });
        self.run();
        value.take().expect("the task is done")
    }

    /// Polls every task that was woken, once. Returns whether there was one.
    fn step(&self) -> bool {
        let mut moved = false;
        let mut index = 0;
        while index < self.0.tasks.borrow().len() {
            let task = self.0.tasks.borrow_mut()[index].take();
            if let Some(mut task) = task {
                let mut done = false;
                if task.woken.0.swap(false, Ordering::SeqCst) {
                    moved = true;
                    let waker = Waker::from(task.woken.clone());
                    done = task
                        .future
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_ready();
                }
                if !done {
                    self.0.tasks.borrow_mut()[index] = Some(task);
                }
            }
            index += 1;
        }
        moved
    }

    fn advance(&self) -> bool {
        let mut timers = self.0.timers.borrow_mut();
        let Some(next) = timers.iter().map(|(at, ..)| *at).min() else {
            return false;
        };
        self.0.now.set(next.max(self.now()));
        let due = timers
            .extract_if(.., |(at, ..)| *at <= next)
            .collect::<Vec<_>>();
        drop(timers);
        due.into_iter().for_each(|(.., waker)| waker.wake());
        true
    }

    fn id(&self) -> u64 {
        self.0.next.set(self.0.next.get() + 1);
        self.0.next.get()
    }
}

pub struct Clock {
    world: World,
    id: u64,
}

impl Clone for Clock {
    fn clone(&self) -> Self {
        self.world.clock()
    }
}

impl Timer for Clock {
    fn now(&self) -> Instant {
        Instant::from_epoch(self.world.now())
    }

    fn poll_until(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let at = deadline.since_epoch();
        let mut timers = self.world.0.timers.borrow_mut();
        timers.retain(|(_, id, _)| *id != self.id);
        if at <= self.world.now() {
            return Poll::Ready(());
        }
        timers.push((at, self.id, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Clock {
    fn drop(&mut self) {
        self.world
            .0
            .timers
            .borrow_mut()
            .retain(|(_, id, _)| *id != self.id);
    }
}

/// Bytes on their way in one direction. Each side has one waker, the last one that asked.
#[derive(Default)]
pub struct Lane {
    bytes: VecDeque<u8>,
    capacity: usize,
    pub closed: bool,
    /// Whether it was shut down in order, before it was dropped.
    pub shut_down: bool,
    pub reset: bool,
    /// Everything that was ever written.
    pub written: Vec<u8>,
    pub writes: Vec<usize>,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a pipe.
pub struct End {
    world: World,
    pub incoming: Rc<RefCell<Lane>>,
    pub outgoing: Rc<RefCell<Lane>>,
    pub vectored: bool,
    /// If not, its direction ends when it is dropped, and bytes that were not read by then are lost.
    pub half_closes: bool,
    /// The most bytes that a read returns.
    pub step: usize,
    /// Whether the next write finds no room, and gets no wake-up when there is some.
    pub refuses: bool,
    /// The peer's address, if the transport is to know it.
    pub address: Option<SocketAddr>,
}

pub fn pipe(world: &World, capacity: usize) -> (End, End) {
    let lane = || {
        Rc::new(RefCell::new(Lane {
            capacity,
            ..Lane::default()
        }))
    };
    let (x, y) = (lane(), lane());
    let end = |incoming: &Rc<RefCell<Lane>>, outgoing: &Rc<RefCell<Lane>>| End {
        world: world.clone(),
        incoming: incoming.clone(),
        outgoing: outgoing.clone(),
        vectored: true,
        half_closes: true,
        step: usize::MAX,
        refuses: false,
        address: None,
    };
    (end(&x, &y), end(&y, &x))
}

impl Lane {
    pub fn wake(&mut self) {
        self.reader
            .take()
            .into_iter()
            .chain(self.writer.take())
            .for_each(Waker::wake);
    }

    /// Returns the number of bytes that wait to be read.
    pub fn waiting(&self) -> usize {
        self.bytes.len()
    }

    /// Changes the capacity.
    pub fn set_capacity(&mut self, capacity: usize) {
        self.capacity = capacity;
        self.wake();
    }

    /// Changes the capacity without a wake-up: only the next poll finds out.
    pub fn set_capacity_silently(&mut self, capacity: usize) {
        self.capacity = capacity;
    }

    /// Frees the memory of an empty pipe.
    pub fn forget(&mut self) {
        self.bytes = VecDeque::new();
        self.written = Vec::new();
        self.writes = Vec::new();
    }

    pub fn reset(&mut self) {
        self.reset = true;
        self.wake();
    }

    /// Takes everything out, like a peer that reads manually.
    pub fn drain(&mut self) -> Vec<u8> {
        let bytes = self.bytes.drain(..).collect();
        self.wake();
        bytes
    }

    /// Puts bytes in, like a peer that writes manually.
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
        self.wake();
    }

    pub fn close(&mut self) {
        self.closed = true;
        self.wake();
    }

    fn write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.reset || self.closed {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self
            .capacity
            .saturating_sub(self.bytes.len())
            .min(bytes.len());
        if room == 0 {
            self.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.bytes.extend(&bytes[..room]);
        self.written.extend_from_slice(&bytes[..room]);
        self.writes.push(room);
        self.reader.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(room))
    }
}

impl End {
    /// Waits for room to write.
    pub fn poll_room(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut lane = self.outgoing.borrow_mut();
        if lane.closed || lane.reset || lane.bytes.len() < lane.capacity {
            return Poll::Ready(());
        }
        lane.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Waits until everything that was written is read.
    pub fn poll_empty(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut lane = self.outgoing.borrow_mut();
        if lane.closed || lane.reset || lane.bytes.is_empty() {
            return Poll::Ready(());
        }
        lane.writer = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Transport for End {
    type Clock = Clock;

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.address
            .ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    fn clock(&self) -> Clock {
        self.world.clock()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "an empty read looks like the end");
        let mut lane = self.incoming.borrow_mut();
        let len = lane.bytes.len().min(buf.len()).min(self.step);
        if len == 0 {
            if lane.reset {
                return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
            }
            if lane.closed {
                return Poll::Ready(Ok(0));
            }
            lane.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for (place, byte) in buf.iter_mut().zip(lane.bytes.drain(..len)) {
            *place = byte;
        }
        lane.writer.take().into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if std::mem::take(&mut self.refuses) {
            return Poll::Pending;
        }
        self.outgoing.borrow_mut().write(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        assert!(self.vectored);
        let mut lane = self.outgoing.borrow_mut();
        let mut all = Vec::new();
        for buf in bufs {
            let fits = buf.len().min(lane.capacity - all.len().min(lane.capacity));
            all.extend_from_slice(&buf[..fits]);
        }
        lane.write(cx, &all)
    }

    fn is_write_vectored(&self) -> bool {
        self.vectored
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.half_closes {
            return self.poll_empty(cx).map(Ok);
        }
        self.outgoing.borrow_mut().shut_down = true;
        self.outgoing.borrow_mut().close();
        Poll::Ready(Ok(()))
    }

    fn half_closes(&self) -> bool {
        self.half_closes
    }
}

/// Wakes the other end, but not its own.
impl Drop for End {
    fn drop(&mut self) {
        let mut outgoing = self.outgoing.borrow_mut();
        outgoing.closed = true;
        if !self.half_closes {
            outgoing.bytes.clear();
        }
        outgoing.reader.take().into_iter().for_each(Waker::wake);
        let mut incoming = self.incoming.borrow_mut();
        incoming.reset = true;
        incoming.writer.take().into_iter().for_each(Waker::wake);
    }
}

/// Polls `future` until it has waited `count` times and was woken. Returns it unfinished in `Err`.
pub async fn poll_times<F: Future + Unpin>(mut future: F, count: usize) -> Result<F::Output, F> {
    let mut waits = 0;
    let done = poll_fn(|cx| {
        if waits == count {
            return Poll::Ready(None);
        }
        waits += 1;
        Pin::new(&mut future).poll(cx).map(Some)
    })
    .await;
    done.ok_or(future)
}

/// Polls `future` once.
pub async fn poll_once<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(Pin::new(&mut future).poll(cx))).await
}

/// This world contains only what the test creates: no name is found, and no address answers.
impl Network for World {
    type Clock = Clock;
    type Tcp = End;
    type Stream = End;
    type Resolving = Pending<io::Result<Vec<SocketAddr>>>;
    type Connecting = Pending<io::Result<End>>;
    type Other = Infallible;

    fn clock(&self) -> Clock {
        self.clock()
    }

    fn resolve(&self, _: String, _: u16) -> Self::Resolving {
        pending()
    }

    fn connect(&self, _: SocketAddr, _: bool, _: Option<Duration>) -> Self::Connecting {
        pending()
    }

    fn stream(&self, tcp: End, _: &Config) -> End {
        tcp
    }

    fn other(&self, other: Self::Other, _: &Config) -> AnyTransport<Clock> {
        match other {}
    }
}
