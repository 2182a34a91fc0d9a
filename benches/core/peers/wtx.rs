//! wtx, which lends messages in its own buffer, and masks outgoing messages in the caller's memory.

use std::{hint::black_box, io::Read};

use proto::{Message, Role};
use wtx::{
    collection::Vector,
    rng::Xorshift64,
    stream::{StreamReader, StreamWriter},
    web_socket::{
        Frame, OpCode, WebSocketAcceptor, WebSocketBuffer, WebSocketOwned, WebSocketPayloadOrigin,
    },
};

use crate::{
    codec::{Decode, Encode},
    memory::Memory,
    opening::REQUEST,
    ours::finish,
};

struct Wtx(Memory);

impl StreamReader for Wtx {
    async fn read(&mut self, bytes: &mut [u8]) -> wtx::Result<usize> {
        Ok(Read::read(&mut self.0, bytes)?)
    }
}

impl StreamWriter for Wtx {
    async fn write_all(&mut self, bytes: &[u8]) -> wtx::Result<()> {
        self.0.write(bytes);
        Ok(())
    }

    async fn write_all_vectored(&mut self, bytes: &[&[u8]]) -> wtx::Result<()> {
        for bytes in bytes {
            self.0.write(bytes);
        }
        Ok(())
    }
}

fn socket<const CLIENT: bool>(memory: Memory) -> WebSocketOwned<(), Xorshift64, Wtx, CLIENT> {
    let (rng, buffer) = (Xorshift64::from(7), WebSocketBuffer::default());
    WebSocketOwned::new((), false, rng, Wtx(memory), buffer)
}

pub(super) fn decode(role: Role, memory: Memory) -> Decode {
    match role {
        Role::Client => receiving::<true>(memory),
        Role::Server => receiving::<false>(memory),
    }
}

fn receiving<const CLIENT: bool>(memory: Memory) -> Decode {
    let mut socket = socket::<CLIENT>(memory);
    let mut buffer = Vector::new();
    Box::new(move |count| {
        finish(async {
            let mut bytes = 0;
            for _ in 0..count {
                buffer.clear();
                let adaptive = WebSocketPayloadOrigin::Adaptive;
                let frame = socket.read_frame(&mut buffer, adaptive).await;
                bytes += black_box(frame.expect("it is valid")).payload().len();
            }
            bytes
        })
    })
}

pub(super) fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    match role {
        Role::Client => sending::<true>(message, memory),
        Role::Server => sending::<false>(message, memory),
    }
}

fn sending<const CLIENT: bool>(message: &Message, memory: Memory) -> Encode {
    let mut payload = message.as_bytes().to_vec();
    let mut socket = socket::<CLIENT>(memory);
    Box::new(move |count| {
        finish(async {
            for _ in 0..count {
                let mut frame = Frame::new_fin(OpCode::Text, payload.as_mut_slice());
                socket.write_frame(&mut frame).await.expect("it is open");
            }
        });
    })
}

pub(super) fn accept() {
    let accepted = WebSocketAcceptor::default().accept(Wtx(Memory::new(REQUEST)));
    black_box(finish(accepted).expect("it is valid"));
}
