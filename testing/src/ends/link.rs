//! Two ends and the link between them: any segment size, any way to drive a connection, a clock
//! turned by hand.

use crate::polls::Polls;
use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Buf;
use proto::{
    Chunk, CloseFrame, Closed, Config, Connection, ControlPayload, Event, Instant, Lost, Message,
    Receiver, RecvBuf, RecvError, Role, SendError, Sender, State,
};

use super::{config, connection, joined, other};
use crate::frames::{CLOSE, Frame};

/// How many octets move at a time.
pub const SEGMENTS: [usize; 6] = [1, 2, 3, 7, 100, usize::MAX];

/// How a driver uses a connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Way {
    /// Reads into `recv_buf`.
    Buf,
    /// Copies by `receive`.
    Copy,
    /// The halves apart, with a lent buffer of 128 KiB that is taken back after each read.
    Loan,
}

pub const WAYS: [Way; 3] = [Way::Buf, Way::Copy, Way::Loan];

enum Halves {
    Glued(Box<Connection>),
    Apart(Box<(Receiver, Sender)>),
}

/// One end, and what is on its way to it.
pub struct Node {
    pub role: Role,
    way: Way,
    halves: Halves,
    loan: Option<Box<RecvBuf>>,
    /// Written by the peer, not read; then the end, if the peer ended its direction.
    pub wire: VecDeque<u8>,
    pub eof: bool,
    told_eof: bool,
    shut: bool,
    /// Pulls chunks.
    pub chunks: bool,
    /// Reads and polls, or does neither.
    pub reads: bool,
    got: Vec<Result<Event<Chunk>, RecvError>>,
    pub written: Vec<u8>,
}

const LOAN: usize = 128 << 10;

impl Node {
    pub fn new(role: Role, way: Way, config: &Arc<Config>) -> Self {
        let conn = connection(role, config);
        Self {
            role,
            way,
            halves: match way {
                Way::Loan => Halves::Apart(Box::new(conn.split())),
                _ => Halves::Glued(Box::new(conn)),
            },
            loan: Some(RecvBuf::new(LOAN)),
            wire: VecDeque::new(),
            eof: false,
            told_eof: false,
            shut: false,
            chunks: false,
            reads: true,
            got: Vec::new(),
            written: Vec::new(),
        }
    }

    pub fn send(&mut self, message: impl Into<Message>) -> Result<(), SendError> {
        match &mut self.halves {
            Halves::Glued(conn) => conn.send(message),
            Halves::Apart(halves) => halves.1.send(message),
        }
    }

    pub fn send_chunk(&mut self, chunk: Chunk) -> Result<(), SendError> {
        match &mut self.halves {
            Halves::Glued(conn) => conn.send_chunk(chunk),
            Halves::Apart(halves) => halves.1.send_chunk(chunk),
        }
    }

    pub fn ping(&mut self, payload: ControlPayload) -> Result<(), SendError> {
        match &mut self.halves {
            Halves::Glued(conn) => conn.ping(payload),
            Halves::Apart(halves) => halves.1.ping(payload),
        }
    }

    pub fn close(&mut self, frame: Option<CloseFrame>) {
        match &mut self.halves {
            Halves::Glued(conn) => conn.close(frame),
            Halves::Apart(halves) => {
                halves.1.close(frame);
                halves.0.meet(&mut halves.1);
            }
        }
    }

    pub fn latency(&self) -> Option<Duration> {
        match &self.halves {
            Halves::Glued(conn) => conn.latency(),
            Halves::Apart(halves) => halves.0.latency(),
        }
    }

    pub fn state(&self) -> State {
        match &self.halves {
            Halves::Glued(conn) => conn.state(),
            Halves::Apart(halves) => {
                let (rx, tx) = &**halves;
                if rx.is_done() {
                    State::Closed
                } else if rx.is_closing() || tx.is_closing() {
                    State::Closing
                } else {
                    State::Open
                }
            }
        }
    }

