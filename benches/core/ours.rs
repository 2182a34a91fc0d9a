//! Bowline: the core as a driver uses it, and the core with its driver.

use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

use proto::{Message, Negotiated, Role};

use crate::{
    codec::{Codec, Decode, Encode},
    memory::Memory,
    wire::{End, config},
};

pub(crate) fn codecs() -> Vec<Codec> {
    vec![
        Codec {
            name: "bowline-proto",
            decode: Some(decode),
            encode: Some(encode),
        },
        Codec {
            name: "bowline-tokio",
            decode: Some(decode_on_tokio),
            encode: Some(encode_on_tokio),
        },
    ]
}

fn decode(role: Role, mut memory: Memory) -> Decode {
    let mut end = End::new(role);
    Box::new(move |count| {
        let (mut messages, mut bytes) = (0, 0);
        while messages < count {
            end.read(&mut memory, |_, message| {
                messages += 1;
                bytes += black_box(message).len();
            });
        }
        bytes
    })
}

fn encode(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = message.clone();
    let mut end = End::new(role);
    Box::new(move |count| {
        for _ in 0..count {
            end.send(message.clone());
        }
        end.write(&memory);
    })
}

fn decode_on_tokio(role: Role, memory: Memory) -> Decode {
    let mut socket = socket(role, memory);
    Box::new(move |count| {
        let receive = async {
            let mut bytes = 0;
            for _ in 0..count {
                let message = socket.recv().await.expect("it is valid");
                let message = message.expect("there is always one more");
                bytes += black_box(message).len();
            }
            bytes
        };
        finish(receive)
    })
}

fn encode_on_tokio(role: Role, message: &Message, memory: Memory) -> Encode {
    let message = message.clone();
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

fn socket(role: Role, memory: Memory) -> bowline_tokio::WebSocket<bowline_tokio::Io<Memory>> {
    bowline_tokio::from_parts(memory, &[], Negotiated::default(), role, config())
}

/// Runs a future that is never blocked, though it may yield.
pub(crate) fn finish<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let cx = &mut Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return output;
        }
    }
}
