//! Responses (RFC 6455 §4.1) that a table cannot describe: cuts, deadlines, misuse.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use allocation_counter::measure;
use bowline_proto::{
    Config, Connection, ConnectionError, EntropyError, Lost, Negotiated, Role, SendError,
    handshake::{Client, HandshakeError, Headers, InvalidHeader, OfferError, Request},
};
use bytes::Buf;
use testing::{catalogue::entries::Options, frames::Frame};

use crate::{
    Test,
    driver::{End, config},
    handshakes::{ClientEnd, start},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "ch_020_an_announced_body_reserves_nothing",
        ch_020_an_announced_body_reserves_nothing,
    ),
    ("ch_024_cuts_change_nothing", ch_024_cuts_change_nothing),
    (
        "ch_042_the_handshake_deadline_is_absolute",
        ch_042_the_handshake_deadline_is_absolute,
    ),
    (
        "ch_043_silence_and_half_a_response_differ",
        ch_043_silence_and_half_a_response_differ,
    ),
    (
        "ch_046_a_request_cannot_inject",
        ch_046_a_request_cannot_inject,
    ),
    ("ch_048_keys_are_fresh", ch_048_keys_are_fresh),
    (
        "ch_049_without_randomness_nothing_is_sent",
        ch_049_without_randomness_nothing_is_sent,
    ),
];

const RESPONSE: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

fn client() -> ClientEnd {
    ClientEnd::new(&Options::default())
}

fn ch_020_an_announced_body_reserves_nothing() {
    let response = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10737418240\r\n\r\n";
    for body in ["", "some of it"] {
        for eof in [false, true] {
            let mut end = client();
            let memory = measure(|| {
                end.feed(response);
                end.feed(body.as_bytes());
            });
            assert!(memory.bytes_max <= 16 << 10, "{memory:?}");
            assert_eq!(end.errors, []);
            if eof {
                end.eof();
            } else {
                end.wait(Duration::from_secs(10));
            }
            let [HandshakeError::Refused(response)] = end.errors.as_slice() else {
                panic!("{:?}", end.errors);
            };
            assert_eq!(response.status, 403);
            assert_eq!(response.body, body);
            assert!(end.client.exchange().is_done());
        }
    }
}

fn ch_024_cuts_change_nothing() {
    let input = [RESPONSE, &Frame::text("Hello").from(Role::Server)].concat();
    for first in 0..=input.len() {
        for second in first..=input.len() {
            let mut end = client();
            end.feed(&input[..first]);
            end.feed(&input[first..second]);
            end.feed(&input[second..]);
            assert_eq!(end.errors, []);
            let (response, end) = end.open.as_ref().expect("it is open");
            assert_eq!(response.status, 101);
            assert_eq!(response.headers.len(), 3);
            assert_eq!(end.events.len(), 1, "cut at {first}, {second}");
        }
    }
}

fn ch_042_the_handshake_deadline_is_absolute() {
    for drips in [false, true] {
        let mut end = client();
        end.feed(&RESPONSE[..if drips { 20 } else { 0 }]);
        for second in 0..9 {
            end.wait(Duration::from_secs(1));
            if drips {
                end.feed(&RESPONSE[20 + second..21 + second]);
            }
            assert_eq!(end.errors, []);
        }
        end.wait(Duration::from_secs(1));
        assert_eq!(end.errors, [HandshakeError::TimedOut]);
        end.feed(RESPONSE);
        end.poll();
        assert!(end.open.is_none());
        assert_eq!(end.errors.len(), 1);
    }
}

fn ch_043_silence_and_half_a_response_differ() {
    for cut in 0..RESPONSE.len() {
        for lost in [Lost::Eof, Lost::Reset] {
            let mut end = client();
            end.feed(&RESPONSE[..cut]);
            match lost {
                Lost::Eof => end.eof(),
                lost => end.client.exchange().handle_error(lost),
            }
            end.poll();
            let error = match cut {
                0 => HandshakeError::Lost(lost),
                _ => HandshakeError::Truncated(lost),
            };
            assert_eq!(end.errors, [error], "cut at {cut}");
            assert!(end.client.exchange().is_done());
        }
    }
}

