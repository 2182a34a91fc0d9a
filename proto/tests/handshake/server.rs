//! What a server makes of requests (RFC 6455 §4.2.1), and its 101 (§4.2.2).

use bowline_proto::{
    Lost, RecvError,
    handshake::{AnswerError, HandshakeError, Headers, RequestError, respond},
};
use proptest::prelude::*;

use super::*;

#[test]
fn s1_3_s4_2_2_accept_is_the_hash_of_the_key() {
    let mut connection = incoming(REQUEST)
        .accept(None, Headers::new(), at(2))
        .unwrap();
    assert_eq!(output(&mut connection), RESPONSE);
}

/// Requests that are opened.
#[rustfmt::skip]
fn valid() -> Vec<(&'static str, String)> {
    vec![
        ("baseline", REQUEST.to_owned()),
        ("§4.2.1: any case", line(&line(REQUEST, "Upgrade", "uPGRADE: WebSocket"), "Connection", "cONNECTION: UPGRADE")),
        ("§4.2.1: Upgrade is a list", line(REQUEST, "Upgrade", "Upgrade: h2c, websocket")),
        ("§4.2.1: Connection is a list", line(REQUEST, "Connection", "Connection: keep-alive, Upgrade")),
        ("RFC 9110 §5.3: fields combine", line(REQUEST, "Connection", "Connection: keep-alive\r\nConnection: Upgrade")),
        ("RFC 4648 §3.5: stray bits in the key", line(REQUEST, "Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZR==")),
        ("§4.2.1: absolute URI", REQUEST.replacen("/chat", "http://a.test/chat", 1)),
        ("§4.2.1: absolute URI, any scheme case, port", REQUEST.replacen("/chat", "HTTPS://a.test:443/chat", 1)),
        ("no normalisation", REQUEST.replacen("/chat", "/%00%0d%0a..%2f", 1)),
        ("§9.1: unknown extensions", with(REQUEST, "Sec-WebSocket-Extensions: foo; bar=1; baz=\"q\\ux\", , permessage-deflate")),
        ("§11.3.4: several Protocol fields", with(REQUEST, "Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b")),
        ("a body of no bytes", with(REQUEST, "Content-Length: 0")),
        ("RFC 9112 §2.2: an empty line first", format!("\r\n{REQUEST}")),
        ("RFC 9110 §5.5: obs-text in a value", with(REQUEST, "X-A: \u{e9}")),
        ("no space behind the colon, much behind the value", line(REQUEST, "Host", "Host:a.test \t ")),
        ("an empty field", with(REQUEST, "X-A:")),
    ]
}

