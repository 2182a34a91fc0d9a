//! Libraries that have nothing prepared: each connection is given the content and frames it for itself.

use fastwebsockets::{Frame, Payload, Role, WebSocket};
use futures_util::{FutureExt, SinkExt};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{Message, Utf8Bytes, protocol},
};

use crate::{Broadcast, Transport};

pub(crate) struct Tungstenite(Vec<WebSocketStream<Transport>>);

impl Broadcast for Tungstenite {
    fn open(streams: Vec<Transport>) -> Self {
        let role = protocol::Role::Server;
        // By default what waits to be written has no bound.
        let config = protocol::WebSocketConfig::default().max_write_buffer_size(256 << 10);
        let open = |stream| {
            let opened = WebSocketStream::from_raw_socket(stream, role, Some(config));
            opened.now_or_never().expect("it waits for nothing")
        };
        Self(streams.into_iter().map(open).collect())
    }

    fn send(&mut self, text: &str) -> usize {
        let text = Utf8Bytes::from(text);
        let mut full = 0;
        for socket in &mut self.0 {
            match socket.send(Message::Text(text.clone())).now_or_never() {
                Some(sent) => sent.expect("it is open"),
                None => full += 1,
            }
        }
        full
    }
}

pub(crate) struct FastWebSockets(Vec<WebSocket<Transport>>);

impl Broadcast for FastWebSockets {
    fn open(streams: Vec<Transport>) -> Self {
        let open = |stream| WebSocket::after_handshake(stream, Role::Server);
        Self(streams.into_iter().map(open).collect())
    }

    fn send(&mut self, text: &str) -> usize {
        let mut full = 0;
        for socket in &mut self.0 {
            let frame = Frame::text(Payload::Borrowed(text.as_bytes()));
            match socket.write_frame(frame).now_or_never() {
                Some(sent) => sent.expect("it is open"),
                None => full += 1,
            }
        }
        full
    }
}
