//! Frames, written and read by RFC 6455 §5.2 with none of the code under test.

use proto::{Kind, Role, deflate::Window};

use crate::rfc1951::Inflate;

pub(crate) const FIN: u8 = 0x80;
pub(crate) const RSV1: u8 = 0x40;
pub(crate) const TEXT: u8 = 0x1;
pub(crate) const BINARY: u8 = 0x2;
pub(crate) const CLOSE: u8 = 0x88;
pub(crate) const PING: u8 = 0x89;
pub(crate) const PONG: u8 = 0x8A;

/// A header in its shortest form.
pub(crate) fn header(first: u8, len: usize, key: Option<[u8; 4]>) -> Vec<u8> {
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
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(key.into_iter().flatten());
    bytes
}

/// A frame as it is on the wire.
pub(crate) fn frame(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = header(first, payload.len(), key);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    unmask(&mut bytes[start..], key.unwrap_or_default());
    bytes
}

/// §5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-j", j = i MOD 4.
pub(crate) fn unmask(payload: &mut [u8], key: [u8; 4]) {
    for (i, octet) in payload.iter_mut().enumerate() {
        *octet ^= key[i % 4];
    }
}

/// What a frame, or the frames of a message, say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Said {
    Message(Message),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Vec<u8>),
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    pub(crate) content: Vec<u8>,
    /// Octets on the wire, headers apart, if it was compressed.
    pub(crate) deflated: Option<usize>,
}

/// Reads what one end writes, and panics where it breaks a rule of §5 or of RFC 7692.
pub(crate) struct Reader {
    writer: Role,
    /// The window to compress in, if that was agreed on.
    window: Option<Window>,
    inflater: Inflate,
    max_payload: usize,
    bytes: Vec<u8>,
    /// A message that has begun: its kind, whether it is compressed, its payload.
    begun: Option<(Kind, bool, Vec<u8>)>,
    closed: bool,
}

impl Reader {
    pub(crate) fn new(writer: Role, window: Option<Window>, max_payload: Option<usize>) -> Self {
        Self {
            writer,
            window,
            inflater: Inflate::new(window.map_or(15, |window| window.bits), usize::MAX),
            max_payload: max_payload.map_or(usize::MAX, |max| max.max(1)),
            bytes: Vec::new(),
            begun: None,
            closed: false,
        }
    }

    /// Whether all that was read were whole frames.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What of a message has come that has not ended, if it is not compressed.
    pub(crate) fn begun(&self) -> Option<(Kind, &[u8])> {
        let (kind, deflated, payload) = self.begun.as_ref()?;
        (!deflated).then_some((*kind, payload))
    }

    pub(crate) fn has_begun(&self) -> bool {
        self.begun.is_some()
    }

    pub(crate) fn read(&mut self, bytes: &[u8]) -> Vec<Said> {
        self.bytes.extend_from_slice(bytes);
        let mut said = Vec::new();
        let mut at = 0;
        while let Some((first, payload, len)) = self.frame(&self.bytes[at..]) {
            at += len;
            said.extend(self.judge(first, payload));
        }
        self.bytes.drain(..at);
        said
    }

    /// The frame at the front, unmasked, and its length on the wire.
    fn frame(&self, bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
        let (&first, &second) = (bytes.first()?, bytes.get(1)?);
        assert!(!self.closed, "a frame after the Close (§5.5.1)");
        let masked = second & 0x80 != 0;
        assert_eq!(masked, self.writer == Role::Client, "§5.1: who masks");
        let (len, mut at) = match second & 0x7F {
            126 => {
                let len = u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
                assert!(len > 125, "§5.2: the shortest form");
                (usize::from(len), 4)
            }
            127 => {
                let len = u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?);
                assert!(len > 65_535 && len >> 63 == 0, "§5.2: the shortest form");
                (usize::try_from(len).unwrap(), 10)
            }
            len => (usize::from(len), 2),
        };
        let mut key = [0; 4];
        if masked {
            key = *bytes.get(at..)?.first_chunk()?;
            at += 4;
        }
        let mut payload = bytes.get(at..at + len)?.to_vec();
        unmask(&mut payload, key);
        Some((first, payload, at + len))
    }

    fn judge(&mut self, first: u8, payload: Vec<u8>) -> Option<Said> {
        let fin = first & FIN != 0;
        assert_eq!(first & 0x30, 0, "§5.2: RSV2 and RSV3");
        let opcode = first & 0xF;
        if opcode >= 8 {
            assert_eq!(first & 0xF0, FIN, "§5.5: control frames are whole");
            assert!(payload.len() <= 125, "§5.5");
            return Some(match first {
                PING => Said::Ping(payload),
                PONG => Said::Pong(payload),
                CLOSE => {
                    self.closed = true;
                    assert_close(&payload);
                    Said::Close(payload)
                }
                _ => panic!("opcode {opcode} (§5.2)"),
            });
        }
        assert!(payload.len() <= self.max_payload, "send_frame_size");
        let deflated = first & RSV1 != 0;
        match opcode {
            0 => assert!(!deflated, "RFC 7692 §6.1: the first frame only"),
            1 | 2 => {
                assert!(self.begun.is_none(), "§5.4: messages are not interleaved");
                assert!(!deflated || self.window.is_some(), "§5.2: RSV1");
                let kind = if opcode == 1 {
                    Kind::Text
                } else {
                    Kind::Binary
                };
                self.begun = Some((kind, deflated, Vec::new()));
            }
            _ => panic!("opcode {opcode} (§5.2)"),
        }
        let (_, _, whole) = self.begun.as_mut().expect("§5.4: a message to continue");
        whole.extend_from_slice(&payload);
        if !fin {
            return None;
        }
        let (kind, deflated, payload) = self.begun.take()?;
        let len = payload.len();
        let content = if deflated {
            self.inflate(&payload)
        } else {
            payload
        };
        assert!(
            kind == Kind::Binary || str::from_utf8(&content).is_ok(),
            "§5.6: text is UTF-8"
        );
        Some(Said::Message(Message {
            kind,
            content,
            deflated: deflated.then_some(len),
        }))
    }

    /// RFC 7692 §7.2.2.
    fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        if self.window.is_some_and(|window| !window.takeover) {
            self.inflater.forget();
        }
        self.inflater.ours(payload)
    }
}

/// §5.5.1, §7.4: a body that may be sent.
fn assert_close(body: &[u8]) {
    let Some((code, reason)) = body.split_first_chunk() else {
        assert!(body.is_empty(), "half a code");
        return;
    };
    let code = u16::from_be_bytes(*code);
    let valid = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    assert!(valid, "close code {code}");
    assert!(
        str::from_utf8(reason).is_ok(),
        "§5.5.1: the reason is UTF-8"
    );
}
