//! sockudo-ws: its socket, and its codec alone.

use std::hint::black_box;

use bytes::BytesMut;
use proto::{Message, Role};
use sockudo_ws::{
    Config, WebSocketStream,
    handshake::{build_request, parse_response, server_handshake, validate_accept_key},
    protocol::Protocol,
};

use super::{KEY, RESPONSE, feeds, receives};
use crate::{
    codec::{Decode, Encode},
    memory::{Memory, READ},
    opening::{HOST, PATH, REQUEST},
    ours::finish,
};

const fn role_of(role: Role) -> sockudo_ws::Role {
    match role {
        Role::Client => sockudo_ws::Role::Client,
        Role::Server => sockudo_ws::Role::Server,
    }
}

fn socket(role: Role, memory: Memory) -> WebSocketStream<Memory> {
    WebSocketStream::from_raw(memory, role_of(role), Config::default())
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    receives(socket(role, memory), |message| message.as_bytes().len())
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = sockudo_ws::Message::Text(message.as_bytes().clone());
    feeds(socket(role, memory), move || message.clone())
}

fn protocol(role: Role) -> Protocol {
    Protocol::new(role_of(role), 16 << 20, 64 << 20)
}

pub(super) fn decode_by_protocol(role: Role, mut memory: Memory) -> Decode {
    let mut protocol = protocol(role);
    let (mut buf, mut messages) = (BytesMut::new(), Vec::new());
    Box::new(move |count| {
        let (mut received, mut bytes) = (0, 0);
        while received < count {
            buf.extend_from_slice(memory.read(READ).expect("there is always more"));
            let processed = protocol.process_into(&mut buf, &mut messages);
            processed.expect("it is valid");
            for message in messages.drain(..) {
                received += 1;
                bytes += black_box(message).as_bytes().len();
            }
        }
        bytes
    })
}

pub(super) fn encode_by_protocol(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = sockudo_ws::Message::Text(message.as_bytes().clone());
    let mut protocol = protocol(role);
    let mut buf = BytesMut::new();
    Box::new(move |count| {
        for _ in 0..count {
            let encoded = protocol.encode_message(&message, &mut buf);
            encoded.expect("it is open");
        }
        memory.write(&buf);
        buf.clear();
    })
}

pub(super) fn ask() {
    black_box(build_request(HOST, PATH, KEY, None, None));
    let response = parse_response(RESPONSE).expect("it is valid");
    let (response, _) = response.expect("it is whole");
    let accept = response.accept.expect("it is there");
    assert!(validate_accept_key(KEY, accept));
}

pub(super) fn accept() {
    let mut memory = Memory::new(REQUEST);
    black_box(finish(server_handshake(&mut memory)).expect("it is valid"));
}
