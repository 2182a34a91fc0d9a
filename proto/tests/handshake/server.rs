//! The parts of a request that a server reports (RFC 6455 §4.2.1), its 101 (§4.2.2), and `respond`.

use bowline_proto::{
    ConnectionError, Lost,
    handshake::{
        AnswerError, HandshakeError, Headers, HttpVersion, Origins, RequestError, respond,
    },
};
use proptest::prelude::*;
use testing::polls::Polls;

use super::{
    requests::{bytes, invalid, valid},
    *,
};

#[test]
fn s1_3_s4_2_2_accept_is_the_hash_of_the_key() {
    let mut connection = incoming(REQUEST).accept(None, Headers::new()).unwrap();
    assert_eq!(output(&mut connection), RESPONSE);
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
    /// Cuts change nothing, whatever is wrong with a request.
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
    let mut connection = incoming(&request).accept(Some("v2"), extra).unwrap();
    let head = output(&mut connection);
    assert_eq!(values(&head, "Sec-WebSocket-Protocol"), ["v2"]);
    assert_eq!(values(&head, "Set-Cookie"), ["a=b"]);
    assert!(values(&head, "Sec-WebSocket-Extensions").is_empty());
    // The server need not pick one.
    let opened = output(&mut incoming(&request).open());
    assert_eq!(opened, RESPONSE);
    let mut connection = incoming(&request).accept(None, Headers::new()).unwrap();
    assert!(values(&output(&mut connection), "Sec-WebSocket-Protocol").is_empty());
}

#[test]
fn s4_2_2_only_offered_subprotocols_and_fields_of_the_application() {
    let mut incoming = incoming(with(REQUEST, "Sec-WebSocket-Protocol: chat"));
    for subprotocol in ["v2", "Chat", "chat, v2", ""] {
        let error = incoming
            .accept(Some(subprotocol), Headers::new())
            .unwrap_err();
        assert_eq!(error.error, AnswerError::NotOffered);
        assert_eq!(error.to_string(), AnswerError::NotOffered.to_string());
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
        let error = incoming.accept(Some("chat"), extra).unwrap_err();
        assert!(
            matches!(error.error, AnswerError::Reserved(reserved) if reserved.eq_ignore_ascii_case(name))
        );
        incoming = *error.incoming;
    }
    let mut connection = incoming.accept(Some("chat"), Headers::new()).unwrap();
    assert!(output(&mut connection).starts_with("HTTP/1.1 101 "));
}

#[test]
fn frames_behind_the_request_are_kept() {
    let mut input = REQUEST.as_bytes().to_vec();
    input.extend_from_slice(b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58");
    let mut connection = incoming(&input).accept(None, Headers::new()).unwrap();
    assert_eq!(texts(&mut connection), ["Hello"]);
}

#[test]
fn much_behind_the_request_is_kept_in_order() {
    let mut input = REQUEST.as_bytes().to_vec();
    for i in 0..100_000_u32 {
        input.extend_from_slice(b"\x81\x85\0\0\0\0");
        input.extend_from_slice(format!("{i:05}").as_bytes());
    }
    let mut server = Server::new(shared());
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
    let mut connection = incoming.accept(None, Headers::new()).unwrap();
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
        let mut server = Server::new(shared());
        read(server.exchange(), REQUEST.as_bytes(), usize::MAX);
        match lost {
            Lost::Eof => server.exchange().handle_eof(),
            lost => server.exchange().handle_error(lost),
        }
        let incoming = server.poll().unwrap().unwrap();
        let mut connection = incoming.accept(None, Headers::new()).unwrap();
        assert_eq!(
            connection.poll_event().unwrap_err(),
            ConnectionError::Lost(lost)
        );
    }
}

/// Returns what another HTTP server would pass on: the version, the method and the fields.
fn parsed(request: &str) -> Option<(HttpVersion, &str, Vec<Field<'_>>)> {
    let (head, _) = request.split_once("\r\n\r\n")?;
    let (start, fields) = head.split_once("\r\n")?;
    let fields = fields.split("\r\n").map(|line| {
        let (name, value) = line.split_once(':')?;
        Some((name, bytes(value.trim_matches([' ', '\t']))))
    });
    let version = match start.rsplit(' ').next()? {
        "HTTP/1.0" => HttpVersion::Http10,
        "HTTP/1.1" => HttpVersion::Http11,
        _ => HttpVersion::Other,
    };
    let method = start.split(' ').next()?;
    Some((version, method, fields.collect::<Option<_>>()?))
}

