//! The responses that a client accepts (RFC 6455 §4.1).

use bowline_proto::handshake::ResponseError;

use super::*;

#[test]
fn s4_1_valid_responses_open_the_connection() {
    for (name, response) in [
        ("baseline", RESPONSE.to_owned()),
        ("any case", line(RESPONSE, "Upgrade", "UPGRADE: WebSocket")),
        (
            "item 3: a list",
            line(RESPONSE, "Connection", "Connection: keep-alive, upgrade"),
        ),
        (
            "RFC 9112 §4: no reason",
            RESPONSE.replacen(" Switching Protocols", " ", 1),
        ),
        (
            "RFC 9112 §4: no space",
            RESPONSE.replacen(" Switching Protocols", "", 1),
        ),
        (
            "RFC 9112 §6.3: a 101 has no body",
            with(RESPONSE, "Content-Length: 5\r\nTransfer-Encoding: chunked"),
        ),
    ] {
        let response = response + "\u{1}\u{5}Hello";
        let mut bytes = response.into_bytes();
        let len = bytes.len();
        bytes[len - 7] = 0x81;
        for step in [1, 2, 3, 7, 100, usize::MAX] {
            let mut client = client_with(request(), config());
            let mut rest = &bytes[..];
            let (response, mut connection) = loop {
                rest = &rest[read(client.exchange(), rest, step)..];
                if let Some(open) = client.poll().unwrap() {
                    break open;
                }
            };
            assert_eq!(response.status, 101, "{name}");
            assert_eq!(connection.receive(rest), rest.len());
            assert_eq!(texts(&mut connection), ["Hello"], "{name}, step {step}");
            assert!(matches!(client.poll(), Ok(None)), "once");
        }
    }
}

#[test]
fn s4_1_a_response_cut_anywhere_is_the_same_response() {
    for first in 0..RESPONSE.len() {
        for second in first..RESPONSE.len() {
            let (a, rest) = RESPONSE.as_bytes().split_at(first);
            let (b, c) = rest.split_at(second - first);
            let answer = answer_to(
                &mut client_with(request(), config()),
                &[a, b, c],
                usize::MAX,
            );
            let (response, _) = answer.unwrap().unwrap();
            assert_eq!(response.headers.get("Upgrade"), Some(&b"websocket"[..]));
        }
    }
}