fn ch_046_a_request_cannot_inject() {
    let config = config(|_| {});
    for bad in ['\r', '\n', '\0', ' ', '\t', '\x7f'] {
        let text = format!("a{bad}b");
        assert_eq!(
            Request::new(text.clone(), "/").err(),
            Some(OfferError::Host)
        );
        for target in [format!("/{text}"), format!("/?{text}")] {
            assert_eq!(
                Request::new("a.test", target).err(),
                Some(OfferError::Target)
            );
        }
        let mut headers = Headers::new();
        assert_eq!(headers.push(text.clone(), "x"), Err(InvalidHeader::Name));
        for name in ["X", "Origin", "Sec-WebSocket-Protocol"] {
            // A value may have white space inside, but a list of tokens may not.
            match headers.push(name, text.clone()) {
                Ok(()) => assert!(matches!(bad, ' ' | '\t')),
                Err(error) => assert_eq!(error, InvalidHeader::Value),
            }
        }
        if matches!(bad, ' ' | '\t') {
            let mut request = Request::new("a.test", "/").expect("valid");
            *request.headers_mut() = headers;
            request.headers_mut().push("Host", "a.test").expect("valid");
            let refused = Client::new(request, config.clone()).err();
            assert_eq!(refused, Some(OfferError::Subprotocol));
        }
    }
    for (name, value) in [
        ("Upgrade", "h2c"),
        ("connection", "close"),
        ("Sec-WebSocket-Key", "x"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
    ] {
        let mut request = Request::new("a.test", "/").expect("valid");
        request.headers_mut().push(name, value).expect("valid");
        let refused = Client::new(request, config.clone()).err();
        assert!(matches!(refused, Some(OfferError::Reserved(_))), "{name}");
    }
}

fn ch_048_keys_are_fresh() {
    const COUNT: usize = 1_000_000;
    fn entropy(out: &mut [u8]) -> Result<(), EntropyError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Relaxed);
        out.fill(0);
        out[..8].copy_from_slice(&number.to_be_bytes());
        Ok(())
    }
    let config = Arc::new(Config::new(entropy));
    let request = Request::new("a.test", "/").expect("valid");
    let mut keys = HashSet::with_capacity(COUNT);
    for _ in 0..COUNT {
        let mut client = Client::new(request.clone(), config.clone()).expect("valid");
        let transmit = client.exchange().transmit().expect("a request");
        let name = b"Sec-WebSocket-Key: ";
        let mut lines = transmit.chunk().split(|byte| *byte == b'\n');
        let line = lines.find_map(|line| line.strip_prefix(name));
        let key: [u8; 24] = line.expect("a key")[..24].try_into().expect("24 digits");
        assert!(keys.insert(key), "a key came twice");
    }
}

fn ch_049_without_randomness_nothing_is_sent() {
    fn entropy(_: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
    let config = Arc::new(Config::new(entropy));
    let request = Request::new("a.test", "/").expect("valid");
    let refused = Client::new(request, config.clone()).err();
    assert_eq!(refused, Some(OfferError::Entropy));

    // No frame is sent, either: neither the application's …
    let conn = Connection::new(Role::Client, Negotiated::default(), config.clone());
    let mut end = End::from_parts(conn, Role::Client, start());
    assert_eq!(end.conn.send("Hello"), Err(SendError::Entropy));
    assert_eq!(end.conn.ping(Default::default()), Err(SendError::Entropy));
    end.write();
    assert!(end.out.is_empty());
    // … nor one that is owed.
    end.frame(0x89, "ping");
    end.poll();
    assert!(end.out.is_empty());
    assert_eq!(end.errors, [ConnectionError::Entropy]);
    assert!(end.is_closed());
}
