//! Compressed messages. Any payload, cut anywhere, gives the result that RFC 1951 and RFC 7692 §7.2.2 define,
//! within its limit. A message that one end compresses, with any options, is inflated to the same by the other end
//! and by a reader of RFC 1951.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use proto::{
    Config, Connection, ConnectionError, Event, Kind, Message, Negotiated, ProtocolError, Pull,
    Role,
    deflate::{Agreed, Deflate, Window},
};

use crate::{
    bodies::{cuts::Cuts, transport},
    ends::{self, other},
    frames::{BINARY, CONTINUATION, FIN, Frame, RSV1, TEXT},
    rfc1951::{Fault, Inflate},
};

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let _ = match input.arbitrary::<bool>() {
        Ok(true) => check_round_trip(&mut input),
        _ => check_any(&mut input),
    };
}

/// Compressed data to be received, as a peer would send it.
#[derive(Debug)]
struct Sent {
    text: bool,
    deflated: bool,
    payload: Vec<u8>,
    wire: Vec<u8>,
}

fn check_any(input: &mut Unstructured<'_>) -> Result<()> {
    let cuts = Cuts::from_seed(input.arbitrary()?);
    let in_chunks = input.arbitrary()?;
    let role = *input.choose(&[Role::Client, Role::Server])?;
    let takeover = input.arbitrary()?;
    let max = *input.choose(&[1 << 16, 1000, 0])?;
    let sent = messages(input, role)?;
    let wire: Vec<u8> = sent.iter().flat_map(|sent| sent.wire.clone()).collect();

    let window = Window { bits: 15, takeover };
    let mut config = Config::new(transport::entropy);
    // The limit of the other pull method does not apply.
    (config.max_message_size, config.max_stream_size) = match in_chunks {
        true => (0, max as u64),
        false => (max, 0),
    };
    let config = Arc::new(config);
    let mut negotiated = Negotiated::default();
    negotiated.deflate = Some(Agreed {
        send: window,
        recv: window,
    });
    let mut connection = Connection::new(role, negotiated, config.clone());

    let (expected, fault) = model(&sent, takeover, max);
    if in_chunks {
        let mut chunks = Chunks::default();
        for piece in cuts.pieces(&wire) {
            transport::feed(&mut connection, piece, |connection| chunks.poll(connection));
        }
        chunks.check(&expected, fault, max);
    } else {
        let mut events = Vec::new();
        transport::hear(&mut connection, &wire, cuts, &mut events);
        let error = match events.last() {
            Some(Err(_)) => events.pop().and_then(std::result::Result::err),
            _ => None,
        };
        let messages: Vec<Message> = events.into_iter().map(data).collect();
        assert_eq!(messages, expected);
        check_error(error, fault, max);
    }
    Ok(())
}

/// Returns frames with any payload, nearly all of them compressed.
fn messages(input: &mut Unstructured<'_>, role: Role) -> Result<Vec<Sent>> {
    let mut messages = Vec::new();
    while !input.is_empty() && messages.len() < 8 {
        let flags = input.arbitrary::<u8>()?;
        let (text, deflated) = (flags & 1 != 0, flags & 0b1110 != 0b1110);
        let mut sent = Sent {
            text,
            deflated,
            payload: Vec::new(),
            wire: Vec::new(),
        };
        let frames = 1 + (flags >> 4) % 4;
        for i in 0..frames {
            // A short payload, or all of the remaining input.
            let len = usize::from(input.arbitrary::<u8>()?);
            let len = if len == 255 { input.len() } else { len };
            let payload = input.bytes(len.min(input.len()))?;
            let fin = if i == frames - 1 { FIN } else { 0 };
            let first = match (i, text) {
                (0, true) => TEXT,
                (0, false) => BINARY,
                _ => CONTINUATION,
            };
            let rsv1 = if deflated && i == 0 { RSV1 } else { 0 };
            let frame = Frame::new(fin | rsv1 | first, payload);
            sent.wire.extend(frame.from(other(role)));
            sent.payload.extend_from_slice(payload);
        }
        messages.push(sent);
    }
    Ok(messages)
}

