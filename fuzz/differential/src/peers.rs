//! Reads a stream with each implementation, all with the same limit and without extensions.

use std::{future::poll_fn, io, pin::Pin};

use futures_core::Stream as _;
use proto::{
    Chunk, Config, Connection, ConnectionError, EntropyError, Event, Lost, Negotiated, Pull, Role,
};

use crate::{
    End, Peer, Verdict,
    stream::{Stream, block_on},
};

/// The largest size of a message and of a frame.
const MAX: usize = 1 << 20;

/// Reads the stream with Bowline.
pub fn ours(role: Role, bytes: &[u8]) -> Verdict {
    let mut config = Config::new(|_| Err(EntropyError));
    config.max_message_size = MAX;
    let mut connection = Connection::new(role, Negotiated::default(), config);
    let mut rest = bytes;
    let mut messages = Vec::new();
    loop {
        let len = connection.receive(rest);
        rest = &rest[len..];
        if rest.is_empty() {
            connection.handle_eof();
        }
        let end = loop {
            match connection.poll_data(Pull::Messages) {
                Ok(Some(Event::Data(Chunk { data: message, .. }))) => {
                    messages.push((message.as_text().is_some(), message.as_bytes().to_vec()));
                }
                Ok(Some(Event::Close(frame))) => {
                    break Some(End::Closed(frame.map(|frame| frame.code().get())));
                }
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(ConnectionError::Lost(Lost::Eof)) => break Some(End::Eof),
                Err(ConnectionError::Protocol(error)) => {
                    break Some(End::Failed(format!("{error:?}")));
                }
                Err(error) => panic!("{error:?}"),
            }
        };
        if let Some(end) = end {
            return Verdict { messages, end };
        }
    }
}

impl Peer {
    /// Reads the stream with this peer.
    pub fn read(self, role: Role, bytes: &[u8]) -> Verdict {
        let mut messages = Vec::new();
        let stream = Stream::new(bytes);
        let end = match self {
            Self::Tungstenite => tungstenite(role, stream, &mut messages),
            Self::Fastwebsockets => block_on(fastwebsockets(role, stream, &mut messages)),
            Self::TokioWebsockets => block_on(tokio_websockets(role, stream, &mut messages)),
            Self::Soketto => block_on(soketto(role, stream, &mut messages)),
            Self::Yawc => block_on(yawc(role, stream, &mut messages)),
        };
        Verdict { messages, end }
    }
}

type Messages = Vec<(bool, Vec<u8>)>;

/// Whether the error says only that the transport has ended. Codecs of tokio-util have a text of their
/// own for that.
fn is_eof(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::UnexpectedEof || error.to_string() == "bytes remaining on stream"
}

fn tungstenite(role: Role, stream: Stream, messages: &mut Messages) -> End {
    use tungstenite::{
        Error, Message, WebSocket,
        error::ProtocolError,
        protocol::{Role as Side, WebSocketConfig},
    };
    let config = WebSocketConfig::default()
        .max_message_size(Some(MAX))
        .max_frame_size(Some(MAX));
    let side = match role {
        Role::Client => Side::Client,
        Role::Server => Side::Server,
    };
    let mut socket = WebSocket::from_raw_socket(stream, side, Some(config));
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => messages.push((true, text.as_bytes().to_vec())),
            Ok(Message::Binary(data)) => messages.push((false, data.to_vec())),
            Ok(Message::Close(frame)) => {
                return End::Closed(frame.map(|frame| frame.code.into()));
            }
            Ok(_) => {}
            Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => return End::Eof,
            Err(Error::Io(error)) if is_eof(&error) => return End::Eof,
            Err(error) => return End::Failed(error.to_string()),
        }
    }
}

