//! tokio-websockets.

use std::hint::black_box;

use proto::{Message, Role};
use tokio_websockets::{ClientBuilder, ServerBuilder, WebSocketStream};

use super::{feeds, receives};
use crate::{
    codec::{Decode, Encode},
    memory::Memory,
    opening::REQUEST,
    ours::finish,
};

fn socket(role: Role, memory: Memory) -> WebSocketStream<Memory> {
    match role {
        Role::Client => ClientBuilder::new().take_over(memory),
        Role::Server => ServerBuilder::new().serve(memory),
    }
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    receives(socket(role, memory), |message| message.as_payload().len())
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message =
        tokio_websockets::Message::text(message.as_text().expect("it is text").to_owned());
    feeds(socket(role, memory), move || message.clone())
}

pub(super) fn accept() {
    let builder = ServerBuilder::new();
    let accepted = builder.accept(Memory::new(REQUEST));
    black_box(finish(accepted).expect("it is valid"));
}