/// The delivered messages, and the failure after them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Failure {
    Corrupt,
    TooBig,
    Utf8,
}

fn model(sent: &[Sent], takeover: bool, max: usize) -> (Vec<Message>, Option<Failure>) {
    let mut inflate = Inflate::new(15, max);
    let mut messages = Vec::new();
    for sent in sent {
        let content = if sent.deflated {
            match inflate.message(&sent.payload) {
                Ok(content) if content.len() > max => return (messages, Some(Failure::TooBig)),
                Ok(content) => content,
                Err(Fault::Corrupt) => return (messages, Some(Failure::Corrupt)),
                Err(Fault::TooBig) => return (messages, Some(Failure::TooBig)),
            }
        } else if sent.payload.len() > max {
            return (messages, Some(Failure::TooBig));
        } else {
            sent.payload.clone()
        };
        if !takeover {
            inflate.forget();
        }
        if sent.text {
            match String::from_utf8(content) {
                Ok(text) => messages.push(Message::from(text)),
                Err(_) => return (messages, Some(Failure::Utf8)),
            }
        } else {
            messages.push(Message::from(content));
        }
    }
    (messages, None)
}

/// Data with several faults may be reported as any of them: text that is cut short where it is not UTF-8, or data
/// that is corrupt after it was too large.
fn check_error(error: Option<ConnectionError>, fault: Option<Failure>, max: usize) {
    let Some(error) = error else {
        assert_eq!(fault, None, "it must fail");
        return;
    };
    let max = max as u64;
    let told = match error {
        ConnectionError::Protocol(ProtocolError::Deflate) => Failure::Corrupt,
        ConnectionError::Protocol(ProtocolError::Utf8) => Failure::Utf8,
        ConnectionError::Protocol(
            ProtocolError::MessageTooBig { max: at } | ProtocolError::StreamTooBig { max: at },
        ) if at == max => Failure::TooBig,
        other => panic!("{other:?}"),
    };
    match fault {
        None => panic!("{error:?}, and nothing is wrong"),
        Some(Failure::Corrupt) => assert_ne!(told, Failure::TooBig),
        Some(Failure::TooBig) => {}
        Some(Failure::Utf8) => assert_eq!(told, Failure::Utf8),
    }
}

fn data(event: std::result::Result<Event, ConnectionError>) -> Message {
    match event {
        Ok(Event::Data(message)) => message,
        other => panic!("{other:?} is no message"),
    }
}

/// The same, in pieces.
#[derive(Default)]
struct Chunks {
    messages: Vec<Message>,
    begun: Option<(Kind, Vec<u8>)>,
    error: Option<ConnectionError>,
}

impl Chunks {
    /// "A compressed one is inflated by at most 16 KiB a call."
    const MOST: usize = 16 << 10;

    fn poll(&mut self, connection: &mut Connection) {
        loop {
            let chunk = match connection.poll_data(Pull::Chunks) {
                Ok(Some(Event::Data(chunk))) => chunk,
                Ok(None) => return,
                Err(error) => {
                    assert_eq!(self.error.replace(error), None, "one error");
                    continue;
                }
                other => panic!("{other:?} is no data"),
            };
            assert_eq!(self.error, None, "nothing comes after an error");
            let bytes = chunk.data.as_bytes();
            assert!(bytes.len() <= Self::MOST, "{} at once", bytes.len());
            let (kind, content) = self
                .begun
                .get_or_insert_with(|| (chunk.data.kind(), Vec::new()));
            assert_eq!(*kind, chunk.data.kind());
            content.extend_from_slice(bytes);
            if chunk.fin {
                let (kind, content) = self.begun.take().expect("it has begun");
                self.messages.push(match kind {
                    Kind::Text => String::from_utf8(content).expect("UTF-8").into(),
                    Kind::Binary => content.into(),
                });
            }
        }
    }

