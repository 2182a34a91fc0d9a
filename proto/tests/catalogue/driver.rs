//! One end of a connection, driven as a binding drives it, with a manual clock.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use bowline_proto::deflate::Agreed;
use bowline_proto::{
    Config, Connection, ConnectionError, EntropyError, Event, Instant, Negotiated, Role, State,
};
use bytes::Buf;
use testing::{
    frames::{self, CLOSE, Frame},
    polls::Polls,
};

pub(crate) const ROLES: [Role; 2] = [Role::Server, Role::Client];

/// Draws four bytes that are never repeated and never zero; but the handshake's key is the sample of RFC 6455 §1.3.
fn entropy(out: &mut [u8]) -> Result<(), EntropyError> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    if out.len() == 16 {
        out.copy_from_slice(b"the sample nonce");
        return Ok(());
    }
    for chunk in out.chunks_mut(4) {
        let word = NEXT.fetch_add(1, Relaxed).wrapping_mul(0x9E37_79B1);
        chunk.copy_from_slice(&word.to_le_bytes()[..chunk.len()]);
    }
    Ok(())
}

pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Arc<Config> {
    let mut config = Config::new(entropy);
    change(&mut config);
    Arc::new(config)
}

pub(crate) struct End {
    pub(crate) conn: Connection,
    pub(crate) role: Role,
    pub(crate) now: Instant,
    pub(crate) events: Vec<Event>,
    pub(crate) errors: Vec<ConnectionError>,
    /// Everything that was sent.
    pub(crate) out: Vec<u8>,
    /// Whether the transport takes output.
    pub(crate) writable: bool,
}

impl End {
    pub(crate) fn new(role: Role, config: &Arc<Config>) -> Self {
        let now = Instant::from_epoch(Duration::from_secs(1000));
        // An end that compresses has found a peer that accepts its configuration.
        let mut negotiated = Negotiated::default();
        negotiated.deflate = config.deflate.map(|options| Agreed {
            send: options.send,
            recv: options.recv,
        });
        let conn = Connection::new(role, negotiated, config.clone());
        Self::from_parts(conn, role, now)
    }

    pub(crate) fn from_parts(mut conn: Connection, role: Role, now: Instant) -> Self {
        conn.handle_timeout(now);
        Self {
            conn,
            role,
            now,
            events: Vec::new(),
            errors: Vec::new(),
            out: Vec::new(),
            writable: true,
        }
    }

    pub(crate) fn with_defaults(role: Role) -> Self {
        Self::new(role, &config(|_| {}))
    }

    /// The key of the peer's frames, which are masked on the way to a server.
    pub(crate) fn key(&self) -> Option<[u8; 4]> {
        (self.role == Role::Server).then_some(Frame::KEY)
    }

    /// A frame as the peer writes it.
    pub(crate) fn wire(&self, first: u8, payload: impl AsRef<[u8]>) -> Vec<u8> {
        frames::encode(first, payload.as_ref(), self.key())
    }

    /// Receives a frame from the peer.
    pub(crate) fn frame(&mut self, first: u8, payload: impl AsRef<[u8]>) {
        let bytes = self.wire(first, payload);
        self.feed(&bytes);
    }

    /// Reads input into the connection's own memory, until it takes no more.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty()
            && let Some(room) = self.conn.recv_buf()
        {
            assert!(!room.is_empty(), "no room, and not done");
            let len = room.len().min(bytes.len());
            room[..len].copy_from_slice(&bytes[..len]);
            bytes = &bytes[len..];
            self.conn.handle_input(len);
            self.poll();
        }
        self.poll();
    }

    /// Copies input.
    pub(crate) fn copy(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = self.conn.receive(bytes);
            assert!(taken > 0, "all was polled, and nothing is taken");
            bytes = &bytes[taken..];
            self.poll();
        }
    }

    /// Polls until no event comes, and writes after each event.
    pub(crate) fn poll(&mut self) {
        loop {
            match self.conn.poll_event() {
                Ok(Some(event)) => self.events.push(event),
                Ok(None) => return self.write(),
                Err(error) => {
                    self.errors.push(error);
                    assert!(self.errors.len() < 10, "errors without end: {error}");
                }
            }
            self.write();
        }
    }

    pub(crate) fn write(&mut self) {
        if !self.writable {
            let _ = self.conn.transmit();
            return self.conn.handle_sent(false);
        }
        while let Some(transmit) = self.conn.transmit() {
            let chunk = transmit.chunk();
            let len = chunk.len();
            self.out.extend_from_slice(chunk);
            transmit.advance(len);
            self.conn.handle_sent(true);
        }
    }

    pub(crate) fn eof(&mut self) {
        self.conn.handle_eof();
        self.poll();
    }

    /// Serves every deadline until `after` has passed.
    pub(crate) fn wait(&mut self, after: Duration) {
        let until = self.now.checked_add(after).expect("a moment");
        for _ in 0..1000 {
            match self.conn.poll_timeout() {
                Some(at) if at <= until => {
                    self.now = self.now.max(at);
                    self.conn.handle_timeout(self.now);
                    self.poll();
                }
                _ => {
                    self.now = until;
                    return;
                }
            }
        }
        panic!("deadlines without end");
    }

    pub(crate) fn sent(&self) -> Vec<Frame> {
        Frame::read_all_plain(&self.out, self.role)
    }

    /// The codes of the Closes that were sent; 1005 for an empty one.
    pub(crate) fn closes(&self) -> Vec<u16> {
        let closes = self.sent();
        closes
            .iter()
            .filter(|frame| frame.first == CLOSE)
            .map(|frame| frame.code_and_reason().map_or(1005, |(code, _)| code))
            .collect()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.conn.state() == State::Closed
    }
}
