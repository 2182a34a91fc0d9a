//! soketto, which needs a buffered transport and does not check text.

use std::hint::black_box;

use futures_util::io::{BufReader, BufWriter};
use proto::{Message, Role};
use soketto::{
    Receiver, Sender,
    connection::{Builder, Mode},
    handshake::{Server, server::Response},
};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use crate::{
    codec::{Decode, Encode},
    memory::Memory,
    opening::REQUEST,
    ours::finish,
};

type Buffered = BufReader<BufWriter<Compat<Memory>>>;

fn socket(role: Role, memory: Memory) -> (Sender<Buffered>, Receiver<Buffered>) {
    let mode = match role {
        Role::Client => Mode::Client,
        Role::Server => Mode::Server,
    };
    let memory = BufReader::new(BufWriter::new(memory.compat()));
    Builder::new(memory, mode).finish()
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    let (sender, mut receiver) = socket(role, memory);
    let mut message = Vec::new();
    Box::new(move |count| {
        // Its two halves share the socket.
        black_box(&sender);
        finish(async {
            let mut bytes = 0;
            for _ in 0..count {
                message.clear();
                let data = receiver.receive_data(&mut message).await;
                if data.expect("it is valid").is_text() {
                    std::str::from_utf8(&message).expect("it is text");
                }
                bytes += black_box(&message).len();
            }
            bytes
        })
    })
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = message.clone();
    let (mut sender, receiver) = socket(role, memory);
    Box::new(move |count| {
        black_box(&receiver);
        let text = message.as_text().expect("it is text");
        finish(async {
            for _ in 0..count {
                sender.send_text(text).await.expect("it is open");
            }
            sender.flush().await.expect("it is open");
        });
    })
}

pub(super) fn accept() {
    finish(async {
        let mut server = Server::new(Memory::new(REQUEST).compat());
        let request = server.receive_request().await.expect("it is valid");
        let (key, protocol) = (request.key(), None);
        let response = Response::Accept { key, protocol };
        server.send_response(&response).await.expect("it is open");
        black_box(server.into_builder().finish());
    });
}
