//! RFC 6455 §5 to §10: a test for each MUST and SHOULD that binds an endpoint, named by its section.
//! The opening handshake (§4) is in `handshake`; the table of all of them in tests/README.md.

mod closing;
mod control;
mod data;
mod fragmentation;
mod framing;
mod masking;
mod security;
mod text;

use bowline_proto::{ConnectionError, Event, ProtocolError};
use testing::{ends::End, frames::CLOSE};

fn fails(error: ProtocolError) -> [Result<Event, ConnectionError>; 1] {
    [Err(ConnectionError::Protocol(error))]
}

/// Returns the code in the Close that is written.
fn close_code(end: &mut End) -> u16 {
    let frames = end.write();
    let close = frames.last().expect("a Close");
    assert_eq!(close.first, CLOSE);
    u16::from_be_bytes(close.payload[..2].try_into().unwrap())
}
