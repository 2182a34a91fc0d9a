//! Ends for a pair that record what they received and wrote, with any segment size and any way to drive a
//! connection.

use std::{sync::Arc, time::Duration};

use proto::{
    Chunk, CloseFrame, Closed, Config, ConnectionError, ControlPayload, Event, Instant, Lost,
    Message, Role, SendError, State,
};

use super::{
    LOAN, config, connection,
    halves::Halves,
    joined,
    link::Link,
    pair::{Pair, Port, Side},
    until_quiet,
};
use crate::frames::{CLOSE, Frame};

/// One end, with everything that it received and wrote.
pub struct Node {
    pub role: Role,
    way: Way,
    halves: Halves,
    pub port: Port,
    /// The number of octets that move at a time.
    pub segment: usize,
    /// Whether it pulls chunks.
    pub chunks: bool,
    got: Vec<Result<Event<Chunk>, ConnectionError>>,
    pub written: Vec<u8>,
}

/// The way in which a driver uses a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Reads into `recv_buf`.
    Buf,
    /// Copies with `receive`.
    Copy,
    /// Drives the halves separately, with a lent buffer of 128 KiB that is taken back after each read.
    Loan,
}

pub const WAYS: [Way; 3] = [Way::Buf, Way::Copy, Way::Loan];

/// The numbers of octets that move at a time.
pub const SEGMENTS: [usize; 6] = [1, 2, 3, 7, 100, usize::MAX];

impl Node {
    pub fn new(role: Role, way: Way, config: &Arc<Config>) -> Self {
        let mut halves = Halves::new(connection(role, config), LOAN);
        if way == Way::Loan {
            halves.split();
        }
        Self {
            role,
            way,
            halves,
            port: Port::new(Link::new(usize::MAX, Duration::ZERO)),
            segment: usize::MAX,
            chunks: false,
            got: Vec::new(),
            written: Vec::new(),
        }
    }

    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        self.halves.send(message.into())
    }

    pub fn send_chunk(&mut self, chunk: Chunk) -> Result<(), SendError> {
        self.halves.send_chunk(chunk)
    }

    pub fn ping(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        self.halves.ping(payload)
    }

    pub fn close(&mut self, frame: Option<CloseFrame>) {
        self.halves.close(frame);
    }

    pub fn closed(&self) -> Option<Closed> {
        self.halves.closed()
    }

    pub fn latency(&self) -> Option<Duration> {
        self.halves.latency()
    }

    /// Loses the transport.
    pub fn reset(&mut self, lost: Lost) {
        self.halves.lose(lost);
        self.poll();
    }

    /// Makes one write of at most `most` octets.
    pub fn write(&mut self, most: usize, flushed: bool) -> Vec<u8> {
        let part = self.halves.take(most, false);
        self.halves.sent(flushed);
        self.written.extend_from_slice(&part);
        part
    }

    /// Returns everything that was polled, with chunks joined to messages.
    pub fn events(&self) -> Vec<Result<Event, ConnectionError>> {
        let got = self.got.iter().cloned();
        if self.chunks {
            return joined(got).0;
        }
        got.map(|event| event.map(|event| event.map(|chunk| chunk.data)))
            .collect()
    }

    pub fn errors(&self) -> Vec<ConnectionError> {
        let got = self.got.iter();
        got.filter_map(|event| event.as_ref().err().copied())
            .collect()
    }

    pub fn messages(&self) -> Vec<Message> {
        let events = self.events().into_iter();
        events
            .filter_map(|event| match event {
                Ok(Event::Data(message)) => Some(message),
                _ => None,
            })
            .collect()
    }

    /// Returns the frames that this end wrote, which must be complete.
    pub fn frames(&self) -> Vec<Frame> {
        Frame::read_all(&self.written, self.role)
    }
}

impl Side for Node {
    fn port(&mut self) -> &mut Port {
        &mut self.port
    }

    fn state(&self) -> State {
        self.halves.state()
    }

    fn wants_shutdown(&self) -> bool {
        self.halves.wants_shutdown()
    }

    fn segment(&self, _: u32) -> usize {
        self.segment
    }

    fn write_to(&mut self, _: &mut Self, most: usize) -> Vec<u8> {
        self.write(most, true)
    }

    fn read_from(&mut self, bytes: &[u8]) -> Option<usize> {
        let taken = match self.way {
            Way::Copy => self.halves.receive(bytes),
            Way::Buf | Way::Loan => self.halves.read(bytes).expect("all was polled"),
        };
        assert!(taken > 0, "an empty read would look like the end");
        Some(taken)
    }

    fn eof(&mut self) {
        self.halves.eof();
    }

    fn poll(&mut self) {
        loop {
            match self.halves.poll(self.chunks) {
                Ok(None) => return self.halves.take_back(),
                Ok(Some(event)) => self.got.push(Ok(event)),
                Err(error) => self.got.push(Err(error)),
            }
            assert!(self.got.len() < 200_000, "no end of events");
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.halves.poll_timeout()
    }

    fn tick(&mut self, now: Instant) -> bool {
        until_quiet(|| {
            let is_due = self.halves.poll_timeout().is_some_and(|at| at <= now);
            let asks = is_due && self.halves.state() != State::Closed;
            if asks {
                self.halves.handle_timeout(now);
            }
            asks
        })
    }
}

impl Pair<Node> {
    pub fn new(segment: usize, way: Way, change: impl FnOnce(&mut Config)) -> Self {
        let config = config(change);
        let node = |role| {
            let mut node = Node::new(role, way, &config);
            node.segment = segment;
            node
        };
        Self {
            client: node(Role::Client),
            server: node(Role::Server),
            now: Instant::EPOCH,
        }
    }

    /// Limits the link to `window` octets in each direction.
    pub fn set_window(&mut self, window: usize) {
        for node in self.sides() {
            node.port.link.set_capacity(window);
        }
    }

    /// One end writes all that it has, the other one does nothing.
    pub fn drive_one(&mut self, role: Role) {
        while self.write(role) {
            self.tick(role);
        }
    }

    /// Checks that both ends are closed, that each wrote at most one Close and nothing after it, and that each got
    /// at most one error.
    pub fn assert_over(&self) {
        for node in [&self.client, &self.server] {
            assert_eq!(node.state(), State::Closed, "{:?}", node.role);
            assert!(node.errors().len() <= 1, "{:?}", node.errors());
            assert!(node.closed().is_some());
        }
    }

    /// Checks that both directions ended with a Close.
    pub fn assert_clean(&self) {
        self.assert_over();
        for node in [&self.client, &self.server] {
            assert_eq!(node.errors(), []);
            let frames = node.frames();
            let closes = frames.iter().filter(|frame| frame.first == CLOSE);
            assert_eq!(closes.count(), 1);
            assert_eq!(frames.last().unwrap().first, CLOSE);
            assert!(node.closed().unwrap().clean);
        }
    }
}

/// Runs a scenario with every segment size, in every way to drive a connection.
pub fn everywhere(change: impl Fn(&mut Config), scenario: impl Fn(&mut Pair<Node>)) {
    for segment in SEGMENTS {
        for way in WAYS {
            let context = Context(segment, way);
            scenario(&mut Pair::new(segment, way, &change));
            std::mem::forget(context);
        }
    }
}

/// Reports where a scenario failed.
struct Context(usize, Way);

impl Drop for Context {
    fn drop(&mut self) {
        eprintln!("segments of {} octets, {:?}", self.0, self.1);
    }
}