type Field<'a> = (&'a str, Vec<u8>);

fn respond_to(request: &str, subprotocols: &[&str]) -> Option<Result<Headers, RequestError>> {
    respond_if(request, subprotocols, Origins::Any)
}

fn respond_if(
    request: &str,
    subprotocols: &[&str],
    origins: Origins<'_>,
) -> Option<Result<Headers, RequestError>> {
    let (version, method, fields) = parsed(request)?;
    let fields = fields.iter().map(|(name, value)| (*name, &value[..]));
    Some(
        respond(version, method, fields, subprotocols, origins, &config()).map(
            |(headers, negotiated)| {
                let picked = headers.get("Sec-WebSocket-Protocol");
                assert_eq!(
                    picked,
                    negotiated.subprotocol.as_ref().map(|name| name.as_bytes())
                );
                headers
            },
        ),
    )
}

#[test]
fn respond_decides_as_the_machine_does() {
    let mut compared = 0;
    for (name, request, expected) in invalid() {
        use RequestError::*;
        // Faults that the other server has checked, or has limits of its own for.
        if matches!(
            expected,
            Syntax | Version | Target | TargetTooLong | HeadTooLarge
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

/// The parsing server may accept HTTP/1.0, as hyper does.
#[test]
fn rfc9110_s7_8_respond_refuses_http_1_0_and_what_is_no_1_1() {
    for (version, error) in [
        ("HTTP/1.0", RequestError::Http10),
        ("HTTP/0.9", RequestError::Version),
        ("HTTP/2.0", RequestError::Version),
    ] {
        let request = REQUEST.replacen("HTTP/1.1", version, 1);
        assert_eq!(respond_to(&request, &[]), Some(Err(error)), "{version}");
    }
}

#[test]
fn s10_2_respond_lets_in_pages_of_its_own_host() {
    for (origin, allowed) in [
        ("http://a.test", true),
        ("https://A.Test", true),
        ("https://a.test:8443", false),
        ("http://test", false),
        ("null", false),
    ] {
        let request = with(REQUEST, &format!("Origin: {origin}"));
        let answered = respond_if(&request, &[], Origins::SameHost).unwrap();
        let from = incoming(&request).is_from(Origins::SameHost);
        assert_eq!(from, allowed, "{origin}");
        match allowed {
            true => assert!(answered.is_ok(), "{origin}"),
            false => assert_eq!(answered, Err(RequestError::ForeignOrigin), "{origin}"),
        }
    }
    let no_browser = respond_if(REQUEST, &[], Origins::SameHost).unwrap();
    assert!(no_browser.is_ok());
}

#[test]
fn s10_2_respond_lets_pages_in_by_their_origin() {
    let ours = ["https://a.test", "http://b.test:81"];
    for (origin, allowed) in [
        ("", true),
        ("Origin: https://a.test", true),
        ("Origin: HTTPS://A.test:443", true),
        ("Origin: http://b.test:81", true),
        ("Origin: http://a.test", false),
        ("Origin: http://b.test", false),
        ("Origin: https://a.test.evil", false),
        ("Origin: null", false),
        ("Origin: nonsense", false),
    ] {
        let request = match origin {
            "" => REQUEST.to_owned(),
            origin => with(REQUEST, origin),
        };
        let answered = respond_if(&request, &[], Origins::Listed(&ours)).unwrap();
        match allowed {
            true => assert!(answered.is_ok(), "{origin}"),
            false => assert_eq!(answered, Err(RequestError::ForeignOrigin), "{origin}"),
        }
        assert!(
            respond_if(&request, &[], Origins::Any).unwrap().is_ok(),
            "{origin}"
        );
        let incoming = incoming(&request);
        assert_eq!(incoming.origin_allowed(&ours), allowed, "{origin}");
        assert_eq!(
            incoming.is_from(Origins::Listed(&ours)),
            allowed,
            "{origin}"
        );
        assert!(incoming.is_from(Origins::Any), "{origin}");
    }
}
