//! What a client sends (RFC 6455 §4.1), and what it makes of responses.

use bowline_proto::{
    Lost, RecvError,
    handshake::{OfferError, ResponseError},
};

use super::*;

fn sent(request: Request) -> String {
    let mut client = Client::new(request, &shared(), at(1)).unwrap();
    String::from_utf8(written(client.exchange())).unwrap()
}

#[test]
fn s4_1_the_request() {
    let mut with_fields = Request::new("a.test:8080", "/chat?x=1").unwrap();
    with_fields
        .headers_mut()
        .push("Origin", "https://a.test")
        .unwrap();
    with_fields
        .headers_mut()
        .push("Sec-WebSocket-Protocol", "chat")
        .unwrap();
    with_fields.headers_mut().push("Cookie", "a=b").unwrap();
    with_fields
        .headers_mut()
        .push("sec-websocket-protocol", "v2 ,v3")
        .unwrap();
    assert_eq!(
        sent(with_fields),
        "GET /chat?x=1 HTTP/1.1\r\nHost: a.test:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Protocol: chat, v2, v3\r\nOrigin: https://a.test\r\nCookie: a=b\r\n\r\n"
    );
    assert_eq!(sent(request()), REQUEST);
}

#[test]
fn s4_1_our_request_is_one_that_our_server_takes() {
    let mut offer = request();
    offer
        .headers_mut()
        .push("Sec-WebSocket-Protocol", "chat")
        .unwrap();
    let mut client = Client::new(offer, &shared(), at(1)).unwrap();
    let incoming = incoming(written(client.exchange()));
    let mut server = incoming
        .accept(Some("chat"), Default::default(), at(2))
        .unwrap();
    let response = output(&mut server);
    let (response, _) = answer_to(&mut client, &[response.as_bytes()], 3)
        .unwrap()
        .unwrap();
    assert_eq!(
        response.headers.get("Sec-WebSocket-Protocol"),
        Some(&b"chat"[..])
    );
}

#[test]
fn s4_1_keys_are_drawn_anew() {
    use std::{
        collections::HashSet,
        sync::atomic::{AtomicU64, Ordering::Relaxed},
    };
    static DRAWS: AtomicU64 = AtomicU64::new(0);
    let config = Arc::new(Config::new(|bytes| {
        bytes.fill(0);
        bytes[..8].copy_from_slice(&DRAWS.fetch_add(1, Relaxed).to_be_bytes());
        Ok(())
    }));
    let key = || {
        let mut client = Client::new(request(), &config, at(1)).unwrap();
        let head = String::from_utf8(written(client.exchange())).unwrap();
        values(&head, "Sec-WebSocket-Key")[0].to_owned()
    };
    let keys: HashSet<String> = (0..10_000).map(|_| key()).collect();
    assert_eq!(keys.len(), 10_000);
}

#[test]
fn s4_1_nothing_is_sent_that_no_server_could_read() {
    for target in [
        "",
        "chat",
        "*",
        "/a b",
        "/a\tb",
        "/a\r\nX: y",
        "/\0",
        "/a#b",
        "/é",
        "http://a.test/",
    ] {
        assert_eq!(
            Request::new("a.test", target).unwrap_err(),
            OfferError::Target,
            "{target:?}"
        );
    }
    for host in [
        "",
        "a b",
        "a\r\nX: y",
        "a\0",
        "a\tb",
        "a/b",
        "u@a",
        "a:65536",
        "é.test",
        "[::1",
    ] {
        assert_eq!(
            Request::new(host, "/").unwrap_err(),
            OfferError::Host,
            "{host:?}"
        );
    }
    let offer = |name: &'static str, value: &'static str| {
        let mut request = request();
        request.headers_mut().push(name, value).unwrap();
        Client::new(request, &shared(), at(1)).map(|_| ())
    };
    for name in [
        "Upgrade",
        "connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Content-Length",
        "transfer-encoding",
    ] {
        let error = offer(name, "x").unwrap_err();
        assert!(
            matches!(error, OfferError::Reserved(reserved) if reserved.eq_ignore_ascii_case(name)),
            "{name}"
        );
    }
    assert_eq!(offer("host", "b.test"), Err(OfferError::Host));
    for subprotocols in ["a b", "a, a", "", ",", "ch@t", "\"chat\"", "é"] {
        assert_eq!(
            offer("Sec-WebSocket-Protocol", subprotocols),
            Err(OfferError::Subprotocol),
            "{subprotocols:?}"
        );
    }
    assert_eq!(offer("Sec-WebSocket-Protocol", "a, b"), Ok(()));
}

