//! Shared parts of the core's tests: one end with a manual clock, and the link between two ends.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Buf;
use proto::{
    Chunk, CloseCode, CloseFrame, Config, Connection, ConnectionError, ControlPayload,
    EntropyError, Event, Instant, Kind, Message, Negotiated, Receiver, RecvBuf, Role,
};

use crate::{
    frames::{Frame, wire},
    polls::Polls,
};

#[cfg(feature = "deflate")]
pub mod deflate;
pub mod halves;
pub mod link;
pub mod node;
pub mod pair;

pub const LOAN: usize = 128 << 10;

/// Reads `bytes` with a loan, as a driver does, and returns the loan.
pub fn read(rx: &mut Receiver, loan: &mut Option<Box<RecvBuf>>, bytes: &[u8]) -> Option<Message> {
    let mut bytes = bytes;
    let mut got = None;
    while !bytes.is_empty() {
        if rx.wants_loan() {
            rx.lend(loan.take().unwrap());
        }
        let len = fill(rx.recv_buf().unwrap(), bytes);
        rx.handle_input(len);
        bytes = &bytes[len..];
        while let Some(event) = rx.poll_event().unwrap() {
            if let Event::Data(message) = event {
                got = Some(message);
            }
        }
        if let Some(buf) = rx.take_back() {
            *loan = Some(buf);
        }
    }
    got
}

/// Moves as much of the front of `bytes` into `room` as fits, and returns how much.
pub(crate) fn fill(room: &mut [u8], bytes: &[u8]) -> usize {
    assert!(!room.is_empty(), "an empty read would look like the end");
    let len = room.len().min(bytes.len());
    room[..len].copy_from_slice(&bytes[..len]);
    len
}

/// Returns everything that a connection has to write, to a transport that takes everything.
pub(crate) fn take(connection: &mut Connection) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(output) = connection.transmit() {
        bytes.extend_from_slice(output.chunk());
        output.advance(output.chunk().len());
        connection.handle_sent(true);
    }
    connection.handle_sent(true);
    bytes
}

pub const BOTH: [Role; 2] = [Role::Client, Role::Server];

pub fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

pub const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Makes a different, repeatable key for every frame.
pub fn entropy(bytes: &mut [u8]) -> Result<(), EntropyError> {
    static STATE: AtomicU32 = AtomicU32::new(0x9E37_79B9);
    for byte in bytes {
        let state = STATE.load(Ordering::Relaxed);
        let state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        STATE.store(state, Ordering::Relaxed);
        *byte = (state >> 24) as u8;
    }
    Ok(())
}

pub fn config(change: impl FnOnce(&mut Config)) -> Arc<Config> {
    let mut config = Config::new(entropy);
    change(&mut config);
    Arc::new(config)
}

pub fn connection(role: Role, config: &Arc<Config>) -> Connection {
    Connection::new(role, Negotiated::default(), config.clone())
}

/// One end, the frames that its peer writes, and a manual clock.
pub struct End {
    pub role: Role,
    pub conn: Connection,
    pub now: Instant,
}

impl End {
    pub fn new(role: Role) -> Self {
        Self::with(role, |_| {})
    }

    pub fn with(role: Role, change: impl FnOnce(&mut Config)) -> Self {
        Self {
            role,
            conn: connection(role, &config(change)),
            now: Instant::EPOCH,
        }
    }

    /// Receives these octets.
    pub fn receive(&mut self, bytes: &[u8]) {
        assert_eq!(self.conn.receive(bytes), bytes.len(), "they fit");
    }

    /// Receives these frames together, masked if they must be.
    pub fn hear(&mut self, frames: &[Frame]) {
        self.receive(&wire(frames, other(self.role)));
    }

    /// Returns whole messages and control frames until there is nothing more, or an error.
    pub fn events(&mut self) -> Vec<Result<Event, ConnectionError>> {
        poll_all(|| self.conn.poll_event())
    }

    pub fn chunks(&mut self) -> Vec<Result<Event<Chunk>, ConnectionError>> {
        poll_all(|| self.conn.poll_chunk())
    }

    /// Receives these frames together, and returns the events.
    pub fn give(&mut self, frames: &[Frame]) -> Vec<Result<Event, ConnectionError>> {
        self.hear(frames);
        self.events()
    }

