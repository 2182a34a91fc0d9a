//! What the tests share: frames written octet by octet, one end with a hand on its clock, and the
//! link between two.
//!
//! The frames here are written from RFC 6455 §5.2 and share no code with the crate.

use crate::polls::Polls;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use bytes::Buf;
use proto::{
    Chunk, CloseCode, CloseFrame, Config, Connection, ControlPayload, EntropyError, Event, Instant,
    Kind, Message, Negotiated, Receiver, RecvBuf, RecvError, Role,
};

#[cfg(feature = "deflate")]
pub mod deflate;
pub mod link;

pub const LOAN: usize = 128 << 10;

/// Reads `bytes` with a loan, as a driver does, and gives the loan back.
pub fn read(rx: &mut Receiver, loan: &mut Option<Box<RecvBuf>>, bytes: &[u8]) -> Option<Message> {
    let mut bytes = bytes;
    let mut got = None;
    while !bytes.is_empty() {
        if rx.wants_loan() {
            rx.lend(loan.take().unwrap());
        }
        let room = rx.recv_buf().unwrap();
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
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

/// A different, repeatable key for every frame.
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
    Connection::new(role, Negotiated::default(), config)
}

/// Frames as `sender` must write them, one behind the other.
pub fn wire(frames: &[Frame], sender: Role) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.from(sender)).collect()
}

/// A frame as it is on the wire: the first octet (FIN, RSV, opcode) and the payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

pub const FIN: u8 = 0x80;
pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;

impl Frame {
    pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    pub fn new(first: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            first,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(FIN | TEXT, payload)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(FIN | BINARY, payload)
    }

    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    /// The header alone, with any announced length, by the shortest form of §5.2.
    pub fn header(first: u8, len: u64, key: Option<[u8; 4]>) -> Vec<u8> {
        let masked = if key.is_some() { 0x80 } else { 0 };
        let mut bytes = vec![first];
        match len {
            0..=125 => bytes.push(masked | len as u8),
            126..=65_535 => {
                bytes.push(masked | 126);
                bytes.extend((len as u16).to_be_bytes());
            }
            _ => {
                bytes.push(masked | 127);
                bytes.extend(len.to_be_bytes());
            }
        }
        bytes.extend(key.into_iter().flatten());
        bytes
    }

    pub fn encode(&self, key: Option<[u8; 4]>) -> Vec<u8> {
        let mut bytes = Self::header(self.first, self.payload.len() as u64, key);
        let key = key.unwrap_or_default();
        bytes.extend(
            self.payload
                .iter()
                .enumerate()
                .map(|(i, octet)| octet ^ key[i % 4]),
        );
        bytes
    }

    /// As `sender` must write it.
    pub fn from(&self, sender: Role) -> Vec<u8> {
        self.encode((sender == Role::Client).then_some(Self::KEY))
    }

    /// The frame at the front of `bytes` and its length there; `None` if it is not all there. Fails
    /// the test if `sender` must not write it so.
    pub fn read(bytes: &[u8], sender: Role) -> Option<(Self, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        assert_eq!(
            second & 0x80 != 0,
            sender == Role::Client,
            "a client masks, a server does not"
        );
        let (len, mut at) = match second & 0x7F {
            126 => {
                let len = u16::from_be_bytes(bytes.get(2..4)?.try_into().unwrap());
                assert!(len > 125, "the shortest form");
                (u64::from(len), 4)
            }
            127 => {
                let len = u64::from_be_bytes(bytes.get(2..10)?.try_into().unwrap());
                assert!(len > 65_535 && len >> 63 == 0, "the shortest form");
                (len, 10)
            }
            len => (u64::from(len), 2),
        };
        let mut key = [0; 4];
        if sender == Role::Client {
            key = bytes.get(at..at + 4)?.try_into().unwrap();
            at += 4;
        }
        let end = at + usize::try_from(len).unwrap();
        let payload = bytes.get(at..end)?;
        let payload = payload.iter().enumerate().map(|(i, o)| o ^ key[i % 4]);
        Some((Self::new(first, payload.collect::<Vec<_>>()), end))
    }

    /// All frames of `bytes`, which must end with one.
    pub fn read_all(mut bytes: &[u8], sender: Role) -> Vec<Self> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (frame, len) = Self::read(bytes, sender).expect("whole frames");
            frames.push(frame);
            bytes = &bytes[len..];
        }
        frames
    }
}

/// One end, its peer's pen, and a clock turned by hand.
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

    /// These octets arrive.
    pub fn receive(&mut self, bytes: &[u8]) {
        assert_eq!(self.conn.receive(bytes), bytes.len(), "they fit");
    }

    /// These frames arrive together, masked if they have to be.
    pub fn hear(&mut self, frames: &[Frame]) {
        self.receive(&wire(frames, other(self.role)));
    }

    /// Whole messages and control frames until there is nothing, or an error.
    pub fn events(&mut self) -> Vec<Result<Event, RecvError>> {
        poll_all(|| self.conn.poll_event())
    }

    pub fn chunks(&mut self) -> Vec<Result<Event<Chunk>, RecvError>> {
        poll_all(|| self.conn.poll_chunk())
    }

    /// What these frames, arriving together, give.
    pub fn give(&mut self, frames: &[Frame]) -> Vec<Result<Event, RecvError>> {
        self.hear(frames);
        self.events()
    }

    /// Writes all there is to a transport that takes everything.
    pub fn write(&mut self) -> Vec<Frame> {
        let mut bytes = Vec::new();
        while let Some(transmit) = self.conn.transmit() {
            bytes.extend_from_slice(transmit.chunk());
            transmit.advance(transmit.chunk().len());
            self.conn.handle_sent(true);
        }
        self.conn.handle_sent(true);
        Frame::read_all(&bytes, self.role)
    }

    /// The transport takes at most `most` octets, and says whether it is flushed.
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

    /// Tells the time until nobody asks for it. Time that is asked for again and again is a defect.
    pub fn tick(&mut self) {
        for _ in 0..8 {
            match self.conn.poll_timeout() {
                Some(at) if at <= self.now => self.conn.handle_timeout(self.now),
                _ => return,
            }
        }
        panic!(
            "the deadline at {:?} never passes",
            self.conn.poll_timeout()
        );
    }

    /// Time passes, and is told whenever it is asked for.
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

fn poll_all<E>(
    mut poll: impl FnMut() -> Result<Option<E>, RecvError>,
) -> Vec<Result<E, RecvError>> {
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

/// What chunks amount to: the messages they make up, in their place among the other events, and the
/// unfinished rest of the last.
pub fn joined(
    chunks: impl IntoIterator<Item = Result<Event<Chunk>, RecvError>>,
) -> (Vec<Result<Event, RecvError>>, Vec<u8>) {
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
