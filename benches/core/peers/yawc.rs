//! yawc, which checks text only on request.

use std::hint::black_box;

use proto::{Message, Role};
use yawc::{Frame, Options, WebSocket};

use super::feeds;
use crate::{
    codec::{Decode, Encode},
    memory::Memory,
    ours::finish,
};

fn socket(role: Role, memory: Memory) -> WebSocket<Memory> {
    let role = match role {
        Role::Client => yawc::Role::Client,
        Role::Server => yawc::Role::Server,
    };
    let options = Options::default().with_limits(16 << 20, 16 << 20);
    WebSocket::from_stream(memory, role, options.with_utf8()).expect("nothing was negotiated")
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        finish(async {
            let mut bytes = 0;
            for _ in 0..count {
                let frame = socket.next_frame().await.expect("it is valid");
                bytes += black_box(frame).payload().len();
            }
            bytes
        })
    })
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = message.as_bytes().clone();
    feeds(socket(role, memory), move || Frame::text(message.clone()))
}