    /// Writes everything to a transport that takes everything.
    pub fn write(&mut self) -> Vec<Frame> {
        Frame::read_all(&take(&mut self.conn), self.role)
    }

    /// Writes at most `most` octets, and says whether the transport is flushed.
    pub fn write_some(&mut self, most: usize, flushed: bool) -> Vec<u8> {
        let mut bytes = Vec::new();
        while let Some(transmit) = self.conn.transmit() {
            let chunk = transmit.chunk();
            let taken = chunk.len().min(most - bytes.len());
            bytes.extend_from_slice(&chunk[..taken]);
            transmit.advance(taken);
            if bytes.len() == most {
                break;
            }
            self.conn.handle_sent(flushed);
        }
        self.conn.handle_sent(flushed);
        bytes
    }

    /// Passes the time until it is not asked for any more.
    pub fn tick(&mut self) {
        until_quiet(|| {
            let is_due = self.conn.poll_timeout().is_some_and(|at| at <= self.now);
            if is_due {
                self.conn.handle_timeout(self.now);
            }
            is_due
        });
    }

    /// Lets time pass, and passes it whenever it is asked for.
    pub fn pass(&mut self, duration: Duration) {
        let until = self.now.checked_add(duration).unwrap();
        self.tick();
        while let Some(at) = self.conn.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.tick();
        }
        self.now = until;
    }
}

/// Passes the time until it is not asked for any more, and returns whether it was asked for at all. `tell` passes
/// the time, and returns whether it was asked for. Asking for the time without end is a defect.
pub(crate) fn until_quiet(mut tell: impl FnMut() -> bool) -> bool {
    for times in 0..8 {
        if !tell() {
            return times > 0;
        }
    }
    panic!("a deadline never passes");
}

/// Returns all events and errors.
pub(crate) fn poll_all<E>(
    mut poll: impl FnMut() -> Result<Option<E>, ConnectionError>,
) -> Vec<Result<E, ConnectionError>> {
    let mut events = Vec::new();
    loop {
        match poll() {
            Ok(Some(event)) => events.push(Ok(event)),
            Ok(None) => return events,
            Err(error) => events.push(Err(error)),
        }
        assert!(events.len() < 200_000, "no end of events");
    }
}

pub fn text(text: impl Into<String>) -> Event {
    Event::Data(Message::from(text.into()))
}

pub fn binary(payload: impl Into<Vec<u8>>) -> Event {
    Event::Data(Message::from(payload.into()))
}

pub fn payload(payload: impl AsRef<[u8]>) -> ControlPayload {
    ControlPayload::new(payload.as_ref().to_vec()).unwrap()
}

pub fn close_frame(code: u16, reason: &str) -> CloseFrame {
    CloseFrame::new(CloseCode::new(code).unwrap(), reason.to_owned()).unwrap()
}

pub fn chunk(kind: Kind, payload: impl AsRef<[u8]>, fin: bool) -> Chunk {
    let payload = payload.as_ref().to_vec();
    let data = match kind {
        Kind::Text => Message::from(String::from_utf8(payload).unwrap()),
        Kind::Binary => Message::from(payload),
    };
    Chunk { data, fin }
}

/// Joins chunks. Returns the messages that they form, in order among the other events, and the unfinished part of
/// the last.
pub fn joined(
    chunks: impl IntoIterator<Item = Result<Event<Chunk>, ConnectionError>>,
) -> (Vec<Result<Event, ConnectionError>>, Vec<u8>) {
    let mut events = Vec::new();
    let mut gathered: Vec<u8> = Vec::new();
    let mut controls = Vec::new();
    for event in chunks {
        match event {
            Ok(Event::Data(Chunk { data, fin })) => {
                let kind = data.kind();
                gathered.extend_from_slice(data.as_bytes());
                if fin {
                    let data = chunk(kind, std::mem::take(&mut gathered), true).data;
                    events.append(&mut controls);
                    events.push(Ok(Event::Data(data)));
                }
            }
            Ok(Event::Ping(payload)) => controls.push(Ok(Event::Ping(payload))),
            Ok(Event::Pong(payload)) => controls.push(Ok(Event::Pong(payload))),
            Ok(Event::Close(frame)) => controls.push(Ok(Event::Close(frame))),
            Err(error) => controls.push(Err(error)),
        }
    }
    events.append(&mut controls);
    (events, gathered)
}
