//! permessage-deflate (RFC 7692): one test for each rule, named by its section.

mod compression;
mod examples;
mod frames;
mod negotiation;
mod parameters;
mod secrets;

use bowline_proto::{ConnectionError, Event, ProtocolError, Role};
use testing::ends::{
    End,
    deflate::{self, USUAL},
};

fn hex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.bytes().filter(|b| *b != b' ').collect();
    let pairs = digits.chunks(2).map(|pair| str::from_utf8(pair).unwrap());
    pairs.map(|p| u8::from_str_radix(p, 16).unwrap()).collect()
}

fn protocol(error: ProtocolError) -> Result<Event, ConnectionError> {
    Err(ConnectionError::Protocol(error))
}

/// An end that agreed on compression with the defaults.
fn usual(role: Role) -> End {
    deflate::end(role, USUAL, |_| {})
}
