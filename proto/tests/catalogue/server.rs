//! Requests (RFC 6455 §4.2) that a table cannot describe: cuts, deadlines, misuse.

use std::time::Duration;

use allocation_counter::measure;
use bowline_proto::{
    ConnectionError, Lost, Role,
    handshake::{
        AnswerError, HandshakeError, Headers, Incoming, InvalidHeader, RequestError, Response,
        Server,
    },
};
use testing::{
    catalogue::{
        answer::Answer,
        entries::{self, Options},
    },
    frames::Frame,
};

use crate::{
    Test,
    driver::config,
    handshakes::{ServerEnd, Stage},
    table,
};

pub(crate) const TESTS: &[Test] = &[
    (
        "hs_068_two_thousand_fields_are_refused",
        hs_068_two_thousand_fields_are_refused,
    ),
    (
        "hs_069_a_head_without_end_is_refused",
        hs_069_a_head_without_end_is_refused,
    ),
    (
        "hs_070_the_handshake_deadline_is_absolute",
        hs_070_the_handshake_deadline_is_absolute,
    ),
    (
        "hs_071_a_head_in_single_bytes_is_linear",
        hs_071_a_head_in_single_bytes_is_linear,
    ),
    (
        "hs_083_only_an_offered_subprotocol_can_be_picked",
        hs_083_only_an_offered_subprotocol_can_be_picked,
    ),
    (
        "hs_091_a_request_cut_short_ends_quietly",
        hs_091_a_request_cut_short_ends_quietly,
    ),
    (
        "hs_092_a_reset_within_the_request_is_an_error",
        hs_092_a_reset_within_the_request_is_an_error,
    ),
    (
        "hs_093_eof_before_the_answer_ends_the_session",
        hs_093_eof_before_the_answer_ends_the_session,
    ),
    ("hs_094_fields_cannot_inject", hs_094_fields_cannot_inject),
    (
        "hs_095_reserved_fields_are_an_error",
        hs_095_reserved_fields_are_an_error,
    ),
    (
        "hs_096_refusals_are_whole_and_reflect_nothing",
        hs_096_refusals_are_whole_and_reflect_nothing,
    ),
    (
        "hs_099_frames_behind_the_request_keep_their_order",
        hs_099_frames_behind_the_request_keep_their_order,
    ),
    ("hs_100_cuts_change_nothing", hs_100_cuts_change_nothing),
];

/// The sample request, up to the empty line.
const HEAD: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n";

fn request() -> Vec<u8> {
    [HEAD, "\r\n"].concat().into_bytes()
}

fn server() -> ServerEnd {
    ServerEnd::new(&Options::default())
}

fn status(end: &ServerEnd) -> u16 {
    Answer::parse(&end.out).status
}

/// Returns a request for `subprotocols` that waits for a decision.
fn incoming(subprotocols: &str) -> Incoming {
    let mut server = Server::new(config(|_| {}));
    let request = format!("{HEAD}Sec-WebSocket-Protocol: {subprotocols}\r\n\r\n");
    let room = server.exchange().recv_buf().expect("room");
    room[..request.len()].copy_from_slice(request.as_bytes());
    server.exchange().handle_input(request.len());
    server.poll().expect("a valid request").expect("all of it")
}

fn hs_068_two_thousand_fields_are_refused() {
    let (front, back) = HEAD.split_once("Upgrade: websocket\r\n").expect("a field");
    let fields: String = (0..2000)
        .map(|number| format!("X{number}: x\r\n"))
        .collect();
    let mut end = server();
    end.feed(
        [front, back, &fields, "Upgrade: websocket\r\n\r\n"]
            .concat()
            .as_bytes(),
    );
    let error = HandshakeError::Request(RequestError::TooManyFields);
    assert_eq!(end.errors, [error]);
    assert_eq!(status(&end), 431);
}

fn hs_069_a_head_without_end_is_refused() {
    let line = format!("X: {}\r\n", "a".repeat(1000));
    let mut end = server();
    let memory = measure(|| {
        end.feed(HEAD.as_bytes());
        (0..10_000).for_each(|_| end.feed(line.as_bytes()));
    });
    assert_eq!(
        end.errors,
        [HandshakeError::Request(RequestError::HeadTooLarge)]
    );
    assert_eq!(status(&end), 431);
    assert!(memory.bytes_max <= 64 << 10, "{memory:?}");
}

