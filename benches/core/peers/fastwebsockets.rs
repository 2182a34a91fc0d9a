//! fastwebsockets, which writes every message at once.

use std::hint::black_box;

use fastwebsockets::{FragmentCollector, Frame, Payload};
use proto::{Message, Role};

use crate::{
    codec::{Decode, Encode},
    memory::Memory,
    ours::finish,
};

fn socket(role: Role, memory: Memory) -> FragmentCollector<Memory> {
    let role = match role {
        Role::Client => fastwebsockets::Role::Client,
        Role::Server => fastwebsockets::Role::Server,
    };
    FragmentCollector::new(fastwebsockets::WebSocket::after_handshake(memory, role))
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        finish(async {
            let mut bytes = 0;
            for _ in 0..count {
                let frame = socket.read_frame().await.expect("it is valid");
                bytes += black_box(frame).payload.len();
            }
            bytes
        })
    })
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = message.as_bytes().clone();
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        finish(async {
            for _ in 0..count {
                let frame = Frame::text(Payload::Borrowed(&message));
                socket.write_frame(frame).await.expect("it is open");
            }
        });
    })
}
