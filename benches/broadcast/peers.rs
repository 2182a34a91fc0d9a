//! Libraries without prepared messages: each connection gets a clone of the message and frames it by
//! itself.

use fastwebsockets::{Frame, Payload};
use futures_util::{FutureExt, Sink, SinkExt};
use tokio_tungstenite::tungstenite::{self, protocol};

use crate::{Broadcast, Transport};

/// Connections that take messages as any `Sink` does.
pub(crate) struct Sinks<S>(Vec<S>);

pub(crate) trait Open: Sink<Self::Message> + Unpin {
    type Message: Clone;

    fn open(stream: Transport) -> Self;

    fn message(text: &str) -> Self::Message;
}

impl<S: Open> Broadcast for Sinks<S> {
    fn open(streams: Vec<Transport>) -> Self {
        Self(streams.into_iter().map(S::open).collect())
    }

    fn send(&mut self, text: &str) -> usize {
        let message = S::message(text);
        let mut full = 0;
        for socket in &mut self.0 {
            match socket.send(message.clone()).now_or_never() {
                Some(sent) => assert!(sent.is_ok(), "it is open"),
                None => full += 1,
            }
        }
        full
    }
}

impl Open for tokio_tungstenite::WebSocketStream<Transport> {
    type Message = tungstenite::Message;

    fn open(stream: Transport) -> Self {
        // By default, queued output is unbounded.
        let config = protocol::WebSocketConfig::default().max_write_buffer_size(256 << 10);
        Self::from_raw_socket(stream, protocol::Role::Server, Some(config))
            .now_or_never()
            .expect("it waits for nothing")
    }

    fn message(text: &str) -> Self::Message {
        text.into()
    }
}

impl Open for tokio_websockets::WebSocketStream<Transport> {
    type Message = tokio_websockets::Message;

    fn open(stream: Transport) -> Self {
        tokio_websockets::ServerBuilder::new().serve(stream)
    }

    fn message(text: &str) -> Self::Message {
        Self::Message::text(text.to_owned())
    }
}

impl Open for yawc::WebSocket<Transport> {
    type Message = yawc::Frame;

    fn open(stream: Transport) -> Self {
        let opened = Self::from_stream(stream, yawc::Role::Server, yawc::Options::default());
        opened.expect("nothing was agreed on")
    }

    fn message(text: &str) -> Self::Message {
        yawc::Frame::text(text.to_owned())
    }
}

impl Open for sockudo_ws::WebSocketStream<Transport> {
    type Message = sockudo_ws::Message;

    fn open(stream: Transport) -> Self {
        Self::server(stream, sockudo_ws::Config::default())
    }

    fn message(text: &str) -> Self::Message {
        Self::Message::text(text.to_owned())
    }
}

/// Lends the content to each connection.
pub(crate) struct FastWebSockets(Vec<fastwebsockets::WebSocket<Transport>>);

impl Broadcast for FastWebSockets {
    fn open(streams: Vec<Transport>) -> Self {
        let role = fastwebsockets::Role::Server;
        let open = |stream| fastwebsockets::WebSocket::after_handshake(stream, role);
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
