//! The client's request (RFC 6455 §4.1), and the refusals that it reports.

use bowline_proto::{
    ConnectionError, Lost,
    handshake::{OfferError, ResponseError},
};
use testing::polls::Polls;

use super::*;

fn sent(request: Request) -> String {
    let mut client = Client::new(request, shared()).unwrap();
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
    let mut client = Client::new(offer, shared()).unwrap();
    let incoming = incoming(written(client.exchange()));
    let mut server = incoming.accept(Some("chat"), Default::default()).unwrap();
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
        let mut client = Client::new(request(), config.clone()).unwrap();
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
        Client::new(request, shared()).map(|_| ())
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

/// Returns the report of a refusal, which must be the same however it is cut.
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
    // In any arrival: here all of the body comes with the head.
    let chunk = |line: usize| {
        let extension = "x".repeat(line - "1;\r\n".len());
        format!("1;{extension}\r\na\r\n0\r\n\r\n")
    };
    assert_eq!(body(chunk(256).as_bytes(), false), "a");
    assert_eq!(body(chunk(257).as_bytes(), false), "", "too long a line");
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
    // Encodings are not decoded either.
    let refused = refusal(
        b"HTTP/1.1 403 X\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\n\x1f\x8b\x08",
        false,
    );
    assert_eq!(&refused.body[..], b"\x1f\x8b\x08");
}

fn error(response: impl AsRef<[u8]>) -> HandshakeError {
    match answer(response) {
        Err(error) => error,
        Ok(None) => panic!("the client waits"),
        Ok(Some(_)) => panic!("the client is connected"),
    }
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
    // All of them together share one limit.
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
    let (_, mut connection) = client.poll().unwrap().unwrap();
    assert!(matches!(connection.poll_event(), Ok(Some(Event::Data(_)))));
    assert_eq!(
        connection.poll_event().unwrap_err(),
        ConnectionError::Lost(Lost::Eof)
    );
}

#[test]
fn the_rest_of_a_request_that_was_answered_early_goes_before_frames() {
    let mut client = Client::new(request(), shared()).unwrap();
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
    let (_, mut connection) = client.poll().unwrap().unwrap();
    let mut count = texts(&mut connection).len();
    while !rest.is_empty() {
        rest = &rest[connection.receive(rest)..];
        count += texts(&mut connection).len();
    }
    assert_eq!(count, 50_000, "nothing is lost");
}

#[test]
fn nothing_is_written_to_a_transport_that_failed() {
    let mut client = Client::new(request(), shared()).unwrap();
    client.exchange().handle_error(Lost::Reset);
    assert!(client.exchange().transmit().is_none());
    assert_eq!(
        client.poll().map(|_| ()).unwrap_err(),
        HandshakeError::Lost(Lost::Reset)
    );
}

#[test]
fn the_deadlines_of_a_connection_begin_when_it_is_told_the_time() {
    let (_, client) = answer(RESPONSE).unwrap().unwrap();
    let server = incoming(REQUEST).open();
    for mut connection in [client, server] {
        assert_eq!(connection.poll_timeout(), Some(Instant::EPOCH), "it asks");
        connection.handle_timeout(at(9));
        assert_eq!(
            connection.poll_timeout(),
            Some(at(29)),
            "keep-alive runs from then"
        );
    }
}
