//! Prepared frames, and an end of the core that is driven as a driver would, but without a transport.

use std::sync::Arc;

use bytes::Buf;
use proto::{
    Chunk, Config, Connection, EntropyError, Event, Kind, Message, Negotiated, Outgoing, Pull,
    Receiver, RecvBuf, Role, Sender, Transmit,
    frame::{Header, OpCode},
    mask,
};

use crate::memory::{Memory, READ};

/// Returns a message of `size` bytes; text is ASCII.
pub(crate) fn message(kind: Kind, size: usize) -> Message {
    let letters = (b'a'..=b'z').cycle().take(size);
    match kind {
        Kind::Text => letters.map(char::from).collect::<String>().into(),
        Kind::Binary => letters.collect::<Vec<u8>>().into(),
    }
}

/// Returns `count` frames with `message`, as `role` receives them: for a server they are masked, each
/// with another key.
pub(crate) fn frames(role: Role, message: &Message, count: usize) -> Vec<u8> {
    let opcode = match message.kind() {
        Kind::Text => OpCode::Text,
        Kind::Binary => OpCode::Binary,
    };
    let mut wire = Vec::new();
    for seed in 1..=count as u32 {
        let key = seed.wrapping_mul(2_654_435_761).to_be_bytes();
        let header = Header {
            fin: true,
            rsv1: false,
            opcode,
            mask: (role == Role::Server).then_some(key),
            len: message.len() as u64,
        };
        let mut head = [0; Header::MAX_LEN];
        let len = header.encode(&mut head);
        wire.extend_from_slice(&head[..len]);
        let start = wire.len();
        wire.extend_from_slice(message.as_bytes());
        if let Some(key) = header.mask {
            mask::apply(&mut wire[start..], key, 0);
        }
    }
    wire
}

/// The configuration of every end: the defaults, with masking keys that cost nothing.
pub(crate) fn config() -> Arc<Config> {
    let keys: fn(&mut [u8]) -> Result<(), EntropyError> = |bytes| {
        bytes.fill(0x5A);
        Ok(())
    };
    Arc::new(Config::new(keys))
}

/// Both halves of a connection, and the memory that a driver would lend them.
pub(crate) struct End {
    rx: Receiver,
    tx: Sender,
    input: Option<Box<RecvBuf>>,
    output: Option<Box<Transmit>>,
}

impl End {
    pub(crate) fn new(role: Role) -> Self {
        let config = config();
        let (rx, tx) = Connection::new(role, Negotiated::default(), config.clone()).split();
        Self {
            rx,
            tx,
            input: Some(RecvBuf::new(READ)),
            output: None,
        }
    }

    /// Reads once, and calls `each` for every received message.
    pub(crate) fn read(&mut self, memory: &mut Memory, mut each: impl FnMut(&mut Self, Message)) {
        if self.rx.wants_loan() {
            self.rx.lend(self.input.take().expect("it was given back"));
        }
        let room = self.rx.recv_buf().expect("all was polled");
        let read = memory.read(room.len()).unwrap_or_default();
        room[..read.len()].copy_from_slice(read);
        self.rx.handle_input(read.len());
        while let Some(event) = self.rx.poll_data(Pull::Messages).expect("it is valid") {
            let Event::Data(Chunk { data, .. }) = event else {
                panic!("{event:?}");
            };
            each(self, data);
        }
        self.input = self.rx.take_back().or_else(|| self.input.take());
    }

    /// Queues a message.
    pub(crate) fn send(&mut self, message: impl Into<Outgoing>) {
        self.tx.lend(|| self.output.take());
        self.tx.send(message).expect("it is open");
    }

    /// Writes all queued output.
    pub(crate) fn write(&mut self, memory: &Memory) {
        loop {
            self.tx.lend(|| self.output.take());
            let Some(transmit) = self.tx.transmit() else {
                break;
            };
            let written = memory.write(transmit.chunk());
            transmit.advance(written);
            if let Some(idle) = self.tx.take_back() {
                self.output = Some(idle);
            }
            self.tx.handle_sent(true);
        }
    }
}
