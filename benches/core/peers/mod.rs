//! Other libraries, used as their documentation says, with their default limits and buffers.

use std::{fmt::Debug, hint::black_box};

use futures_util::{Sink, SinkExt, Stream, StreamExt};
use proto::{Message, Role};

use crate::{
    codec::{Codec, Decode, Encode},
    handshake::Handshake,
    memory::Memory,
    ours::finish,
    parts::{Check, Mask},
};

mod fastwebsockets;
mod sockudo_ws;
mod soketto;
mod tokio_websockets;
mod tungstenite;
mod wtx;
mod yawc;

/// The differences between the libraries.
pub(crate) const NOTES: [&str; 3] = [
    "fastwebsockets and wtx write each message by itself. wtx lends each received message until the next one \
     is requested, and masks outgoing messages in the caller's memory; the others give memory away, and leave \
     outgoing messages unchanged. soketto runs over `BufReader` and `BufWriter`, returns messages in a buffer \
     that is reused, and does not check text, so `std` does that here. yawc was told to check text. \
     `sockudo-ws, Protocol` is its codec without a socket.",
    "A handshake is missing if it cannot be measured alone: fastwebsockets and yawc have hyper read the \
     request, and the answer to a client that draws its key at random cannot be prepared.",
    "Masking and checking are measured only if a crate makes them public.",
];

/// Receives from a `Stream`.
fn receives<M: 'static, E: Debug>(
    mut socket: impl Stream<Item = Result<M, E>> + Unpin + 'static,
    len: fn(&M) -> usize,
) -> Decode {
    Box::new(move |count| {
        finish(async {
            let mut bytes = 0;
            for _ in 0..count {
                let message = socket.next().await.expect("there is always one more");
                bytes += len(&black_box(message.expect("it is valid")));
            }
            bytes
        })
    })
}

/// Sends to a `Sink`, and flushes at the end.
fn feeds<M: 'static, E: Debug>(
    mut socket: impl Sink<M, Error = E> + Unpin + 'static,
    message: impl Fn() -> M + 'static,
) -> Encode {
    Box::new(move |count| {
        finish(async {
            for _ in 0..count {
                socket.feed(message()).await.expect("it is open");
            }
            socket.flush().await.expect("it is open");
        });
    })
}

pub(crate) fn codecs() -> Vec<Codec> {
    vec![
        peer(
            "fastwebsockets",
            fastwebsockets::decode,
            fastwebsockets::encode,
        ),
        peer("sockudo-ws", sockudo_ws::decode, sockudo_ws::encode),
        peer(
            "sockudo-ws, Protocol",
            sockudo_ws::decode_by_protocol,
            sockudo_ws::encode_by_protocol,
        ),
        peer("soketto", soketto::decode, soketto::encode),
        peer(
            "tokio-websockets",
            tokio_websockets::decode,
            tokio_websockets::encode,
        ),
        peer("tungstenite", tungstenite::decode, tungstenite::encode),
        peer("wtx", wtx::decode, wtx::encode),
        peer("yawc", yawc::decode, yawc::encode),
    ]
}

fn peer(
    name: &'static str,
    decode: fn(Role, Memory) -> Decode,
    encode: fn(Role, &Message, Memory) -> Encode,
) -> Codec {
    Codec {
        name,
        decode: Some(decode),
        encode: Some(encode),
    }
}

/// RFC 6455 §1.3: the key of `REQUEST`, and its answer.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\
    Connection: Upgrade\r\n\
    Upgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

pub(crate) fn masks() -> Vec<Mask> {
    vec![
        ("fastwebsockets", ::fastwebsockets::unmask),
        ("sockudo-ws", ::sockudo_ws::simd::apply_mask),
    ]
}

pub(crate) fn checks() -> Vec<Check> {
    vec![("sockudo-ws", |text| ::sockudo_ws::utf8::validate_utf8(text))]
}

pub(crate) fn handshakes() -> Vec<Handshake> {
    vec![
        ("sockudo-ws", "client", || Box::new(sockudo_ws::ask)),
        ("sockudo-ws", "server", || Box::new(sockudo_ws::accept)),
        ("soketto", "server", || Box::new(soketto::accept)),
        ("tokio-websockets", "server", || {
            Box::new(tokio_websockets::accept)
        }),
        ("tungstenite", "client", || Box::new(tungstenite::ask)),
        ("tungstenite", "server", || Box::new(tungstenite::accept)),
        ("wtx", "server", || Box::new(wtx::accept)),
    ]
}