    pub fn closed(&self) -> Option<Closed> {
        match &self.halves {
            Halves::Glued(conn) => conn.closed(),
            Halves::Apart(halves) => halves.0.closed().filter(|_| halves.0.is_done()),
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.halves {
            Halves::Glued(conn) => conn.poll_timeout(),
            Halves::Apart(halves) => {
                let both = [halves.0.poll_timeout(), halves.1.poll_timeout()];
                both.into_iter().flatten().min()
            }
        }
    }

    fn handle_timeout(&mut self, now: Instant) {
        match &mut self.halves {
            Halves::Glued(conn) => conn.handle_timeout(now),
            Halves::Apart(halves) => {
                let _ = halves.0.handle_timeout(now);
                let _ = halves.1.handle_timeout(now);
            }
        }
        self.meet();
    }

    /// The transport is gone.
    pub fn reset(&mut self, lost: Lost) {
        match &mut self.halves {
            Halves::Glued(conn) => conn.handle_error(lost),
            Halves::Apart(halves) => {
                halves.1.handle_end(RecvError::Lost(lost));
                halves.0.handle_end(RecvError::Lost(lost));
            }
        }
        self.poll();
    }

    /// All that was polled, chunks joined to messages.
    pub fn events(&self) -> Vec<Result<Event, RecvError>> {
        let got = self.got.iter().cloned();
        if self.chunks {
            return joined(got).0;
        }
        got.map(|event| {
            event.map(|event| match event {
                Event::Data(chunk) => Event::Data(chunk.data),
                Event::Ping(payload) => Event::Ping(payload),
                Event::Pong(payload) => Event::Pong(payload),
                Event::Close(frame) => Event::Close(frame),
            })
        })
        .collect()
    }

    pub fn errors(&self) -> Vec<RecvError> {
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

    /// What this end wrote, which must be whole frames.
    pub fn frames(&self) -> Vec<Frame> {
        Frame::read_all(&self.written, self.role)
    }

    fn meet(&mut self) {
        if let Halves::Apart(halves) = &mut self.halves {
            halves.0.meet(&mut halves.1);
        }
    }

    /// Polls until there is nothing.
    pub fn poll(&mut self) {
        loop {
            let polled = match (&mut self.halves, self.chunks) {
                (Halves::Glued(conn), true) => conn.poll_chunk(),
                (Halves::Glued(conn), false) => conn.poll_event().map(whole),
                (Halves::Apart(halves), true) => halves.0.poll_chunk(),
                (Halves::Apart(halves), false) => halves.0.poll_event().map(whole),
            };
            self.meet();
            match polled {
                Ok(Some(event)) => self.got.push(Ok(event)),
                Ok(None) => break,
                Err(error) => self.got.push(Err(error)),
            }
            assert!(self.got.len() < 200_000, "no end of events");
        }
        if let Halves::Apart(halves) = &mut self.halves
            && let Some(loan) = halves.0.take_back()
        {
            assert!(loan.size() >= LOAN, "it comes back as it was lent");
            self.loan = Some(loan);
        }
    }

    /// One write of at most `most` octets; tells whether anything left.
    pub fn write(&mut self, most: usize, flushed: bool) -> Vec<u8> {
        let transmit = match &mut self.halves {
            Halves::Glued(conn) => conn.transmit(),
            Halves::Apart(halves) => halves.1.transmit(),
        };
        let mut part = Vec::new();
        if let Some(transmit) = transmit {
            let chunk = transmit.chunk();
            part.extend_from_slice(&chunk[..chunk.len().min(most)]);
            transmit.advance(part.len());
        }
        match &mut self.halves {
            Halves::Glued(conn) => conn.handle_sent(flushed),
            Halves::Apart(halves) => halves.1.handle_sent(flushed),
        }
        self.meet();
        self.written.extend_from_slice(&part);
        part
    }

    fn wants_shutdown(&self) -> bool {
        match &self.halves {
            Halves::Glued(conn) => conn.wants_shutdown(),
            Halves::Apart(halves) => self.state() == State::Closed || halves.1.wants_shutdown(),
        }
    }

    /// One read of at most `most` octets, or of the end; tells whether there was any.
    pub fn read(&mut self, most: usize) -> bool {
        if !self.reads || self.told_eof || self.state() == State::Closed {
            return false;
        }
        let len = self.wire.len().min(most);
        if len == 0 {
            if self.eof {
                self.told_eof = true;
                match &mut self.halves {
                    Halves::Glued(conn) => conn.handle_eof(),
                    Halves::Apart(halves) => halves.0.handle_eof(),
                }
                self.poll();
            }
            return self.told_eof;
        }
        let bytes = self.wire.make_contiguous();
        let taken = match (&mut self.halves, self.way) {
            (Halves::Glued(conn), Way::Copy) => conn.receive(&bytes[..len]),
            (Halves::Glued(conn), _) => {
                let room = conn.recv_buf().expect("all was polled");
                let len = fill(room, &bytes[..len]);
                conn.handle_input(len);
                len
            }
            (Halves::Apart(halves), _) => {
                let rx = &mut halves.0;
                if rx.wants_loan() {
                    rx.lend(self.loan.take().expect("it was given back"));
                }
                let room = rx.recv_buf().expect("all was polled");
                let len = fill(room, &bytes[..len]);
                rx.handle_input(len);
                len
            }
        };
        assert!(taken > 0, "an empty read would look like the end");
        self.wire.drain(..taken);
        self.poll();
        true
    }
}

fn fill(room: &mut [u8], bytes: &[u8]) -> usize {
    let len = room.len().min(bytes.len());
    room[..len].copy_from_slice(&bytes[..len]);
    len
}

fn whole(event: Option<Event>) -> Option<Event<Chunk>> {
    event.map(|event| match event {
        Event::Data(data) => Event::Data(Chunk { data, fin: true }),
        Event::Ping(payload) => Event::Ping(payload),
        Event::Pong(payload) => Event::Pong(payload),
        Event::Close(frame) => Event::Close(frame),
    })
}

pub struct Pair {
    pub client: Node,
    pub server: Node,
    pub now: Instant,
    pub segment: usize,
    /// How much the link holds in each direction.
    pub window: usize,
}

impl Pair {
    pub fn new(segment: usize, way: Way, change: impl FnOnce(&mut Config)) -> Self {
        let config = config(change);
        Self {
            client: Node::new(Role::Client, way, &config),
            server: Node::new(Role::Server, way, &config),
            now: Instant::EPOCH,
            segment,
            window: usize::MAX,
        }
    }

    pub fn node(&mut self, role: Role) -> &mut Node {
        match role {
            Role::Client => &mut self.client,
            Role::Server => &mut self.server,
        }
    }

    /// One write; tells whether anything moved.
    pub fn write(&mut self, role: Role) -> bool {
        let room = self
            .window
            .saturating_sub(self.node(other(role)).wire.len());
        let most = self.segment.min(room);
        let part = self.node(role).write(most, true);
        self.node(other(role)).wire.extend(&part);
        let node = self.node(role);
        if part.is_empty() && !node.shut && node.wants_shutdown() {
            node.shut = true;
            self.node(other(role)).eof = true;
            return true;
        }
        !part.is_empty()
    }

    pub fn read(&mut self, role: Role) -> bool {
        let segment = self.segment;
        self.node(role).read(segment)
    }

    /// Moves octets until nothing moves.
    pub fn drive(&mut self) {
        loop {
            let mut moved = false;
            for role in super::BOTH {
                moved |= self.write(role);
                moved |= self.read(role);
                self.tick(role);
            }
            if !moved {
                return;
            }
        }
    }

    /// One end writes all it has, the other one does nothing.
    pub fn drive_one(&mut self, role: Role) {
        while self.write(role) {
            self.tick(role);
        }
    }

    fn tick(&mut self, role: Role) {
        let now = self.now;
        let node = self.node(role);
        for _ in 0..8 {
            match node.poll_timeout() {
                Some(at) if at <= now && node.state() != State::Closed => {
                    node.handle_timeout(now);
                    if node.reads {
                        node.poll();
                    }
                }
                _ => return,
            }
        }
        panic!("a deadline never passes");
    }

    /// Time passes, and octets move as it does.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now.checked_add(duration).unwrap();
        loop {
            self.drive();
            let next = [&self.client, &self.server]
                .into_iter()
                .filter(|node| node.state() != State::Closed)
                .filter_map(Node::poll_timeout)
                .min();
            match next {
                Some(at) if at <= until => self.now = self.now.max(at),
                _ => break,
            }
            for role in super::BOTH {
                self.tick(role);
            }
        }
        self.now = until;
        self.drive();
    }

    /// Both ends are closed, each wrote one Close at most and nothing after it, and got at most one
    /// error.
    pub fn assert_over(&self) {
        for node in [&self.client, &self.server] {
            assert_eq!(node.state(), State::Closed, "{:?}", node.role);
            assert!(node.errors().len() <= 1, "{:?}", node.errors());
            assert!(node.closed().is_some());
        }
    }

    /// Both directions ended by a Close.
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

/// Runs a scenario at every segment size, in every way to drive a connection.
pub fn everywhere(change: impl Fn(&mut Config), scenario: impl Fn(&mut Pair)) {
    for segment in SEGMENTS {
        for way in WAYS {
            let context = Context(segment, way);
            scenario(&mut Pair::new(segment, way, &change));
            std::mem::forget(context);
        }
    }
}

/// Says where a scenario failed.
struct Context(usize, Way);

impl Drop for Context {
    fn drop(&mut self) {
        eprintln!("segments of {} octets, {:?}", self.0, self.1);
    }
}
