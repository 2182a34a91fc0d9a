//! The frames of a peer that follows the rules most of the time.

use proto::{Role, deflate::Agreed};

use crate::{
    bodies::choices::Choices,
    ends::deflate::Deflater,
    frames::{self, BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, RSV1, TEXT},
};

pub(crate) struct Peer {
    masks: bool,
    deflater: Option<Deflater>,
    /// The bytes that were written and not delivered.
    bytes: Vec<u8>,
}

impl Peer {
    /// Makes the peer of an end of `role`.
    pub(crate) fn new(role: Role, agreed: Option<Agreed>) -> Self {
        Self {
            masks: role == Role::Server,
            deflater: agreed.map(|agreed| Deflater::new(1, agreed.recv.takeover)),
            bytes: Vec::new(),
        }
    }

    pub(crate) fn wrote(&self) -> &[u8] {
        &self.bytes
    }

    pub(crate) fn delivered(&mut self, len: usize) {
        self.bytes.drain(..len);
    }

    fn frame(&mut self, choices: &mut Choices<'_>, first: u8, payload: &[u8]) {
        let key = self.masks.then(|| [choices.byte(), 0xFA, 0x21, 0x3D]);
        self.bytes.extend(frames::encode(first, payload, key));
    }

    /// Writes a message, whole or in fragments, with control frames between them.
    pub(crate) fn message(&mut self, choices: &mut Choices<'_>) {
        let len = choices.len();
        let (opcode, mut payload) = match choices.below(8) {
            0..=3 => (TEXT, choices.text(len).into_bytes()),
            // Rarely UTF-8.
            4 if choices.one_in(8) => (TEXT, choices.binary(len)),
            _ => (BINARY, choices.binary(len)),
        };
        let mut rsv1 = 0;
        if let Some(deflater) = &mut self.deflater
            && choices.flip()
        {
            payload = deflater.message(&payload);
            rsv1 = RSV1;
        }
        let mut opcode = opcode | rsv1;
        let mut rest = &payload[..];
        for _ in 0..choices.of(&[0, 0, 0, 1, 2, 7]) {
            let (part, after) = rest.split_at(choices.below(rest.len().min(5000) + 1));
            self.frame(choices, opcode, part);
            (opcode, rest) = (CONTINUATION, after);
            if choices.one_in(4) {
                self.control(choices);
            }
        }
        self.frame(choices, FIN | opcode, rest);
    }

    pub(crate) fn control(&mut self, choices: &mut Choices<'_>) {
        let first = choices.of(&[PING, PONG]);
        let len = choices.of(&[4, 0, 1, 124, 125]);
        let payload = choices.binary(len);
        self.frame(choices, first, &payload);
    }

    pub(crate) fn close(&mut self, choices: &mut Choices<'_>) {
        let code = match choices.below(4) {
            0 => 1000,
            1 => choices.of(&[999, 1004, 1005, 1006, 1015, 1016, 2999, 5000]),
            _ => choices.below(5100) as u16,
        };
        let mut body = code.to_be_bytes().to_vec();
        let len = choices.of(&[0, 10, 123]);
        body.extend(choices.text(len).into_bytes());
        match choices.below(8) {
            0 => body.clear(),
            1 => body.truncate(1),
            2 => body[2..].fill(0xC3),
            _ => {}
        }
        self.frame(choices, CLOSE, &body);
    }

    /// Writes something that may break a rule.
    pub(crate) fn damage(&mut self, choices: &mut Choices<'_>) {
        let at = choices.below(self.bytes.len());
        match choices.below(8) {
            0 if !self.bytes.is_empty() => self.bytes[at] ^= 1 << choices.below(8),
            1 if !self.bytes.is_empty() => self.bytes.truncate(at),
            2 => {
                // A length in more bytes than it needs, or one that is too large.
                let first = FIN | choices.of(&[BINARY, TEXT, PING & 0xF]);
                let key = self.masks.then_some([1, 2, 3, 4]);
                let mut header = frames::header(first, choices.of(&[126, 65_536]), key);
                header[2] = choices.of(&[0, 0x7F, 0x80]);
                header[3] = choices.of(&[0, 125]);
                self.bytes.extend(header);
            }
            3 => {
                let first = choices.byte();
                self.frame(choices, first, b"x");
            }
            4 => {
                self.masks = !self.masks;
                self.control(choices);
                self.masks = !self.masks;
            }
            5 => {
                let first = choices.of(&[TEXT, BINARY, CONTINUATION]);
                self.frame(choices, first, b"an end that does not come");
            }
            6 => self.frame(choices, FIN | TEXT, b"\xF0\x9D\x84"),
            _ => {
                let len = choices.below(20);
                self.bytes.extend(choices.raw(len));
            }
        }
    }
}
