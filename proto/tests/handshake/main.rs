//! The opening handshake (RFC 6455 §4): one test for each rule, named by its section.

mod client;
#[cfg(feature = "http")]
mod conversions;
mod credentials;
mod floors;
mod options;
mod pages;
mod refusal;
mod requests;
mod responses;
mod server;

use std::{sync::Arc, time::Duration};

use bowline_proto::{
    Config, Connection, EntropyError, Event, Instant,
    handshake::{Client, Exchange, HandshakeError, Incoming, Request, Response, Server},
};
use bytes::Buf;
use testing::polls::Polls;

/// The request of RFC 6455 §1.3, whose key encodes `the sample nonce`.
const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";

/// The response that matches it.
const RESPONSE: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn config() -> Config {
    Config::new(|bytes| {
        for (to, from) in bytes.iter_mut().zip(b"the sample nonce".iter().cycle()) {
            *to = *from;
        }
        Ok::<(), EntropyError>(())
    })
}

fn shared() -> Arc<Config> {
    Arc::new(config())
}

fn at(seconds: u64) -> Instant {
    Instant::from_epoch(Duration::from_secs(seconds))
}

/// Returns the same head with more lines.
fn with(head: &str, lines: &str) -> String {
    head.replacen("\r\n\r\n", &format!("\r\n{lines}\r\n\r\n"), 1)
}

/// Returns the same head, with the line of this name replaced or removed.
fn line(head: &str, name: &str, new: &str) -> String {
    let lines = head
        .split_inclusive("\r\n")
        .map(|old| match old.split_once(':') {
            Some((key, _)) if key.eq_ignore_ascii_case(name) && new.is_empty() => String::new(),
            Some((key, _)) if key.eq_ignore_ascii_case(name) => format!("{new}\r\n"),
            _ => old.to_owned(),
        });
    let changed = lines.collect();
    assert_ne!(changed, head, "{name} is in the head");
    changed
}

/// Passes as much of `bytes` as the exchange asks for, at most `step` at a time, and returns how much.
fn read(exchange: &mut Exchange, bytes: &[u8], step: usize) -> usize {
    let Some(room) = exchange.recv_buf() else {
        return 0;
    };
    let len = room.len().min(bytes.len()).min(step);
    room[..len].copy_from_slice(&bytes[..len]);
    exchange.handle_input(len);
    len
}

/// Returns everything that is to be written.
fn written(exchange: &mut Exchange) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(transmit) = exchange.transmit() {
        bytes.extend_from_slice(transmit.chunk());
        transmit.advance(transmit.chunk().len());
    }
    exchange.handle_sent(true);
    bytes
}

type Served<T> = (Server, Result<Option<T>, HandshakeError>);

/// Sends `parts` to a server, each in reads of its own, until `poll` returns a result.
fn serve_by<T>(
    poll: fn(&mut Server) -> Result<Option<T>, HandshakeError>,
    config: Config,
    parts: &[&[u8]],
    step: usize,
) -> Served<T> {
    let mut server = Server::new(config);
    server.exchange().handle_timeout(at(1));
    for part in parts {
        let mut part = *part;
        while !part.is_empty() {
            let len = read(server.exchange(), part, step);
            assert!(len > 0, "a server that waits for input takes it");
            part = &part[len..];
            match poll(&mut server) {
                Ok(None) => {}
                end => return (server, end),
            }
        }
    }
    (server, Ok(None))
}

fn serve_with(config: Config, parts: &[&[u8]], step: usize) -> Served<Incoming> {
    serve_by(Server::poll, config, parts, step)
}

fn serve(request: impl AsRef<[u8]>) -> Served<Incoming> {
    serve_with(config(), &[request.as_ref()], usize::MAX)
}

/// Returns the request, which is valid.
fn incoming(request: impl AsRef<[u8]>) -> Incoming {
    serve(request)
        .1
        .expect("a valid request")
        .expect("a complete request")
}

/// Creates a client, and sends its request.
fn client_with(request: Request, config: Config) -> Client {
    let mut client = Client::new(request, config).expect("a valid request");
    client.exchange().handle_timeout(at(1));
    assert!(!written(client.exchange()).is_empty());
    client
}

fn request() -> Request {
    Request::new("a.test", "/chat").unwrap()
}

type Answer = Result<Option<(Response, Connection)>, HandshakeError>;

/// Sends `parts` to a client, each in reads of its own, until it returns a result.
fn answer_to(client: &mut Client, parts: &[&[u8]], step: usize) -> Answer {
    for part in parts {
        let mut part = *part;
        while !part.is_empty() {
            let len = read(client.exchange(), part, step);
            assert!(len > 0, "a client that waits for input takes it");
            part = &part[len..];
            match client.poll() {
                Ok(None) => {}
                end => return end,
            }
        }
    }
    Ok(None)
}

fn answer(response: impl AsRef<[u8]>) -> Answer {
    answer_to(
        &mut client_with(request(), config()),
        &[response.as_ref()],
        usize::MAX,
    )
}

/// Returns the texts that were received.
fn texts(connection: &mut Connection) -> Vec<String> {
    let mut texts = Vec::new();
    while let Some(event) = connection.poll_event().expect("no error") {
        if let Event::Data(message) = event {
            texts.push(message.as_text().expect("text").to_owned());
        }
    }
    texts
}

fn output(connection: &mut Connection) -> String {
    let mut bytes = Vec::new();
    while let Some(transmit) = connection.transmit() {
        bytes.extend_from_slice(transmit.chunk());
        transmit.advance(transmit.chunk().len());
    }
    connection.handle_sent(true);
    String::from_utf8(bytes).expect("text")
}

/// Returns the values of `name` in a head that we wrote.
fn values<'a>(head: &'a str, name: &str) -> Vec<&'a str> {
    let (head, _) = head.split_once("\r\n\r\n").expect("a whole head");
    let fields = head
        .split("\r\n")
        .skip(1)
        .map(|line| line.split_once(": ").expect("a field"));
    fields
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
        .collect()
}