/// Responses that a client does not accept, and the reason.
#[rustfmt::skip]
fn invalid() -> Vec<(&'static str, String, ResponseError)> {
    use ResponseError as E;
    let swap = |name: &str, new: &str| line(RESPONSE, name, new);
    let more = |lines: &str| with(RESPONSE, lines);
    let start = |line: &str| RESPONSE.replacen("HTTP/1.1 101 Switching Protocols", line, 1);
    let accept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
    let mut responses = vec![
        ("RFC 9110 §7.8: HTTP/1.0", start("HTTP/1.0 101 Switching Protocols"), E::Version),
        ("item 2: no Upgrade", swap("Upgrade", ""), E::Upgrade),
        ("item 2: foo", swap("Upgrade", "Upgrade: foo"), E::Upgrade),
        ("item 2: the value must match", swap("Upgrade", "Upgrade: websocket, h2c"), E::Upgrade),
        ("item 2: twice", more("Upgrade: websocket"), E::Upgrade),
        ("item 3: no Connection", swap("Connection", ""), E::Connection),
        ("item 3: upgraded", swap("Connection", "Connection: upgraded"), E::Connection),
        ("item 4: no Accept", swap("Sec-WebSocket-Accept", ""), E::Accept),
        ("item 4: another Accept", swap("Sec-WebSocket-Accept", "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="), E::Accept),
        ("item 4: base64 has a case", swap("Sec-WebSocket-Accept", &format!("Sec-WebSocket-Accept: {}", accept.to_lowercase())), E::Accept),
        ("item 4: a prefix", swap("Sec-WebSocket-Accept", &format!("Sec-WebSocket-Accept: {}", accept.trim_end_matches('='))), E::Accept),
        ("§11.3.3: twice, right and wrong", more("Sec-WebSocket-Accept: x"), E::Accept),
        ("§11.3.3: twice, both right", more(&format!("Sec-WebSocket-Accept: {accept}")), E::Accept),
        ("item 5: extension", more("Sec-WebSocket-Extensions: permessage-deflate"), E::Extension),
        ("item 5: malformed extension", more("Sec-WebSocket-Extensions: permessage-deflate;;"), E::Extensions),
        ("§4.2.2: no extensions", more("Sec-WebSocket-Extensions:"), E::Extensions),
        ("RFC 9110 §5.6.1: empty elements do not count", more("Sec-WebSocket-Extensions: ,, ,"), E::Extensions),
        ("§11.3.2: two extension fields", more("Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: a"), E::Extensions),
        ("item 6: subprotocol", more("Sec-WebSocket-Protocol: chat"), E::Subprotocol),
        ("§4.2.2: no subprotocol", more("Sec-WebSocket-Protocol:"), E::Subprotocols),
        ("§4.3: a list", more("Sec-WebSocket-Protocol: ,"), E::Subprotocols),
        ("RFC 9112 §2.2: bare LF", RESPONSE.replace("\r\n", "\n"), E::Syntax),
        ("RFC 9112 §2.2: white space before the first field", RESPONSE.replacen("Upgrade", " X: a\r\nUpgrade", 1), E::Syntax),
        ("RFC 9112 §5.1: a folded name", swap("Upgrade", "Upgrade\r\n : websocket"), E::Syntax),
        ("101 lines of one field", more(&format!("X:{}", "\r\n x".repeat(97))), E::TooManyFields),
        ("RFC 9112 §5.1: space before the colon", swap("Upgrade", "Upgrade : websocket"), E::Syntax),
        ("RFC 9110 §5.5: NUL", more("X: \0"), E::Syntax),
        ("a line of 8,193 bytes", more(&format!("X-A: {}", "a".repeat(8193 - 5))), E::LineTooLong),
        ("a status line of 8,193 bytes", start(&format!("HTTP/1.1 101 {}", "a".repeat(8193 - 13))), E::LineTooLong),
        ("101 fields", more(&vec!["X: x"; 98].join("\r\n")), E::TooManyFields),
        ("16 KiB of fields", more(&vec![format!("X: {}", "x".repeat(4096)); 4].join("\r\n")), E::HeadTooLarge),
    ];
    for status in ["HTTP/1.1 99 X", "HTTP/1.1 099 X", "HTTP/1.1 1010 X", "HTTP/1.1 1x1 X", "HTTP/1.1 -1 X", "HTTP/1.1 101.0 X", "HTTP/1.1101", "HTTP/2 101 X", "http/1.1 101 X", "garbage", "HTTP/1.1  101 X"] {
        responses.push(("RFC 9112 §4: status line", start(status), E::Syntax));
    }
    responses
}

/// Sends the responses of `section`, cut in many ways.
fn are_invalid(section: &str) {
    let mut count = 0;
    for (name, response, expected) in invalid() {
        if !name.starts_with(section) {
            continue;
        }
        count += 1;
        for step in [1, 2, 3, 7, 100, usize::MAX] {
            let mut client = client_with(request(), config());
            let answer = answer_to(&mut client, &[response.as_bytes()], step);
            assert_eq!(
                answer.map(|_| ()).unwrap_err(),
                expected.into(),
                "{name}, step {step}"
            );
            assert!(client.exchange().is_done() && !client.exchange().wants_shutdown());
            assert!(matches!(client.poll(), Ok(None)), "one error");
        }
    }
    assert!(count > 0, "{section}");
}