/// Requests that are not, and the answer.
#[rustfmt::skip]
fn invalid() -> Vec<(&'static str, String, RequestError)> {
    use RequestError as E;
    let start = |line: &str| REQUEST.replacen("GET /chat HTTP/1.1", line, 1);
    let swap = |name: &str, new: &str| line(REQUEST, name, new);
    let more = |lines: &str| with(REQUEST, lines);
    let mut requests = vec![
        ("§4.1: POST", start("POST /chat HTTP/1.1"), E::Method),
        ("RFC 9110 §9.1: methods have a case", start("get /chat HTTP/1.1"), E::Method),
        ("RFC 9110 §7.8: HTTP/1.0", start("GET /chat HTTP/1.0"), E::Http10),
        ("RFC 9112 §2.3: HTTP/2.0", start("GET /chat HTTP/2.0"), E::Version),
        ("RFC 9112 §2.3: HTTP/1.11", start("GET /chat HTTP/1.11"), E::Syntax),
        ("RFC 9112 §2.3: HTTP/1", start("GET /chat HTTP/1"), E::Syntax),
        ("RFC 9112 §2.3: http/1.1", start("GET /chat http/1.1"), E::Syntax),
        ("RFC 9112 §2.3: HTTP/1.1x", start("GET /chat HTTP/1.1x"), E::Syntax),
        ("RFC 9113 §3.4: preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), E::Version),
        ("RFC 9112 §3: HTTP/0.9", "GET /chat\r\n".to_owned(), E::Syntax),
        ("RFC 9112 §3: no target", "GET\r\n".to_owned(), E::Syntax),
        ("RFC 9112 §3: two spaces", start("GET  /chat HTTP/1.1"), E::Syntax),
        ("RFC 9112 §3: two spaces behind", start("GET /chat  HTTP/1.1"), E::Syntax),
        ("RFC 9112 §3: space at the end", start("GET /chat HTTP/1.1 "), E::Syntax),
        ("RFC 9112 §3: space at the front", start(" GET /chat HTTP/1.1"), E::Syntax),
        ("TLS", "\x16\x03\x01\x02".to_owned(), E::Syntax),
        ("RFC 9112 §3.2: space in the target", start("GET /a b HTTP/1.1"), E::Syntax),
        ("RFC 9112 §3.2: tab in the target", start("GET /a\tb HTTP/1.1"), E::Syntax),
        ("RFC 9112 §3.2: beyond ASCII in the target", start("GET /\u{e9} HTTP/1.1"), E::Syntax),
        ("RFC 9112 §3.2: UTF-8 in the target", start("GET /\u{c3}\u{a9} HTTP/1.1"), E::Target),
        ("RFC 9112 §3.2: asterisk", start("GET * HTTP/1.1"), E::Target),
        ("RFC 9112 §3.2: authority", start("GET a.test:80 HTTP/1.1"), E::Target),
        ("another scheme", start("GET ftp://a.test/ HTTP/1.1"), E::Target),
        ("user information", start("GET http://u:p@a.test/ HTTP/1.1"), E::Target),
        ("no host in an absolute URI", start("GET http:///chat HTTP/1.1"), E::Target),
        ("§3: fragment", start("GET /a#frag HTTP/1.1"), E::Target),
        ("§3: fragment in an absolute URI", start("GET http://a.test#frag HTTP/1.1"), E::Target),
        ("RFC 9112 §3.2: no Host", swap("Host", ""), E::Host),
        ("RFC 9112 §3.2: two Hosts", swap("Host", "Host: a.test\r\nHost: b.test"), E::Host),
        ("RFC 9112 §3.2: the same Host twice", swap("Host", "Host: a.test\r\nHost: a.test"), E::Host),
        ("RFC 9112 §3.2: not a host", swap("Host", "Host: a b:99999]"), E::Host),
        ("§4.2.1: empty Host", swap("Host", "Host:"), E::Host),
        ("§4.2.1: no Upgrade", swap("Upgrade", ""), E::NoUpgrade),
        ("§4.2.1: websocket2", swap("Upgrade", "Upgrade: websocket2"), E::NoUpgrade),
        ("§4.2.1: websocket/13", swap("Upgrade", "Upgrade: websocket/13"), E::NoUpgrade),
        ("§4.2.1: quoted", swap("Upgrade", "Upgrade: \"websocket\""), E::NoUpgrade),
        ("§4.2.1: no Connection", swap("Connection", ""), E::NoUpgrade),
        ("RFC 9110 §7.6.1: Upgraded", swap("Connection", "Connection: Upgraded"), E::NoUpgrade),
        ("RFC 9110 §7.6.1: notupgrade", swap("Connection", "Connection: notupgrade"), E::NoUpgrade),
        ("RFC 9110 §7.6.1: up grade", swap("Connection", "Connection: up grade"), E::NoUpgrade),
        ("§4.2.1: no key", swap("Sec-WebSocket-Key", ""), E::Key),
        ("§11.3.1: key twice", more("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), E::Key),
        ("§11.3.1: two keys in one", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), E::Key),
        ("§4.2.1: key of 15 bytes", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), E::Key),
        ("§4.2.1: key of 17 bytes", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="), E::Key),
        ("§4.2.1: key not base64", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j$Q=="), E::Key),
        ("a long key", swap("Sec-WebSocket-Key", &format!("Sec-WebSocket-Key: {}", "A".repeat(8000))), E::Key),
        ("§4.4: no version", swap("Sec-WebSocket-Version", ""), E::WebSocketVersion),
        ("§11.3.5: version twice", more("Sec-WebSocket-Version: 13"), E::Versions),
        ("§11.3.5: two versions", more("Sec-WebSocket-Version: 8"), E::Versions),
        ("Hixie-76", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key1: 3e6b263  4 17 80\r\n\r\nWjN}|M(6".to_owned(), E::Key),
        ("RFC 6454 §7: two Origins", more("Origin: https://a.test\r\nOrigin: https://b.test"), E::Origin),
        ("RFC 6454 §7: Origin beyond ASCII", more("Origin: https://\u{e9}.test"), E::Origin),
        ("RFC 9112 §5.2: obs-fold", swap("Upgrade", "Upgrade:\r\n websocket"), E::Syntax),
        ("RFC 9112 §5.2: obs-fold, tab", more("X-A: a\r\n\tb"), E::Syntax),
        ("RFC 9112 §2.2: space before the first field", start("GET /chat HTTP/1.1\r\n Host: x"), E::Syntax),
        ("RFC 9112 §5.1: space before the colon", swap("Upgrade", "Upgrade : websocket"), E::Syntax),
        ("RFC 9112 §5: no colon", more("NoColonHere"), E::Syntax),
        ("RFC 9112 §5: no name", more(": x"), E::Syntax),
        ("RFC 9112 §2.2: bare LF", REQUEST.replace("\r\n", "\n"), E::Syntax),
        ("RFC 9112 §2.2: one bare LF", REQUEST.replacen("websocket\r\n", "websocket\n", 1), E::Syntax),
        ("RFC 9112 §2.2: bare LF at the end", REQUEST.replacen("\r\n\r\n", "\r\n\n", 1), E::Syntax),
        ("RFC 9112 §2.2: bare CR", more("X-A: a\rb"), E::Syntax),
        ("RFC 9112 §2.2: CR CR, at once", "GET / HTTP/1.1\r\nX-A: a\r\r".to_owned(), E::Syntax),
        ("RFC 9112 §2.2: CR CR LF", more("X-A: a\r"), E::Syntax),
        ("§4.1: subprotocol twice", more("Sec-WebSocket-Protocol: chat, chat"), E::Subprotocol),
        ("§4.1: subprotocol twice, two fields", more("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat"), E::Subprotocol),
        ("§4.1: ch@t", more("Sec-WebSocket-Protocol: ch@t"), E::Subprotocol),
        ("§4.1: a b", more("Sec-WebSocket-Protocol: a b"), E::Subprotocol),
        ("§4.1: quoted subprotocol", more("Sec-WebSocket-Protocol: \"chat\""), E::Subprotocol),
        ("§4.1: no subprotocol", more("Sec-WebSocket-Protocol: ,"), E::Subprotocol),
        ("spaces in a subprotocol", more(&format!("Sec-WebSocket-Protocol: b{}x", " ".repeat(6000))), E::Subprotocol),
        ("§9.1: unclosed", more(&format!("Sec-WebSocket-Extensions: a; b=\"{}", "\\c".repeat(3000))), E::Extensions),
        ("RFC 9110 §7.8: a body", with(REQUEST, "Content-Length: 5") + "HELLO", E::Body),
        ("RFC 9112 §6.1: a chunked body", with(REQUEST, "Transfer-Encoding: chunked") + "0\r\n\r\n", E::Body),
        ("RFC 9112 §6.3: both", more("Content-Length: 5\r\nTransfer-Encoding: chunked"), E::Body),
        ("RFC 9112 §6.3: two lengths", more("Content-Length: 0\r\nContent-Length: 5"), E::Body),
        ("RFC 9112 §6.3: +5", more("Content-Length: +5"), E::Body),
        ("RFC 9112 §6.3: 5, 5", more("Content-Length: 5, 5"), E::Body),
        ("RFC 9112 §6.3: -1", more("Content-Length: -1"), E::Body),
        ("RFC 9112 §6.3: no digits", more("Content-Length:"), E::Body),
        ("RFC 9112 §6.1: unknown coding", more("Transfer-Encoding: gzip"), E::TransferCoding),
        ("RFC 9110 §10.1.1", more("Expect: 100-continue"), E::Expectation),
        ("line of 8,193 bytes", start(&format!("GET /{} HTTP/1.1", "a".repeat(8193 - 14))), E::TargetTooLong),
        ("field of 8,193 bytes", more(&format!("X-A: {}", "a".repeat(8193 - 5))), E::FieldTooLong),
        ("101 fields", more(&vec!["X: x"; 96].join("\r\n")), E::TooManyFields),
        ("2,000 fields, Upgrade last", swap("Upgrade", "").replacen("\r\n\r\n", &format!("\r\n{}Upgrade: websocket\r\n\r\n", "X: x\r\n".repeat(2000)), 1), E::TooManyFields),
        ("16 KiB of fields", more(&vec![format!("X: {}", "x".repeat(4096)); 4].join("\r\n")), E::HeadTooLarge),
    ];
    for version in ["12", "8", "7", "0", "14", "255", "013", "+13", "13.0", "0x0d", "1 3", "13, 8", ""] {
        requests.push(("§4.2.2: version", swap("Sec-WebSocket-Version", &format!("Sec-WebSocket-Version: {version}")), E::WebSocketVersion));
    }
    for extensions in ["permessage-deflate;;", ";x", "a=", "a;b=", "a;b==c", "a==b", "a;b c", ",", "", "a;", "a b", "a;b=\"\"", "a;b=\"c d\"", "a;b=\"c\"d", "a/b"] {
        requests.push(("§9.1: extensions", more(&format!("Sec-WebSocket-Extensions: {extensions}")), E::Extensions));
    }
    for byte in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
        requests.push(("RFC 9110 §5.5: control character", more(&format!("X-A: a{}b", char::from(byte))), E::Syntax));
    }
    for name in ["A(b", "A\"b", "A/b", "A\u{80}b", "A b", "A\0b"] {
        requests.push(("RFC 9110 §5.1: name", more(&format!("{name}: x")), E::Syntax));
    }
    requests
}

/// Characters up to U+00FF are bytes here.
fn bytes(request: &str) -> Vec<u8> {
    request
        .chars()
        .map(|char| u8::try_from(char).expect("a byte"))
        .collect()
}

#[test]
fn s4_2_1_valid_requests_are_opened() {
    for (name, request) in valid() {
        let request = bytes(&request);
        for step in [1, 2, 3, 7, 100, usize::MAX] {
            let (mut server, result) = serve_with(config(), &[&request], step);
            let incoming = result.unwrap_or_else(|error| panic!("{name}: {error}"));
            let incoming = incoming.unwrap_or_else(|| panic!("{name}: incomplete"));
            assert!(matches!(server.poll(), Ok(None)), "{name}: once");
            let mut connection = incoming.accept(None, Headers::new(), at(2)).unwrap();
            assert!(
                output(&mut connection).starts_with("HTTP/1.1 101 "),
                "{name}"
            );
        }
    }
}

#[test]
fn s4_2_2_invalid_requests_are_answered_with_what_is_wrong() {
    for (name, request, expected) in invalid() {
        let request = bytes(&request);
        let mut answers = Vec::new();
        for step in [1, 2, 3, 7, 100, usize::MAX] {
            let (mut server, result) = serve_with(config(), &[&request], step);
            assert_eq!(result.err(), Some(expected.into()), "{name}, step {step}");
            assert!(matches!(server.poll(), Ok(None)), "{name}: one error");
            answers.push(written(server.exchange()));
        }
        let head = format!("HTTP/1.1 {} ", expected.status());
        assert!(answers[0].starts_with(head.as_bytes()), "{name}");
        assert!(answers.iter().all(|answer| *answer == answers[0]), "{name}");
    }
}

#[test]
fn s4_2_1_a_request_cut_anywhere_is_the_same_request() {
    let request = with(
        REQUEST,
        "Sec-WebSocket-Protocol: a, b\r\nOrigin: https://a.test",
    );
    let whole = incoming(&request);
    let (mut server, _) = serve(line(&request, "Host", ""));
    let refusal = written(server.exchange());
    for first in 0..request.len() {
        for second in (first..request.len()).step_by(if first % 16 == 0 { 1 } else { 31 }) {
            let (a, rest) = request.as_bytes().split_at(first);
            let (b, c) = rest.split_at(second - first);
            let (_, result) = serve_with(config(), &[a, b, c], usize::MAX);
            assert_eq!(
                result.unwrap().unwrap().request(),
                whole.request(),
                "{first}, {second}"
            );
        }
        let broken = line(&request, "Host", "");
        let (a, b) = broken.as_bytes().split_at(first.min(broken.len()));
        let (mut server, result) = serve_with(config(), &[a, b], usize::MAX);
        assert!(result.is_err());
        assert_eq!(written(server.exchange()), refusal);
    }
}

proptest! {
    /// Whatever is wrong with a request, how it is cut changes nothing.
    #[test]
    fn s4_2_1_any_bytes_cut_anywhere_give_the_same_result(
        changes in prop::collection::vec((0..REQUEST.len(), any::<u8>()), 0..3),
        step in 1_usize..50,
    ) {
        let mut request = REQUEST.as_bytes().to_vec();
        for (index, byte) in changes {
            request[index] = byte;
        }
        let outcome = |step| {
            let (mut server, result) = serve_with(config(), &[&request], step);
            let result = result.map(|incoming| incoming.map(|incoming| incoming.request().clone()));
            (result, written(server.exchange()))
        };
        prop_assert_eq!(outcome(step), outcome(usize::MAX));
    }
}

#[test]
fn a_head_that_comes_byte_by_byte_is_looked_at_once() {
    // In quadratic time this would take hours.
    let mut config = config();
    config.max_head_size = 2 << 20;
    config.max_head_line = 2 << 20;
    let request = with(REQUEST, &format!("X-A: {}", "a".repeat(1 << 20)));
    let (_, result) = serve_with(config, &[request.as_bytes()], 1);
    assert!(result.unwrap().is_some());
}

#[test]
fn s4_2_1_what_the_client_asked_for() {
    let request = REQUEST.replacen("/chat", "/chat?name=a?b", 1);
    let request = with(
        &request,
        "Sec-WebSocket-Protocol: v2.chat,\tchat ,\r\nORIGIN: https://A.test\r\nX-A: 1",
    );
    let incoming = incoming(with(&request, "Sec-WebSocket-Protocol: third"));
    let request = incoming.request();
    assert_eq!(request.target(), "/chat?name=a?b");
    assert_eq!(
        (request.path(), request.query()),
        ("/chat", Some("name=a?b"))
    );
    assert_eq!(request.host(), Some("a.test"));
    assert_eq!(request.origin(), Some("https://A.test"));
    assert_eq!(request.headers().get("x-a"), Some(&b"1"[..]));
    assert_eq!(
        request.subprotocols().collect::<Vec<_>>(),
        ["v2.chat", "chat", "third"]
    );
    assert_eq!(incoming.pick_subprotocol(&["third", "chat"]), Some("chat"));
    assert_eq!(
        incoming.pick_subprotocol(&["Chat"]),
        None,
        "subprotocols have a case"
    );
}

#[test]
fn rfc9112_s3_2_2_the_host_of_an_absolute_target_wins() {
    for (target, expected) in [
        ("http://b.test:81/chat?x", "/chat?x"),
        ("http://b.test:81", "/"),
        ("http://b.test:81?x=/", "/?x=/"),
    ] {
        let incoming = incoming(REQUEST.replacen("/chat", target, 1));
        assert_eq!(incoming.request().target(), expected);
        assert_eq!(incoming.request().host(), Some("b.test:81"));
    }
}

#[test]
fn s10_2_origins_are_compared_whole() {
    let from = |origin: &str| incoming(with(REQUEST, &format!("Origin: {origin}")));
    let list = ["https://good.test", "http://localhost:8080"];
    assert!(from("https://GOOD.test:443").origin_allowed(&list));
    assert!(!from("https://good.test.evil.test").origin_allowed(&list));
    assert!(!from("https://good.test@evil").origin_allowed(&list));
    assert!(!from("http://good.test").origin_allowed(&list));
    assert!(!from("null").origin_allowed(&list));
    assert!(from("null").origin_allowed(&["null"]));
    assert!(incoming(REQUEST).origin_allowed(&list), "not a browser");
}

#[test]
fn s4_2_2_the_101_names_the_subprotocol_and_carries_more_fields() {
    let request = with(
        REQUEST,
        "Sec-WebSocket-Protocol: chat, v2\r\nSec-WebSocket-Extensions: permessage-deflate",
    );
    let mut extra = Headers::new();
    extra.push("Set-Cookie", "a=b").unwrap();
    let mut connection = incoming(&request).accept(Some("v2"), extra, at(2)).unwrap();
    let head = output(&mut connection);
    assert_eq!(values(&head, "Sec-WebSocket-Protocol"), ["v2"]);
    assert_eq!(values(&head, "Set-Cookie"), ["a=b"]);
    assert!(values(&head, "Sec-WebSocket-Extensions").is_empty());
    // None has to be picked.
    let mut connection = incoming(&request)
        .accept(None, Headers::new(), at(2))
        .unwrap();
    assert!(values(&output(&mut connection), "Sec-WebSocket-Protocol").is_empty());
}

#[test]
fn s4_2_2_only_offered_subprotocols_and_fields_of_the_application() {
    let mut incoming = incoming(with(REQUEST, "Sec-WebSocket-Protocol: chat"));
    for subprotocol in ["v2", "Chat", "chat, v2", ""] {
        let error = incoming
            .accept(Some(subprotocol), Headers::new(), at(2))
            .unwrap_err();
        assert_eq!(error.error, AnswerError::NotOffered);
        incoming = *error.incoming;
    }
    for name in [
        "Upgrade",
        "connection",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "Transfer-Encoding",
    ] {
        let mut extra = Headers::new();
        extra.push(name, "x").unwrap();
        let error = incoming.accept(Some("chat"), extra, at(2)).unwrap_err();
        assert!(
            matches!(error.error, AnswerError::Reserved(reserved) if reserved.eq_ignore_ascii_case(name))
        );
        incoming = *error.incoming;
    }
    let mut connection = incoming
        .accept(Some("chat"), Headers::new(), at(2))
        .unwrap();
    assert!(output(&mut connection).starts_with("HTTP/1.1 101 "));
}

#[test]
fn frames_behind_the_request_are_kept() {
    let mut input = REQUEST.as_bytes().to_vec();
    input.extend_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let mut connection = incoming(&input)
        .accept(None, Headers::new(), at(2))
        .unwrap();
    assert_eq!(texts(&mut connection), ["Hello"]);
}

#[test]
fn much_behind_the_request_is_kept_in_order() {
    let mut input = REQUEST.as_bytes().to_vec();
    for i in 0..100_000_u32 {
        input.extend_from_slice(b"\x81\x85\0\0\0\0");
        input.extend_from_slice(format!("{i:05}").as_bytes());
    }
    let mut server = Server::new(&shared(), at(1));
    let mut rest = &input[..];
    let incoming = loop {
        rest = &rest[read(server.exchange(), rest, usize::MAX)..];
        if let Some(incoming) = server.poll().unwrap() {
            break incoming;
        }
    };
    assert!(
        server.exchange().recv_buf().is_none(),
        "nothing is read before the decision"
    );
    let mut connection = incoming.accept(None, Headers::new(), at(2)).unwrap();
    let mut seen = texts(&mut connection);
    while !rest.is_empty() {
        let room = connection.recv_buf().unwrap();
        let len = room.len().min(rest.len());
        room[..len].copy_from_slice(&rest[..len]);
        rest = &rest[len..];
        connection.handle_input(len);
        seen.append(&mut texts(&mut connection));
    }
    assert_eq!(
        seen,
        (0..100_000).map(|i| format!("{i:05}")).collect::<Vec<_>>()
    );
}

#[test]
fn a_request_that_is_cut_short_is_told_from_none() {
    for cut in 0..REQUEST.len() {
        for lost in [Lost::Eof, Lost::Reset, Lost::Failed] {
            let (mut server, result) = serve(&REQUEST[..cut]);
            assert!(matches!(result, Ok(None)));
            match lost {
                Lost::Eof => server.exchange().handle_eof(),
                lost => server.exchange().handle_error(lost),
            }
            let expected = match cut {
                0 => HandshakeError::Lost(lost),
                _ => HandshakeError::Truncated(lost),
            };
            assert_eq!(server.poll().unwrap_err(), expected);
            assert!(server.exchange().is_done());
            assert!(server.exchange().transmit().is_none());
            assert!(matches!(server.poll(), Ok(None)), "one error");
        }
    }
}

#[test]
fn the_end_of_the_transport_behind_the_request_is_known_to_the_connection() {
    for lost in [Lost::Eof, Lost::Reset] {
        let mut server = Server::new(&shared(), at(1));
        read(server.exchange(), REQUEST.as_bytes(), usize::MAX);
        match lost {
            Lost::Eof => server.exchange().handle_eof(),
            lost => server.exchange().handle_error(lost),
        }
        let incoming = server.poll().unwrap().unwrap();
        let mut connection = incoming.accept(None, Headers::new(), at(2)).unwrap();
        assert_eq!(connection.poll_event().unwrap_err(), RecvError::Lost(lost));
    }
}

/// What another HTTP server would hand over: the method and the fields.
fn parsed(request: &str) -> Option<(&str, Vec<Field<'_>>)> {
    let (head, _) = request.split_once("\r\n\r\n")?;
    let (start, fields) = head.split_once("\r\n")?;
    let fields = fields.split("\r\n").map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name, bytes(value.trim_matches([' ', '\t']))))
    });
    Some((start.split(' ').next()?, fields.collect::<Option<_>>()?))
}

