//! The requests that a server accepts, and its answers to others (RFC 6455 §4.2.1).

use bowline_proto::handshake::{Headers, RequestError};

use super::*;

/// Requests that are accepted.
#[rustfmt::skip]
pub(crate) fn valid() -> Vec<(&'static str, String)> {
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

/// Requests that are refused, and the answer.
#[rustfmt::skip]
pub(crate) fn invalid() -> Vec<(&'static str, String, RequestError)> {
    use RequestError as E;
    let start = |line: &str| REQUEST.replacen("GET /chat HTTP/1.1", line, 1);
    let swap = |name: &str, new: &str| line(REQUEST, name, new);
    let more = |lines: &str| with(REQUEST, lines);
    let mut requests = vec![
        ("§4.2.1 item 1: POST", start("POST /chat HTTP/1.1"), E::Method),
        ("§4.2.1 item 1: methods have a case", start("get /chat HTTP/1.1"), E::Method),
        ("§4.2.1 item 1: HTTP/1.0", start("GET /chat HTTP/1.0"), E::Http10),
        ("§4.2.1 item 1: HTTP/2.0", start("GET /chat HTTP/2.0"), E::Version),
        ("RFC 9112 §2.3: HTTP/1.11", start("GET /chat HTTP/1.11"), E::Syntax),
        ("RFC 9112 §2.3: HTTP/x.1", start("GET /chat HTTP/x.1"), E::Syntax),
        ("RFC 9112 §2.3: HTTP/2.x", start("GET /chat HTTP/2.x"), E::Syntax),
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
        ("§4.2.1 item 1: asterisk", start("GET * HTTP/1.1"), E::Target),
        ("§4.2.1 item 1: authority", start("GET a.test:80 HTTP/1.1"), E::Target),
        ("§4.2.1 item 1: another scheme", start("GET ftp://a.test/ HTTP/1.1"), E::Target),
        ("§4.2.1 item 1: user information", start("GET http://u:p@a.test/ HTTP/1.1"), E::Target),
        ("§4.2.1 item 1: no host in an absolute URI", start("GET http:///chat HTTP/1.1"), E::Target),
        ("§3: fragment", start("GET /a#frag HTTP/1.1"), E::Target),
        ("§3: fragment in an absolute URI", start("GET http://a.test#frag HTTP/1.1"), E::Target),
        ("§4.2.1 item 2: no Host", swap("Host", ""), E::Host),
        ("§4.2.1 item 2: two Hosts", swap("Host", "Host: a.test\r\nHost: b.test"), E::Host),
        ("§4.2.1 item 2: the same Host twice", swap("Host", "Host: a.test\r\nHost: a.test"), E::Host),
        ("§4.2.1 item 2: not a host", swap("Host", "Host: a b:99999]"), E::Host),
        ("§4.2.1 item 2: empty Host", swap("Host", "Host:"), E::Host),
        ("§4.2.1 item 3: no Upgrade", swap("Upgrade", ""), E::NoUpgrade),
        ("§4.2.1 item 3: websocket2", swap("Upgrade", "Upgrade: websocket2"), E::NoUpgrade),
        ("§4.2.1 item 3: websocket/13", swap("Upgrade", "Upgrade: websocket/13"), E::NoUpgrade),
        ("§4.2.1 item 3: quoted", swap("Upgrade", "Upgrade: \"websocket\""), E::NoUpgrade),
        ("§4.2.1 item 4: no Connection", swap("Connection", ""), E::NoUpgrade),
        ("§4.2.1 item 4: Upgraded", swap("Connection", "Connection: Upgraded"), E::NoUpgrade),
        ("§4.2.1 item 4: notupgrade", swap("Connection", "Connection: notupgrade"), E::NoUpgrade),
        ("§4.2.1 item 4: up grade", swap("Connection", "Connection: up grade"), E::NoUpgrade),
        ("§4.2.1 item 5: no key", swap("Sec-WebSocket-Key", ""), E::Key),
        ("§11.3.1: key twice", more("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), E::Key),
        ("§11.3.1: two keys in one", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="), E::Key),
        ("§4.2.1 item 5: key of 15 bytes", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAA"), E::Key),
        ("§4.2.1 item 5: key of 17 bytes", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAA="), E::Key),
        ("§4.2.1 item 5: key not base64", swap("Sec-WebSocket-Key", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j$Q=="), E::Key),
        ("§4.2.1 item 5: a long key", swap("Sec-WebSocket-Key", &format!("Sec-WebSocket-Key: {}", "A".repeat(8000))), E::Key),
        ("§4.2.1 item 6: no version", swap("Sec-WebSocket-Version", ""), E::WebSocketVersion),
        ("§11.3.5: version twice", more("Sec-WebSocket-Version: 13"), E::Versions),
        ("§11.3.5: two versions", more("Sec-WebSocket-Version: 8"), E::Versions),
        ("§4.2.1 item 5: Hixie-76", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key1: 3e6b263  4 17 80\r\n\r\nWjN}|M(6".to_owned(), E::Key),
        ("§4.2.1 item 7: two Origins", more("Origin: https://a.test\r\nOrigin: https://b.test"), E::Origin),
        ("§4.2.1 item 7: Origin beyond ASCII", more("Origin: https://\u{e9}.test"), E::Origin),
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
        ("§4.1 item 10: subprotocol twice", more("Sec-WebSocket-Protocol: chat, chat"), E::Subprotocol),
        ("§4.1 item 10: subprotocol twice, two fields", more("Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Protocol: chat"), E::Subprotocol),
        ("§4.1 item 10: ch@t", more("Sec-WebSocket-Protocol: ch@t"), E::Subprotocol),
        ("§4.1 item 10: a b", more("Sec-WebSocket-Protocol: a b"), E::Subprotocol),
        ("§4.1 item 10: quoted subprotocol", more("Sec-WebSocket-Protocol: \"chat\""), E::Subprotocol),
        ("§4.1 item 10: no subprotocol", more("Sec-WebSocket-Protocol: ,"), E::Subprotocol),
        ("§4.1 item 10: spaces in a subprotocol", more(&format!("Sec-WebSocket-Protocol: b{}x", " ".repeat(6000))), E::Subprotocol),
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
        requests.push(("§4.2.1 item 6: another version", swap("Sec-WebSocket-Version", &format!("Sec-WebSocket-Version: {version}")), E::WebSocketVersion));
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
pub(crate) fn bytes(request: &str) -> Vec<u8> {
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
            let mut connection = incoming.accept(None, Headers::new()).unwrap();
            assert!(
                output(&mut connection).starts_with("HTTP/1.1 101 "),
                "{name}"
            );
        }
    }
}

/// Sends the requests of `section`, cut in many ways.
fn are_refused(section: &str) {
    let mut count = 0;
    for (name, request, expected) in invalid() {
        if !name.starts_with(section) {
            continue;
        }
        count += 1;
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
    assert!(count > 0, "{section}");
}

/// "… the server MUST stop processing the client's handshake and return an HTTP response with an
/// appropriate error code".
#[test]
fn s4_2_1_invalid_requests_are_answered_with_what_is_wrong() {
    are_refused("");
}

#[test]
fn s4_2_1_item_1_it_is_a_get_of_a_resource_in_http_1_1() {
    are_refused("§4.2.1 item 1:");
    are_refused("§3:");
}

#[test]
fn s4_2_1_item_2_it_has_a_host() {
    are_refused("§4.2.1 item 2:");
}

#[test]
fn s4_2_1_item_3_it_upgrades_to_websocket() {
    are_refused("§4.2.1 item 3:");
}

#[test]
fn s4_2_1_item_4_its_connection_has_the_token_upgrade() {
    are_refused("§4.2.1 item 4:");
}

#[test]
fn s4_2_1_item_5_its_key_is_16_bytes() {
    are_refused("§4.2.1 item 5:");
}

#[test]
fn s4_2_1_item_6_its_version_is_13() {
    are_refused("§4.2.1 item 6:");
}

#[test]
fn s4_1_item_10_its_subprotocols_are_distinct_tokens() {
    are_refused("§4.1 item 10:");
}

#[test]
fn s9_1_its_extensions_conform_to_the_grammar() {
    are_refused("§9.1:");
}

#[test]
fn s11_3_1_its_key_is_there_once() {
    are_refused("§11.3.1:");
}

#[test]
fn s11_3_5_its_version_is_there_once() {
    are_refused("§11.3.5:");
}