fn hs_070_the_handshake_deadline_is_absolute() {
    let mut end = server();
    end.feed(HEAD.as_bytes());
    end.feed(b"X: ");
    for _ in 0..9 {
        end.wait(Duration::from_secs(1));
        end.feed(b"a");
        assert_eq!(end.errors, []);
    }
    end.wait(Duration::from_secs(1));
    assert_eq!(end.errors, [HandshakeError::TimedOut]);
    assert_eq!(status(&end), 408);
    Answer::parse(&end.out).check_refusal();
    // Bytes from the client do not delay the end either.
    for _ in 0..5 {
        end.feed(b"a");
        end.wait(Duration::from_secs(1));
    }
    assert!(end.exchange().expect("it was refused").is_done());

    // A client that sent nothing gets no answer.
    let mut end = server();
    end.wait(Duration::from_secs(10));
    assert_eq!(end.errors, [HandshakeError::TimedOut]);
    assert!(end.out.is_empty());
    assert!(end.exchange().expect("no connection").is_done());
}

fn hs_071_a_head_in_single_bytes_is_linear() {
    let config = config(|config| {
        config.max_head_size = 4 << 20;
        config.max_head_fields = 1000;
    });
    let mut end = ServerEnd::with(&config, &Options::default());
    let field = format!("X: {}\r\n", "a".repeat(1050));
    let request = [HEAD, &field.repeat(995), "\r\n"].concat();
    let memory = measure(|| {
        for byte in request.as_bytes() {
            end.feed(&[*byte]);
        }
    });
    assert_eq!(status(&end), 101);
    // It is not copied again for each byte either.
    assert!(
        memory.bytes_total <= 16 * request.len() as u64,
        "{memory:?}"
    );
}

fn hs_083_only_an_offered_subprotocol_can_be_picked() {
    for picked in ["c", "A", "", "a, b"] {
        let refused = incoming("a, b").accept(Some(picked), Headers::new());
        let refused = refused.expect_err("it was not offered");
        assert_eq!(refused.error, AnswerError::NotOffered);
        // Nothing was sent, so another choice is still possible.
        let mut conn = refused
            .incoming
            .accept(Some("b"), Headers::new())
            .expect("it was offered");
        let transmit = conn.transmit().expect("the 101");
        let answer = Answer::parse(bytes::Buf::chunk(transmit));
        assert_eq!(answer.status, 101);
        assert_eq!(answer.field("Sec-WebSocket-Protocol"), Some("b"));
    }
}

fn hs_091_a_request_cut_short_ends_quietly() {
    let request = request();
    for cut in 0..request.len() {
        let mut end = server();
        end.feed(&request[..cut]);
        end.eof();
        end.poll();
        let error = match cut {
            0 => HandshakeError::Lost(Lost::Eof),
            _ => HandshakeError::Truncated(Lost::Eof),
        };
        assert_eq!(end.errors, [error], "cut at {cut}");
        assert!(end.out.is_empty());
        assert!(end.exchange().expect("no connection").is_done());
    }
}

fn hs_092_a_reset_within_the_request_is_an_error() {
    let request = request();
    for cut in 0..request.len() {
        let mut end = server();
        end.feed(&request[..cut]);
        end.exchange()
            .expect("no connection")
            .handle_error(Lost::Reset);
        end.poll();
        end.poll();
        let error = match cut {
            0 => HandshakeError::Lost(Lost::Reset),
            _ => HandshakeError::Truncated(Lost::Reset),
        };
        assert_eq!(end.errors, [error], "cut at {cut}");
        assert!(end.out.is_empty());
        assert!(end.exchange().expect("no connection").is_done());
    }
}

fn hs_093_eof_before_the_answer_ends_the_session() {
    // EOF was read with the request, or is read when the connection is open.
    for with_request in [true, false] {
        let mut end = server();
        let request = request();
        if with_request {
            let exchange = end.exchange().expect("no connection");
            let room = exchange.recv_buf().expect("room");
            room[..request.len()].copy_from_slice(&request);
            exchange.handle_input(request.len());
            exchange.handle_eof();
            end.poll();
        } else {
            end.feed(&request);
            end.eof();
        }
        assert_eq!(end.errors, []);
        let end = end.end();
        assert_eq!(end.errors, [ConnectionError::Lost(Lost::Eof)]);
        assert!(end.is_closed());
        assert_eq!(end.conn.closed().expect("it is closed").code, 1006);
    }
}

fn hs_094_fields_cannot_inject() {
    let mut headers = Headers::new();
    for control in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
        let value = vec![b'a', control, b'b'];
        let pushed = headers.push("X-A", value);
        assert_eq!(pushed, Err(InvalidHeader::Value), "{control:#x}");
        let name = String::from_utf8(vec![b'A', control, b'b']).expect("ASCII");
        assert_eq!(headers.push(name, "x"), Err(InvalidHeader::Name));
    }
    for name in ["", " ", "X A", "X:", "X\r\nY", "é"] {
        assert_eq!(
            headers.push(name, "x"),
            Err(InvalidHeader::Name),
            "{name:?}"
        );
    }
    assert_eq!(
        headers.push("X", "a\r\nSet-Cookie: b"),
        Err(InvalidHeader::Value)
    );
    assert!(headers.is_empty());
}