type Field<'a> = (&'a str, Vec<u8>);

fn respond_to(request: &str, subprotocols: &[&str]) -> Option<Result<Headers, RequestError>> {
    let (method, fields) = parsed(request)?;
    let fields = fields.iter().map(|(name, value)| (*name, &value[..]));
    Some(
        respond(method, fields, subprotocols, &config()).map(|(headers, negotiated)| {
            let picked = headers.get("Sec-WebSocket-Protocol");
            assert_eq!(
                picked,
                negotiated.subprotocol.as_ref().map(|name| name.as_bytes())
            );
            headers
        }),
    )
}

#[test]
fn respond_decides_as_the_machine_does() {
    let mut compared = 0;
    for (name, request, expected) in invalid() {
        use RequestError::*;
        // What the other server has checked, or has limits of its own for.
        if matches!(
            expected,
            Syntax | Version | Http10 | Target | TargetTooLong | HeadTooLarge
        ) {
            continue;
        }
        compared += 1;
        assert_eq!(respond_to(&request, &[]), Some(Err(expected)), "{name}");
    }
    assert!(compared > 60);
    for (name, request) in valid() {
        assert!(
            matches!(respond_to(request.trim_start(), &[]), Some(Ok(_))),
            "{name}"
        );
    }
}

#[test]
fn s4_2_2_respond_writes_the_101() {
    let request = with(REQUEST, "Sec-WebSocket-Protocol: chat, v2");
    let headers = respond_to(&request, &["v2", "v3"]).unwrap().unwrap();
    assert_eq!(
        headers.iter().collect::<Vec<_>>(),
        [
            ("Upgrade", &b"websocket"[..]),
            ("Connection", b"Upgrade"),
            ("Sec-WebSocket-Accept", b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="),
            ("Sec-WebSocket-Protocol", b"v2"),
        ]
    );
    assert_eq!(
        respond_to(&request, &["v3"]).unwrap().unwrap().len(),
        3,
        "none in common"
    );
}
