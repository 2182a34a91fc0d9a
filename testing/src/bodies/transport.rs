//! A transport that is a slice, which both ends of the other bodies read from and write to.

use arbitrary::Unstructured;
use bytes::Buf;
use proto::{
    Connection, ConnectionError, EntropyError, Event, Instant, Lost, ProtocolError,
    handshake::Exchange,
};

use crate::{
    bodies::cuts::Cuts,
    ends::{fill, poll_all},
    polls::Polls,
};

/// The nonce of RFC 6455 §1.3, so that its answers can be written down in advance; otherwise a key for every frame.
pub(crate) fn entropy(bytes: &mut [u8]) -> Result<(), EntropyError> {
    for (place, byte) in bytes.iter_mut().zip(b"the sample nonce".iter().cycle()) {
        *place = *byte;
    }
    Ok(())
}

/// The way in which the transport ends after the peer's bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    Eof,
    Reset,
    /// It does not end: time passes.
    Silence,
}

impl End {
    pub(crate) fn choose(input: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        input
            .choose(&[Self::Eof, Self::Reset, Self::Silence])
            .copied()
    }

    pub(crate) fn comes(self, exchange: &mut Exchange) {
        match self {
            Self::Eof => exchange.handle_eof(),
            Self::Reset => exchange.handle_error(Lost::Reset),
            Self::Silence => {
                // A deadline begins with the first moment that is passed, at the latest, and ends with the next.
                let mut now = Instant::EPOCH;
                for _ in 0..2 {
                    if let Some(deadline) = exchange.poll_timeout() {
                        now = now.max(deadline);
                        exchange.handle_timeout(now);
                    }
                }
            }
        }
    }
}

/// Receives `bytes`, and polls all resulting events.
pub(crate) fn feed(
    connection: &mut Connection,
    mut bytes: &[u8],
    mut poll: impl FnMut(&mut Connection),
) {
    /// A read into the end's own memory costs 16 KiB, however little comes.
    const COPY_BELOW: usize = 100;
    while !bytes.is_empty() {
        if bytes.len() < COPY_BELOW {
            let taken = connection.receive(bytes);
            bytes = &bytes[taken..];
        } else {
            let Some(room) = connection.recv_buf() else {
                return;
            };
            let len = fill(room, bytes);
            connection.handle_input(len);
            bytes = &bytes[len..];
        }
        poll(connection);
    }
}

/// Receives `bytes` in pieces, and returns all resulting events.
pub(crate) fn hear(
    connection: &mut Connection,
    bytes: &[u8],
    cuts: Cuts,
    events: &mut Vec<Result<Event, ConnectionError>>,
) {
    for piece in cuts.pieces(bytes) {
        feed(connection, piece, |connection| poll(connection, events));
    }
}

/// Polls all events.
pub(crate) fn poll(connection: &mut Connection, events: &mut Vec<Result<Event, ConnectionError>>) {
    events.extend(poll_all(|| connection.poll_event()));
}

/// Reduces events to what can be compared if compressed text was cut in two ways: if it has several faults, the one
/// found first is reported.
pub(crate) fn comparable(events: &mut [Result<Event, ConnectionError>]) {
    for event in events {
        if let Err(ConnectionError::Protocol(error)) = event
            && let ProtocolError::Utf8 | ProtocolError::MessageTooBig { .. } = error
        {
            *error = ProtocolError::Deflate;
        }
    }
}

/// Takes everything that a handshake has to write, to a transport that takes everything.
pub(crate) fn take_output(exchange: &mut Exchange, bytes: &mut Vec<u8>) {
    while let Some(output) = exchange.transmit() {
        bytes.extend_from_slice(output.chunk());
        output.advance(output.chunk().len());
        exchange.handle_sent(true);
    }
}
