//! Sends bytes to our client from a plain socket.

use std::net::SocketAddr;

use ::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use bind::{
    Connect, ConnectError,
    proto::{
        Role,
        handshake::{HandshakeError, Response},
    },
};
use sha1::{Digest, Sha1};
use testing::{
    catalogue::entries::{Case, Entry, Expect},
    frames::{CLOSE, Frame},
};

use crate::{
    binding::Binding,
    echo::{Ending, Report, check, config, echo, run as run_async, variant},
    server::{Context, with_extensions},
};

/// The response to the sample key of RFC 6455 §1.3.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) fn run<B: Binding>(entry: &Entry, case: &Case) {
    for mut input in case.to_client() {
        if !entry.id.starts_with("CH") {
            input.splice(0..0, with_extensions(RESPONSE, &case.config).bytes());
        }
        let what = case.what.as_deref().unwrap_or_default();
        let _context = Context::new(&entry.id, what, "client", &input);
        let handshake = entry.id.starts_with("CH");
        let (out, ended) = run_async(exchange::<B>(case.clone(), input));
        let expect = &case.expect;
        match ended {
            Ok((response, report)) => {
                assert!(!handshake || expect.open, "it is open");
                let picked = response.headers.get("Sec-WebSocket-Protocol");
                assert_eq!(picked, expect.subprotocol.as_deref().map(str::as_bytes));
                check(case, Role::Client, &out, &report);
            }
            Err(error) => {
                assert!(handshake && !expect.open, "{error}");
                assert!(out.is_empty(), "frames after {error}");
                check_error(expect, error);
            }
        }
    }
}

fn check_error(expect: &Expect, error: ConnectError) {
    let name = expect.error.as_deref().expect("the table has an error");
    match error {
        ConnectError::Handshake(HandshakeError::Response(error)) => {
            assert_eq!(variant(&error), name);
        }
        ConnectError::Handshake(HandshakeError::Refused(response)) => {
            assert_eq!(name, "Refused");
            let status = expect.status.as_ref().expect("the table has a status");
            assert!(status.allows(response.status), "{}", response.status);
            for (name, value) in &expect.fields {
                let got = response.headers.get(name);
                assert_eq!(got, value.as_deref().map(str::as_bytes), "field {name}");
            }
            assert_eq!(Some(response.body.len()), expect.body);
        }
        other => panic!("{other}"),
    }
}

/// Answers a client with `input`, and reads until the client ends the transport. Returns what the client
/// wrote after the request, and its result.
async fn exchange<B: Binding>(
    case: Case,
    input: Vec<u8>,
) -> (Vec<u8>, Result<(Response, Report), ConnectError>) {
    let (addr, listener) = listen().await;
    let mut to = Connect::new(format!("ws://{addr}/chat")).config(config(&case.config));
    for name in &case.config.subprotocols {
        to = to.subprotocol(name);
    }
    let client = ::tokio::spawn(async {
        let (socket, response) = B::connect(to).await?;
        Ok((response, echo(socket).await))
    });
    let ending = Ending::of(&case.expect);
    let out = answer(&listener, input, ending).await;
    (out, client.await.expect("the client"))
}

/// Plays the server: answers one request, and closes the transport after the client's Close.
async fn answer(listener: &TcpListener, input: Vec<u8>, ending: Ending) -> Vec<u8> {
    let (mut stream, _) = listener.accept().await.expect("a client");
    let key = read_request(&mut stream).await;
    let mut input = with_accept(&input, &key);
    if ending == Ending::Close {
        input.extend(Frame::close(1000, "").from(Role::Server));
    }
    let (mut reader, mut writer) = stream.into_split();
    let write = async {
        // The client may stop reading before the end of the input.
        let _ = writer.write_all(&input).await;
        if ending == Ending::Eof {
            let _ = writer.shutdown().await;
        }
        writer
    };
    let read = async {
        let mut out = Vec::new();
        while !ends_with_close(&out) && more(&mut reader, &mut out).await {}
        out
    };
    let (writer, mut out) = ::tokio::join!(write, read);
    // The server must end the transport first.
    drop(writer);
    while more(&mut reader, &mut out).await {}
    out
}

async fn more(reader: &mut (impl AsyncReadExt + Unpin), out: &mut Vec<u8>) -> bool {
    reader.read_buf(out).await.is_ok_and(|len| len > 0)
}

fn ends_with_close(mut bytes: &[u8]) -> bool {
    while let Some((frame, size)) = Frame::read(bytes, Role::Client) {
        bytes = &bytes[size..];
        if frame.first == CLOSE {
            return true;
        }
    }
    false
}

/// Reads a request, and returns its key.
pub(crate) async fn read_request(stream: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert!(more(stream, &mut head).await, "a whole request");
    }
    let head = String::from_utf8(head).expect("a request of text");
    let name = "Sec-WebSocket-Key: ";
    let key = head.split("\r\n").find_map(|line| line.strip_prefix(name));
    key.expect("a key").to_owned()
}

/// Replaces the `Sec-WebSocket-Accept` in `input` with the one for `key`, in the same letter case.
pub(crate) fn with_accept(input: &[u8], key: &str) -> Vec<u8> {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = BASE64_STANDARD.encode(hash.finalize());
    let mut input = input.to_vec();
    for (from, to) in [
        (ACCEPT.to_owned(), accept.clone()),
        (ACCEPT.to_lowercase(), accept.to_lowercase()),
    ] {
        while let Some(at) = input
            .windows(from.len())
            .position(|window| window == from.as_bytes())
        {
            input.splice(at..at + from.len(), to.bytes());
        }
    }
    input
}

/// Opens a connection with the client that connects to `listener`.
pub(crate) async fn open(listener: &TcpListener) -> TcpStream {
    let (mut stream, _) = listener.accept().await.expect("a client");
    let key = read_request(&mut stream).await;
    let response = with_accept(RESPONSE.as_bytes(), &key);
    stream.write_all(&response).await.expect("the client reads");
    stream
}

/// Returns a listener and its address.
pub(crate) async fn listen() -> (SocketAddr, TcpListener) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let addr = listener.local_addr().expect("an address");
    (addr, listener)
}