fn error(response: impl AsRef<[u8]>) -> HandshakeError {
    match answer(response) {
        Err(error) => error,
        Ok(None) => panic!("the client waits"),
        Ok(Some(_)) => panic!("the client is connected"),
    }
}

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
                if let Some(open) = poll(&mut client).unwrap() {
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

#[test]
#[rustfmt::skip]
fn s4_1_invalid_responses_do_not() {
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
        ("item 5: malformed extension", more("Sec-WebSocket-Extensions: permessage-deflate;;"), E::Extension),
        ("§11.3.2: two extension fields", more("Sec-WebSocket-Extensions: a\r\nSec-WebSocket-Extensions: a"), E::Extension),
        ("item 6: subprotocol", more("Sec-WebSocket-Protocol: chat"), E::Subprotocol),
        ("item 6: empty subprotocol", more("Sec-WebSocket-Protocol:"), E::Subprotocol),
        ("RFC 9112 §2.2: bare LF", RESPONSE.replace("\r\n", "\n"), E::Syntax),
        ("RFC 9112 §5.2: obs-fold", swap("Upgrade", "Upgrade:\r\n websocket"), E::Syntax),
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
    for (name, response, expected) in responses {
        for step in [1, 2, 3, 7, 100, usize::MAX] {
            let mut client = client_with(request(), config());
            let error = answer_to(&mut client, &[response.as_bytes()], step).map(|_| ()).unwrap_err();
            assert_eq!(error, expected.into(), "{name}, step {step}");
            assert!(client.exchange().is_done() && !client.exchange().wants_shutdown());
            assert!(matches!(client.poll(), Ok(None)), "one error");
        }
    }
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
    for picked in ["B", "c", "a, b", "a,", "\"a\""] {
        let error = open(&format!("Sec-WebSocket-Protocol: {picked}"));
        assert_eq!(error, Err(ResponseError::Subprotocol.into()), "{picked}");
    }
    // §11.3.4: "MUST NOT appear more than once in an HTTP response".
    let error = open("Sec-WebSocket-Protocol: a\r\nSec-WebSocket-Protocol: b");
    assert_eq!(error, Err(ResponseError::Subprotocol.into()));
}

/// What is known of a refusal, however it is cut.
fn refusal(response: &[u8], then_eof: bool) -> Response {
    let mut refusals = Vec::new();
    for step in [1, 2, 3, 7, 100, usize::MAX] {
        let mut client = client_with(request(), config());
        let mut answer = answer_to(&mut client, &[response], step);
        if then_eof {
            assert!(matches!(answer, Ok(None)), "the body is not complete");
            client.exchange().handle_eof();
            answer = client.poll();
        }
        match answer {
            Err(error @ HandshakeError::Refused(_)) => {
                refusals.push(error.response().unwrap().clone())
            }
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("step {step}: the client waits, or is connected"),
        }
        assert!(client.exchange().is_done());
        assert!(matches!(client.poll(), Ok(None)), "one error");
    }
    assert!(refusals.iter().all(|refusal| *refusal == refusals[0]));
    refusals.swap_remove(0)
}

#[test]
fn s4_1_any_other_status_is_a_refusal_with_its_fields_and_body() {
    let refused = refusal(
        b"HTTP/1.1 302 Found\r\nLocation: ws://other/\r\nContent-Length: 0\r\n\r\n",
        false,
    );
    assert_eq!(
        (refused.status, refused.headers.get("Location")),
        (302, Some(&b"ws://other/"[..]))
    );
    let refused = refusal(
        b"HTTP/1.1 401 X\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 2\r\n\r\nno",
        false,
    );
    assert_eq!((refused.status, &refused.body[..]), (401, &b"no"[..]));
    assert_eq!(
        refused.headers.get("www-authenticate"),
        Some(&b"Basic realm=x"[..])
    );
    let refused = refusal(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
        false,
    );
    assert_eq!((refused.status, &refused.body[..]), (200, &b"ok"[..]));
    let refused = refusal(b"HTTP/1.0 503 X\r\n\r\nuntil the end", true);
    assert_eq!(
        (refused.status, &refused.body[..]),
        (503, &b"until the end"[..])
    );
    let refused = refusal(b"HTTP/1.1 204 X\r\nContent-Length: 5\r\n\r\n", false);
    assert_eq!((refused.status, &refused.body[..]), (204, &b""[..]));
}

#[test]
fn rfc9112_s7_1_chunked_bodies_are_decoded() {
    let head = b"HTTP/1.1 403 X\r\nTransfer-Encoding: gzip, chunked\r\nContent-Length: 3\r\n\r\n";
    let body = |body: &[u8], then_eof| refusal(&[head, body].concat(), then_eof).body;
    assert_eq!(
        body(
            b"2\r\nno\r\nA;x=y\r\n, not at a\r\n2\r\nll\r\n0\r\n\r\n",
            false
        ),
        "no, not at all"
    );
    assert_eq!(body(b"5\r\nab", true), "ab", "cut short");
    assert_eq!(body(b"2\r\nnoXX", false), "no", "malformed");
    assert_eq!(body(b"2\r\nno\r\nx\r\n", false), "no", "malformed");
    assert_eq!(
        body(&[b"2\r\nno\r\n1;", &[b'x'; 300][..]].concat(), false),
        "no",
        "an endless line"
    );
    let coded = refusal(
        b"HTTP/1.1 403 X\r\nTransfer-Encoding: gzip\r\nContent-Length: 1\r\n\r\n1234",
        true,
    );
    assert_eq!(coded.body, "1234", "another coding ends with the transport");
}

#[test]
fn a_declared_length_reserves_nothing() {
    let response = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10737418240\r\n\r\n";
    let mut client = client_with(request(), config());
    assert!(matches!(
        answer_to(&mut client, &[response], usize::MAX),
        Ok(None)
    ));
    client.exchange().handle_timeout(at(11));
    let HandshakeError::Refused(response) = client.poll().map(|_| ()).unwrap_err() else {
        panic!("refused")
    };
    assert_eq!((response.status, response.body.len()), (403, 0));
    // Nor is anything made of an encoding.
    let refused = refusal(
        b"HTTP/1.1 403 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        false,
    );
    assert_eq!(&refused.body[..], b"\x1f\x8b\x08");
}

#[test]
fn rfc9110_s15_2_interim_responses_are_skipped() {
    let interim = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n";
    for step in [1, 2, 3, 7, 100, usize::MAX] {
        let response = format!("{interim}{RESPONSE}");
        let answer = answer_to(
            &mut client_with(request(), config()),
            &[response.as_bytes()],
            step,
        );
        let (response, _) = answer.unwrap().unwrap();
        assert_eq!((response.status, response.headers.get("Link")), (101, None));
    }
    assert_eq!(
        error(format!(
            "{interim}HTTP/1.1 404 X\r\nContent-Length: 0\r\n\r\n"
        ))
        .response()
        .unwrap()
        .status,
        404
    );
    // All together have the room of one.
    let hints = format!("HTTP/1.1 103 X\r\nLink: {}\r\n\r\n", "a".repeat(2000)).repeat(9);
    assert_eq!(error(hints + RESPONSE), ResponseError::HeadTooLarge.into());
}

#[test]
fn a_response_that_is_cut_short_is_told_from_none() {
    for lost in [Lost::Eof, Lost::Reset] {
        for cut in [0, 1, RESPONSE.len() - 1] {
            let mut client = client_with(request(), config());
            assert!(matches!(
                answer_to(&mut client, &[&RESPONSE.as_bytes()[..cut]], usize::MAX),
                Ok(None)
            ));
            match lost {
                Lost::Eof => client.exchange().handle_eof(),
                lost => client.exchange().handle_error(lost),
            }
            let expected = if cut == 0 {
                HandshakeError::Lost(lost)
            } else {
                HandshakeError::Truncated(lost)
            };
            assert_eq!(client.poll().map(|_| ()).unwrap_err(), expected);
        }
    }
}

#[test]
fn the_end_of_the_transport_behind_the_response_is_known_to_the_connection() {
    let mut client = client_with(request(), config());
    let mut bytes = RESPONSE.as_bytes().to_vec();
    bytes.extend_from_slice(b"\x81\x05Hello");
    read(client.exchange(), &bytes, usize::MAX);
    client.exchange().handle_eof();
    let (_, mut connection) = poll(&mut client).unwrap().unwrap();
    assert!(matches!(connection.poll_event(), Ok(Some(Event::Data(_)))));
    assert_eq!(
        connection.poll_event().unwrap_err(),
        RecvError::Lost(Lost::Eof)
    );
}

#[test]
fn the_rest_of_a_request_that_was_answered_early_goes_before_frames() {
    let mut client = Client::new(request(), &shared(), at(1)).unwrap();
    client
        .exchange()
        .transmit()
        .unwrap()
        .advance(REQUEST.len() - 2);
    client.exchange().handle_sent(false);
    let (_, mut connection) = answer_to(&mut client, &[RESPONSE.as_bytes()], usize::MAX)
        .unwrap()
        .unwrap();
    assert_eq!(output(&mut connection), "\r\n");
}

#[test]
fn nothing_is_read_before_what_was_read_is_polled() {
    let mut client = client_with(request(), config());
    read(client.exchange(), b"HTTP", usize::MAX);
    assert!(client.exchange().recv_buf().is_none());
    assert!(matches!(client.poll(), Ok(None)));
    assert!(client.exchange().recv_buf().is_some());
}

#[test]
fn what_comes_behind_the_head_fits_into_a_new_connection() {
    let mut config = config();
    (config.max_head_size, config.max_head_line) = (1 << 20, 1 << 20);
    let mut client = client_with(request(), config);
    let interim = format!("HTTP/1.1 103 X\r\nX: {}\r\n\r\n", "x".repeat(500_000));
    assert!(matches!(
        answer_to(&mut client, &[interim.as_bytes()], usize::MAX),
        Ok(None)
    ));
    let bytes = [RESPONSE.as_bytes(), &b"\x81\x05Hello".repeat(50_000)].concat();
    let mut rest = &bytes[read(client.exchange(), &bytes, usize::MAX)..];
    let (_, mut connection) = poll(&mut client).unwrap().unwrap();
    let mut count = texts(&mut connection).len();
    while !rest.is_empty() {
        rest = &rest[connection.receive(rest)..];
        count += texts(&mut connection).len();
    }
    assert_eq!(count, 50_000, "nothing is lost");
}

#[test]
fn nothing_is_written_to_a_transport_that_failed() {
    let mut client = Client::new(request(), &shared(), at(1)).unwrap();
    client.exchange().handle_error(Lost::Reset);
    assert!(client.exchange().transmit().is_none());
    assert_eq!(
        client.poll().map(|_| ()).unwrap_err(),
        HandshakeError::Lost(Lost::Reset)
    );
}

#[test]
fn a_connection_begins_when_the_time_is_told() {
    let mut client = client_with(request(), config());
    read(client.exchange(), RESPONSE.as_bytes(), usize::MAX);
    assert!(
        matches!(client.poll(), Ok(None)),
        "it asks for the time first"
    );
    assert_eq!(client.exchange().poll_timeout(), Some(Instant::EPOCH));
    assert!(client.exchange().recv_buf().is_none());
    client.exchange().handle_timeout(at(9));
    let (_, connection) = client.poll().unwrap().unwrap();
    assert_eq!(
        connection.poll_timeout(),
        Some(at(29)),
        "keep-alive runs from then"
    );
}