fn hs_095_reserved_fields_are_an_error() {
    for name in [
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
        "transfer-encoding",
    ] {
        let mut extra = Headers::new();
        extra.push(name, "x").expect("a valid field");
        let refused = incoming("a").accept(None, extra);
        let refused = refused.expect_err("it is the handshake's own");
        assert!(
            matches!(refused.error, AnswerError::Reserved(own) if own.eq_ignore_ascii_case(name))
        );
    }
    let mut extra = Headers::new();
    extra.push("Set-Cookie", "a=b").expect("a valid field");
    let mut conn = incoming("a").accept(None, extra).expect("open");
    let transmit = conn.transmit().expect("the 101");
    let answer = Answer::parse(bytes::Buf::chunk(transmit));
    assert_eq!(answer.field("Set-Cookie"), Some("a=b"));
}

fn hs_096_refusals_are_whole_and_reflect_nothing() {
    let mut count = 0;
    for entry in entries::load() {
        for case in &entry.cases {
            for input in case.to_server() {
                if !entry.id.starts_with("HS") || input.len() > 10_000 {
                    continue;
                }
                let _context = table::Context::new("HS-096", &entry.id, Role::Server, &input);
                // An answer must not repeat any of the request, whatever it contains.
                let input = replace(&input, b"/chat", b"/zebra");
                let input = replace(&input, b"a.test", b"zebra.test");
                let input = replace(&input, b"X-A", b"X-Zebra");
                let mut end = ServerEnd::new(&case.config);
                end.feed(&input);
                let answer = Answer::parse(&end.out);
                if answer.status != 101 {
                    count += 1;
                    answer.check_refusal();
                    let text = String::from_utf8_lossy(&end.out).to_lowercase();
                    assert!(!text.contains("zebra"), "{text}");
                    assert!(!text.contains("evil") && !text.contains("dghl"), "{text}");
                }
            }
        }
    }
    assert!(count > 100, "{count} refusals");

    // The same holds for an application's refusal, whatever it says of its length.
    let mut response = Response::new(401, "who are you?");
    for (name, value) in [
        ("WWW-Authenticate", "Basic realm=x"),
        ("Connection", "keep-alive"),
        ("Content-Length", "5"),
        ("Transfer-Encoding", "chunked"),
    ] {
        response.headers.push(name, value).expect("a valid field");
    }
    let mut end = server();
    end.stage = Stage::Refused(incoming("a").refuse(response));
    end.poll();
    let answer = Answer::parse(&end.out);
    answer.check_refusal();
    assert_eq!(answer.status, 401);
    assert_eq!(answer.rest, b"who are you?");
    assert_eq!(answer.field("WWW-Authenticate"), Some("Basic realm=x"));
}

fn replace(input: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let Some(at) = input.windows(from.len()).position(|window| window == from) else {
        return input.to_vec();
    };
    [&input[..at], to, &input[at + from.len()..]].concat()
}

fn hs_099_frames_behind_the_request_keep_their_order() {
    const COUNT: u32 = 8100;
    let mut input = request();
    for number in 0..COUNT {
        let mut payload = vec![0; 125];
        payload[..4].copy_from_slice(&number.to_be_bytes());
        input.extend(Frame::binary(payload).from(Role::Client));
    }
    assert!(input.len() > 1 << 20);
    let mut end = server();
    end.feed(&input);
    let end = end.end();
    assert_eq!(end.errors, []);
    assert_eq!(end.events.len(), COUNT as usize);
    for (number, event) in (0..COUNT).zip(&end.events) {
        let bowline_proto::Event::Data(message) = event else {
            panic!("{event:?}");
        };
        assert_eq!(message.as_bytes()[..4], number.to_be_bytes());
    }
}

fn hs_100_cuts_change_nothing() {
    let input = [request(), Frame::text("Hello").from(Role::Client)].concat();
    let outcome = |cuts: [usize; 2]| {
        let mut end = server();
        end.feed(&input[..cuts[0]]);
        end.feed(&input[cuts[0]..cuts[1]]);
        end.feed(&input[cuts[1]..]);
        let out = end.out.clone();
        (out, end.end().events.clone())
    };
    let whole = outcome([0, 0]);
    assert_eq!(whole.1.len(), 1);
    for first in 0..=input.len() {
        for second in first..=input.len() {
            assert_eq!(outcome([first, second]), whole, "cut at {first}, {second}");
        }
    }
}