async fn fastwebsockets(role: Role, stream: Stream, messages: &mut Messages) -> End {
    use fastwebsockets::{FragmentCollector, OpCode, Role as Side, WebSocket, WebSocketError};
    let side = match role {
        Role::Client => Side::Client,
        Role::Server => Side::Server,
    };
    let mut socket = WebSocket::after_handshake(stream, side);
    socket.set_max_message_size(MAX);
    let mut socket = FragmentCollector::new(socket);
    loop {
        match socket.read_frame().await {
            Ok(frame) => match frame.opcode {
                OpCode::Text => messages.push((true, frame.payload.to_vec())),
                OpCode::Binary => messages.push((false, frame.payload.to_vec())),
                OpCode::Close => {
                    let code = frame.payload.first_chunk().copied();
                    return End::Closed(code.map(u16::from_be_bytes));
                }
                _ => {}
            },
            Err(WebSocketError::UnexpectedEOF | WebSocketError::ConnectionClosed) => {
                return End::Eof;
            }
            Err(WebSocketError::IoError(error)) if is_eof(&error) => return End::Eof,
            Err(error) => return End::Failed(error.to_string()),
        }
    }
}

async fn tokio_websockets(role: Role, stream: Stream, messages: &mut Messages) -> End {
    use tokio_websockets::{ClientBuilder, Error, Limits, ServerBuilder};
    let limits = Limits::default().max_payload_len(Some(MAX));
    let mut socket = match role {
        Role::Client => ClientBuilder::new().limits(limits).take_over(stream),
        Role::Server => ServerBuilder::new().limits(limits).serve(stream),
    };
    loop {
        match poll_fn(|cx| Pin::new(&mut socket).poll_next(cx)).await {
            Some(Ok(message)) if message.is_text() || message.is_binary() => {
                messages.push((message.is_text(), message.as_payload().to_vec()));
            }
            Some(Ok(message)) => {
                if let Some((code, _)) = message.as_close() {
                    let code = u16::from(code);
                    return End::Closed((code != 1005).then_some(code));
                }
            }
            None | Some(Err(Error::AlreadyClosed)) => return End::Eof,
            Some(Err(Error::Io(error))) if is_eof(&error) => return End::Eof,
            Some(Err(error)) => return End::Failed(error.to_string()),
        }
    }
}

async fn soketto(role: Role, stream: Stream, messages: &mut Messages) -> End {
    use soketto::{
        Data, Incoming, Mode,
        connection::{Builder, Error},
    };
    let mode = match role {
        Role::Client => Mode::Client,
        Role::Server => Mode::Server,
    };
    let mut builder = Builder::new(stream, mode);
    builder.set_max_message_size(MAX);
    builder.set_max_frame_size(MAX);
    let (_, mut receiver) = builder.finish();
    loop {
        let mut message = Vec::new();
        match receiver.receive(&mut message).await {
            Ok(Incoming::Data(Data::Text(_))) => messages.push((true, message)),
            Ok(Incoming::Data(Data::Binary(_))) => messages.push((false, message)),
            Ok(Incoming::Pong(_)) => {}
            Ok(Incoming::Closed(reason)) => {
                return End::Closed((reason.code != 1005).then_some(reason.code));
            }
            // This error stands for the transport's end and for a Close without a code.
            Err(Error::Closed) => return End::Eof,
            Err(Error::Io(error)) if is_eof(&error) => return End::Eof,
            Err(error) => return End::Failed(error.to_string()),
        }
    }
}

async fn yawc(role: Role, stream: Stream, messages: &mut Messages) -> End {
    use yawc::{OpCode, Options, Role as Side, WebSocket, WebSocketError};
    let side = match role {
        Role::Client => Side::Client,
        Role::Server => Side::Server,
    };
    let options = Options::default().with_limits(MAX, 2 * MAX).with_utf8();
    let mut socket = WebSocket::from_stream(stream, side, options).expect("no extension");
    loop {
        match socket.next_frame().await {
            Ok(frame) => match frame.opcode() {
                OpCode::Text => messages.push((true, frame.payload().to_vec())),
                OpCode::Binary => messages.push((false, frame.payload().to_vec())),
                OpCode::Close => {
                    return End::Closed(frame.close_code().map(u16::from));
                }
                _ => {}
            },
            Err(WebSocketError::ConnectionClosed) => return End::Eof,
            Err(WebSocketError::IoError(error)) if is_eof(&error) => return End::Eof,
            Err(error) => return End::Failed(error.to_string()),
        }
    }
}