    fn check(self, expected: &[Message], fault: Option<Failure>, max: usize) {
        assert_eq!(self.messages, expected);
        assert!(self.begun.is_none_or(|(_, content)| content.len() <= max));
        check_error(self.error, fault, max);
    }
}

fn check_round_trip(input: &mut Unstructured<'_>) -> Result<()> {
    let cuts = Cuts::from_seed(input.arbitrary()?);
    let role = *input.choose(&[Role::Client, Role::Server])?;
    let window = Window {
        bits: input.int_in_range(8..=15)?,
        takeover: input.arbitrary()?,
    };
    let mut config = Config::new(transport::entropy);
    let mut deflate = Deflate::default();
    deflate.level = input.int_in_range(0..=10)?;
    deflate.memory_level = input.int_in_range(0..=10)?;
    deflate.threshold = *input.choose(&[0, 64])?;
    config.deflate = Some(deflate);
    config.max_fragments = u32::MAX;
    config.send_frame_size = *input.choose(&[None, Some(0), Some(7), Some(1000)])?;
    config.send_high_water = *input.choose(&[64 << 10, 0, 500])?;
    let config = Arc::new(config);
    let connection = |role, send, recv| {
        let mut negotiated = Negotiated::default();
        negotiated.deflate = Some(Agreed { send, recv });
        Connection::new(role, negotiated, config.clone())
    };
    let mut sender = connection(role, window, window);
    let mut receiver = connection(other(role), window, window);
    let mut inflate = Inflate::new(window.bits, usize::MAX);
    let mut is_first = true;
    while !input.is_empty() {
        let message = message(input, std::mem::take(&mut is_first))?;
        sender.send(message.clone()).expect("it is open");
        let wire = ends::take(&mut sender);
        let (deflated, payload) = join(&wire, role);
        let mut content = payload;
        if deflated {
            content = inflate.message(&content).expect("whole DEFLATE");
            if !window.takeover {
                inflate.forget();
            }
        }
        assert_eq!(content, message.as_bytes()[..], "to a reader of RFC 1951");
        let mut events = Vec::new();
        transport::hear(&mut receiver, &wire, cuts, &mut events);
        assert_eq!(events, [Ok(Event::Data(message))], "to the other end");
    }
    Ok(())
}

/// Returns a message of up to 80 KB that may or may not compress.
fn message(input: &mut Unstructured<'_>, is_first: bool) -> Result<Message> {
    let flags = input.arbitrary::<u8>()?;
    let len = usize::from(input.arbitrary::<u8>()?);
    let seed = input.bytes(len.min(input.len()))?;
    let mut content = Vec::new();
    for i in 0..1 + (flags >> 4) {
        content.extend_from_slice(seed);
        content.extend(std::iter::repeat_n(i, usize::from(flags >> 1) & 7));
    }
    // Rarely, because it takes long: more than one step of compression.
    if is_first && flags == 0xF0 && !content.is_empty() {
        content = content.iter().copied().cycle().take(80_000).collect();
    }
    Ok(if flags & 1 == 0 {
        content.into()
    } else {
        String::from_utf8_lossy(&content).into_owned().into()
    })
}

/// Returns whether the one message in `wire` is compressed, and its payload.
fn join(wire: &[u8], sender: Role) -> (bool, Vec<u8>) {
    let frames = Frame::read_all(wire, sender);
    let (first, rest) = frames.split_first().expect("a frame");
    assert!(matches!(first.opcode(), TEXT | BINARY), "a message begins");
    // RFC 7692 §6.1: RSV1 is set on the first frame, and on no other.
    for frame in rest {
        assert_eq!(frame.first & !FIN, CONTINUATION);
    }
    let (last, before) = frames.split_last().expect("a frame");
    assert!(last.is_last() && !before.iter().any(Frame::is_last));
    let payload = frames.iter().flat_map(|frame| frame.payload.clone());
    (first.first & RSV1 != 0, payload.collect())
}
