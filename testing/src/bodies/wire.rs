//! Reads what one end writes, by RFC 6455 §5 and RFC 7692, with none of the code under test.

use proto::{Kind, Role, deflate::Window};

use crate::{
    frames::{BINARY, CLOSE, CONTINUATION, Frame, PING, PONG, RSV1, TEXT},
    rfc1951::Inflate,
};

/// The content of a frame, or of the frames of a message.
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
    /// The number of payload octets on the wire, if it was compressed.
    pub(crate) deflated: Option<usize>,
}

/// Reads what one end writes, and panics if it breaks a rule of §5 or of RFC 7692.
pub(crate) struct Reader {
    writer: Role,
    /// The window to compress in, if compression was agreed on.
    window: Option<Window>,
    inflater: Inflate,
    max_payload: usize,
    bytes: Vec<u8>,
    /// A message that has begun: its kind, whether it is compressed, and its payload.
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

    /// Whether everything that was read forms complete frames.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Returns what has come of an uncompressed message that has not ended.
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
        while at < self.bytes.len() {
            assert!(!self.closed, "a frame after the Close (§5.5.1)");
            let Some((frame, len)) = Frame::read(&self.bytes[at..], self.writer) else {
                break;
            };
            at += len;
            said.extend(self.judge(frame));
        }
        self.bytes.drain(..at);
        said
    }

    fn judge(&mut self, frame: Frame) -> Option<Said> {
        let (is_last, opcode) = (frame.is_last(), frame.opcode());
        let Frame { first, payload } = frame;
        if opcode >= 8 {
            return Some(match first {
                PING => Said::Ping(payload),
                PONG => Said::Pong(payload),
                CLOSE => {
                    self.closed = true;
                    assert_close(&payload);
                    Said::Close(payload)
                }
                _ => panic!("RFC 7692 §6.1: {first:#x} is a compressed control frame"),
            });
        }
        assert!(payload.len() <= self.max_payload, "send_frame_size");
        let deflated = first & RSV1 != 0;
        if opcode == CONTINUATION {
            assert!(!deflated, "RFC 7692 §6.1: the first frame only");
        } else {
            assert!(self.begun.is_none(), "§5.4: messages are not interleaved");
            assert!(!deflated || self.window.is_some(), "§5.2: RSV1");
            self.begun = Some((kind(opcode), deflated, Vec::new()));
        }
        let (_, _, whole) = self.begun.as_mut().expect("§5.4: a message to continue");
        whole.extend_from_slice(&payload);
        if !is_last {
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

    /// Inflates a message (RFC 7692 §7.2.2).
    fn inflate(&mut self, payload: &[u8]) -> Vec<u8> {
        if self.window.is_some_and(|window| !window.takeover) {
            self.inflater.forget();
        }
        self.inflater.ours(payload)
    }
}

/// Returns the kind of a message that begins with `opcode`.
pub(crate) fn kind(opcode: u8) -> Kind {
    match opcode {
        TEXT => Kind::Text,
        BINARY => Kind::Binary,
        _ => panic!("opcode {opcode} begins no message"),
    }
}

/// Checks the body of a Close (§5.5.1, §7.4).
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