/// "MUST replace each received obs-fold with one or more SP octets prior to interpreting the field value".
#[test]
fn rfc9112_s5_2_a_folded_field_of_a_response_is_one_line() {
    let folded = [
        "Upgrade:\r\n websocket",
        "Upgrade:\t\r\n\t \r\n\twebsocket \r\n ",
    ];
    for field in folded {
        let head = with(
            &line(RESPONSE, "Upgrade", field),
            "X: a\r\n  b\t\r\n\tc\r\nY: d\te",
        );
        let (response, _) = answer(head).unwrap().unwrap();
        let get = |name| response.headers.get(name).unwrap();
        assert_eq!(get("Upgrade"), b"websocket");
        assert_eq!(get("X"), b"a    b    c", "as long as before");
        assert_eq!(get("Y"), b"d\te");
    }
    // A refusal is still reported, and ends where it says.
    let refusal = "HTTP/1.1 401 X\r\nWWW-Authenticate: Basic\r\n realm=\"a\"\r\nContent-Length:\r\n 2\r\n\r\nno";
    for step in [1, 2, 3, 7, usize::MAX] {
        let mut client = client_with(request(), config());
        let answer = answer_to(&mut client, &[refusal.as_bytes()], step);
        let HandshakeError::Refused(response) = answer.unwrap_err() else {
            panic!("refused")
        };
        assert_eq!((response.status, &response.body[..]), (401, &b"no"[..]));
        let field = response.headers.get("WWW-Authenticate");
        assert_eq!(field, Some(&b"Basic   realm=\"a\""[..]));
    }
}

/// "If the server's response does not conform to the requirements … the client MUST _Fail the
/// WebSocket Connection_."
#[test]
fn s4_1_invalid_responses_do_not() {
    are_invalid("");
}

#[test]
fn s4_1_response_item_2_its_upgrade_is_websocket() {
    are_invalid("item 2:");
}

#[test]
fn s4_1_response_item_3_its_connection_has_the_token_upgrade() {
    are_invalid("item 3:");
}

#[test]
fn s4_1_response_item_4_its_accept_belongs_to_the_key() {
    are_invalid("item 4:");
}

#[test]
fn s4_1_response_item_5_its_extensions_were_offered() {
    are_invalid("item 5:");
}

#[test]
fn s4_1_response_item_6_its_subprotocol_was_offered() {
    are_invalid("item 6:");
}

#[test]
fn s11_3_2_its_extensions_are_there_once() {
    are_invalid("§11.3.2:");
}

#[test]
fn s4_2_2_an_empty_field_is_not_the_same_as_none() {
    are_invalid("§4.2.2:");
}

#[test]
fn s11_3_3_its_accept_is_there_once() {
    are_invalid("§11.3.3:");
}

#[test]
fn s4_1_the_subprotocol_is_one_that_was_offered() {
    let open = |picked: &str| {
        let mut offer = request();
        offer
            .headers_mut()
            .push("Sec-WebSocket-Protocol", "a, b")
            .unwrap();
        let response = if picked.is_empty() {
            RESPONSE.to_owned()
        } else {
            with(RESPONSE, picked)
        };
        answer_to(
            &mut client_with(offer, config()),
            &[response.as_bytes()],
            usize::MAX,
        )
        .map(|open| open.is_some())
    };
    assert_eq!(open("Sec-WebSocket-Protocol: b"), Ok(true));
    assert_eq!(open(""), Ok(true), "a server may pick none");
    for picked in ["B", "c"] {
        let error = open(&format!("Sec-WebSocket-Protocol: {picked}"));
        assert_eq!(error, Err(ResponseError::Subprotocol.into()), "{picked}");
    }
    for picked in ["", "a, b", "a,", "\"a\""] {
        let error = open(&format!("Sec-WebSocket-Protocol: {picked}"));
        assert_eq!(error, Err(ResponseError::Subprotocols.into()), "{picked}");
    }
    // §11.3.4: "MUST NOT appear more than once in an HTTP response".
    let error = open("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b");
    assert_eq!(error, Err(ResponseError::Subprotocols.into()));
}

#[test]
fn s4_1_nothing_is_sent_behind_the_request_before_the_response() {
    let mut client = Client::new(request(), shared()).unwrap();
    assert_eq!(written(client.exchange()), REQUEST.as_bytes());
    for byte in &RESPONSE.as_bytes()[..RESPONSE.len() - 1] {
        assert!(matches!(answer_to(&mut client, &[&[*byte]], 1), Ok(None)));
        assert!(client.exchange().transmit().is_none());
    }
    assert!(answer_to(&mut client, &[b"\n"], 1).unwrap().is_some());
}
