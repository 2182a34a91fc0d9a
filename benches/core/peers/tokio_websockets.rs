//! tokio-websockets.

use std::hint::black_box;

use futures_util::{SinkExt, StreamExt};
use proto::{Message, Role};
use tokio_websockets::{ClientBuilder, ServerBuilder, WebSocketStream};

use crate::{
    codec::{Decode, Encode},
    handshake::REQUEST,
    memory::Memory,
    ours::finish,
};

fn socket(role: Role, memory: Memory) -> WebSocketStream<Memory> {
    match role {
        Role::Client => ClientBuilder::new().take_over(memory),
        Role::Server => ServerBuilder::new().serve(memory),
    }
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        finish(async {
            let mut bytes = 0;
            for _ in 0..count {
                let message = socket.next().await.expect("there is always one more");
                bytes += black_box(message.expect("it is valid")).as_payload().len();
            }
            bytes
        })
    })
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message =
        tokio_websockets::Message::text(message.as_text().expect("it is text").to_owned());
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        finish(async {
            for _ in 0..count {
                socket.feed(message.clone()).await.expect("it is open");
            }
            socket.flush().await.expect("it is open");
        });
    })
}

pub(super) fn accept() {
    let builder = ServerBuilder::new();
    let accepted = builder.accept(Memory::new(REQUEST));
    black_box(finish(accepted).expect("it is valid"));
}
