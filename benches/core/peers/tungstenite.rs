//! tungstenite.

use std::hint::black_box;

use proto::{Message, Role};
use tokio_tungstenite::tungstenite::{self, WebSocket, http::Request, protocol};

use super::{KEY, RESPONSE};
use crate::{
    codec::{Decode, Encode},
    memory::Memory,
    opening::{HOST, PATH, REQUEST},
};

fn socket(role: Role, memory: Memory) -> WebSocket<Memory> {
    let role = match role {
        Role::Client => protocol::Role::Client,
        Role::Server => protocol::Role::Server,
    };
    WebSocket::from_raw_socket(memory, role, None)
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        let messages = (0..count).map(|_| black_box(socket.read().expect("it is valid")));
        messages.map(|message| message.len()).sum()
    })
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = tungstenite::Message::text(message.as_text().expect("it is text"));
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        for _ in 0..count {
            socket.write(message.clone()).expect("it is open");
        }
        socket.flush().expect("it is open");
    })
}

pub(super) fn ask() {
    let request = Request::builder()
        .uri(format!("ws://{HOST}{PATH}"))
        .header("Host", HOST)
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", KEY)
        .body(());
    let request = request.expect("it is valid");
    let opened = tungstenite::client(request, Memory::new(RESPONSE));
    black_box(opened.expect("it is valid"));
}

pub(super) fn accept() {
    let accepted = tungstenite::accept(Memory::new(REQUEST));
    black_box(accepted.expect("it is valid"));
}
