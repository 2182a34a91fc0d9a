//! Requests for a page, which `poll_any` returns beside opening handshakes.

use bowline_proto::{
    Lost,
    handshake::{Arrived, PageRequest, RequestError},
};
use proptest::prelude::*;

use super::{
    requests::{bytes, invalid, valid},
    *,
};

const PAGE: &str = "GET /page?a=b HTTP/1.1\r\nHost: a.test\r\nAccept: text/html\r\n\r\n";

fn serve_any(request: impl AsRef<[u8]>) -> Served<Arrived> {
    serve_by(Server::poll_any, config(), &[request.as_ref()], usize::MAX)
}

/// Returns the request, which is one for a page.
fn page(request: impl AsRef<[u8]>) -> PageRequest {
    match serve_any(request).1 {
        Ok(Some(Arrived::Page(page))) => page,
        other => panic!("no page: {other:?}"),
    }
}

fn head(request: &str) -> String {
    request.replacen("GET", "HEAD", 1)
}

fn text(exchange: &mut Exchange) -> String {
    String::from_utf8(written(exchange)).expect("text")
}

#[test]
fn a_get_or_head_that_asks_for_no_websocket_is_one_for_a_page() {
    for request in [
        PAGE.to_owned(),
        with(PAGE, "Upgrade: h2c\r\nConnection: Upgrade"),
        with(PAGE, "Upgrade: websocket2"),
        with(PAGE, "Connection: Upgrade"),
        with(PAGE, "Content-Length: 0"),
        line(REQUEST, "Upgrade", "").replacen("/chat", "/page?a=b", 1),
    ] {
        for (request, is_head) in [(head(&request), true), (request, false)] {
            let page = page(&request);
            assert_eq!(page.is_head(), is_head, "{request}");
            assert_eq!(page.request().target(), "/page?a=b");
            assert_eq!(page.request().host(), Some("a.test"));
        }
    }
    let page = page(PAGE.replacen("/page", "http://b.test/page", 1));
    assert_eq!(page.request().path(), "/page");
    assert_eq!(page.request().host(), Some("b.test"));
    assert_eq!(
        page.request().headers().get("Accept"),
        Some(&b"text/html"[..])
    );
}

#[test]
fn a_page_is_the_last_answer_on_its_transport() {
    let mut response = Response::new(200, "hello");
    response.headers.push("Content-Type", "text/plain").unwrap();
    response.headers.push("Content-Length", "999").unwrap();
    response.headers.push("Connection", "keep-alive").unwrap();
    let expected = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: 5\r\n\r\n";
    let pipelined = format!("{PAGE}{PAGE}");
    let mut exchange = page(pipelined).respond(response.clone());
    assert_eq!(text(&mut exchange), format!("{expected}hello"));
    assert!(exchange.wants_shutdown() && !exchange.is_done());
    exchange.handle_eof();
    assert!(exchange.is_done());
    // RFC 9110 §9.3.2: the same fields "as if the request method had been GET".
    assert_eq!(text(&mut page(head(PAGE)).respond(response)), expected);
}

#[test]
fn rfc9110_s9_3_2_no_answer_to_a_head_has_content() {
    for (request, status) in [
        (head(PAGE), 200),
        (line(&head(PAGE), "Host", ""), 400),
        (head(PAGE).replacen("/page", "page", 1), 400),
        (with(&head(PAGE), "Content-Length: 1"), 400),
        (with(&head(PAGE), "Expect: 100-continue"), 417),
        (head(REQUEST), 405),
        (
            with(&head(PAGE), &format!("X-A: {}", "a".repeat(8192))),
            431,
        ),
    ] {
        let (mut server, result) = serve_any(&request);
        let answer = match result {
            Ok(Some(Arrived::Page(page))) => text(&mut page.respond(Response::new(200, "body"))),
            Err(_) => text(server.exchange()),
            other => panic!("{other:?}"),
        };
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert!(answer.ends_with("\r\n\r\n"), "{answer}");
        assert_ne!(values(&answer, "Content-Length"), ["0"], "that of a GET");
    }
    // The request line has come, and then nothing more.
    let (mut server, _) = serve_any("HEAD / HTTP/1.1\r\n");
    server.exchange().handle_timeout(at(11));
    assert_eq!(server.poll_any().unwrap_err(), HandshakeError::TimedOut);
    let answer = text(server.exchange());
    assert!(answer.starts_with("HTTP/1.1 408 ") && answer.ends_with("\r\n\r\n"));
}

#[test]
fn an_answer_has_any_status_that_ends_a_request() {
    for status in [200, 204, 301, 304, 404, 426, 500, 599] {
        let answer = text(&mut page(PAGE).respond(Response::new(status, "")));
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")),
            "{answer}"
        );
        assert_eq!(values(&answer, "Connection"), ["close"]);
        let has_length = !values(&answer, "Content-Length").is_empty();
        assert_eq!(has_length, !matches!(status, 204 | 304));
    }
    for status in [0, 100, 101, 199, 600, u16::MAX] {
        let answer = text(&mut page(PAGE).respond(Response::new(status, "")));
        assert!(answer.starts_with("HTTP/1.1 500 "), "{status}");
    }
}

/// "MUST send an Upgrade header field in a 426 response".
#[test]
fn rfc9110_s15_5_22_a_page_is_refused_as_poll_refuses_it() {
    let (mut server, result) = serve(PAGE);
    assert_eq!(result.unwrap_err(), RequestError::NoUpgrade.into());
    let refusal = text(server.exchange());
    assert_eq!(text(&mut page(PAGE).refuse()), refusal);
    assert!(refusal.starts_with("HTTP/1.1 426 "));
    assert_eq!(values(&refusal, "Upgrade"), ["websocket"]);
    let (fields, _) = refusal.split_once("\r\n\r\n").unwrap();
    assert_eq!(
        text(&mut page(head(PAGE)).refuse()),
        format!("{fields}\r\n\r\n")
    );
}

#[test]
fn rfc9110_s15_5_6_a_405_lists_the_methods_of_this_server() {
    for method in ["POST", "OPTIONS", "get", "head"] {
        let (mut server, result) = serve_any(PAGE.replacen("GET", method, 1));
        assert_eq!(result.unwrap_err(), RequestError::PageMethod.into());
        assert_eq!(values(&text(server.exchange()), "Allow"), ["GET, HEAD"]);
        assert!(matches!(server.poll_any(), Ok(None)), "one error");
    }
    for method in ["POST", "HEAD"] {
        let (mut server, result) = serve(PAGE.replacen("GET", method, 1));
        assert_eq!(result.unwrap_err(), RequestError::Method.into());
        assert_eq!(values(&text(server.exchange()), "Allow"), ["GET"]);
    }
}

#[test]
fn s4_2_1_who_asks_for_a_websocket_gets_no_page() {
    let closed = line(REQUEST, "Connection", "Connection: keep-alive");
    let (_, result) = serve_any(closed);
    assert_eq!(result.unwrap_err(), RequestError::NoUpgrade.into());
    // §4.1: "The method of the request MUST be GET".
    let (mut server, result) = serve_any(head(REQUEST));
    assert_eq!(result.unwrap_err(), RequestError::Method.into());
    assert_eq!(values(&text(server.exchange()), "Allow"), ["GET"]);
    let (_, result) = serve_any(REQUEST);
    assert!(matches!(result, Ok(Some(Arrived::Upgrade(_)))));
}

#[test]
fn a_head_that_poll_meets_halfway_is_refused() {
    let request = head(PAGE);
    let (line, fields) = request.split_at(request.find("Host").unwrap());
    let (mut server, _) = serve_any(line);
    read(server.exchange(), fields.as_bytes(), usize::MAX);
    assert_eq!(server.poll().unwrap_err(), RequestError::NoUpgrade.into());
    let answer = text(server.exchange());
    assert!(answer.starts_with("HTTP/1.1 426 ") && answer.ends_with("\r\n\r\n"));
}

#[test]
fn the_end_of_the_transport_reaches_the_answer() {
    for (lost, answered) in [
        (Lost::Eof, true),
        (Lost::Reset, false),
        (Lost::Failed, false),
    ] {
        let mut server = Server::new(shared());
        read(server.exchange(), PAGE.as_bytes(), usize::MAX);
        match lost {
            Lost::Eof => server.exchange().handle_eof(),
            lost => server.exchange().handle_error(lost),
        }
        let Ok(Some(Arrived::Page(page))) = server.poll_any() else {
            panic!("a page")
        };
        assert_eq!(server.exchange().poll_timeout(), None, "it has time");
        assert!(server.exchange().recv_buf().is_none());
        let mut exchange = page.respond(Response::new(200, "hello"));
        assert_eq!(!written(&mut exchange).is_empty(), answered, "{lost:?}");
        assert!(exchange.is_done());
    }
}

/// Everything that is visible of what came of a request.
type Outcome = (Result<Option<(bool, Request)>, HandshakeError>, Vec<u8>);

fn outcome(request: &[u8], step: usize) -> Outcome {
    let (mut server, result) = serve_by(Server::poll_any, config(), &[request], step);
    let result = result.map(|arrived| {
        arrived.map(|arrived| match arrived {
            Arrived::Upgrade(incoming) => (true, incoming.request().clone()),
            Arrived::Page(page) => (false, page.request().clone()),
        })
    });
    (result, written(server.exchange()))
}

/// Checks that `poll` and `poll_any` differ only in what they are there for, and returns the outcome of the latter.
fn agreed(request: &[u8]) -> Outcome {
    let (any, answer) = outcome(request, usize::MAX);
    let (mut server, upgrade) = serve_with(config(), &[request], usize::MAX);
    match (upgrade, &any) {
        (Err(HandshakeError::Request(RequestError::NoUpgrade)), Ok(Some((false, _)))) => {}
        (Err(HandshakeError::Request(RequestError::Method)), any) => {
            let is_head = request.trim_ascii_start().starts_with(b"HEAD ");
            assert!(is_head || *any == Err(RequestError::PageMethod.into()));
        }
        (upgrade, any) => {
            let upgrade = upgrade.map(|incoming| incoming.map(|it| (true, it.request().clone())));
            assert_eq!(*any, upgrade);
            assert_eq!(answer, written(server.exchange()));
        }
    }
    (any, answer)
}

#[test]
fn poll_and_poll_any_agree_on_upgrades_and_errors() {
    for (_, request) in valid() {
        let (result, _) = agreed(&bytes(&request));
        assert!(matches!(result, Ok(Some((true, _)))), "{request}");
    }
    for (name, request, expected) in invalid() {
        let (result, _) = agreed(&bytes(&request));
        if !matches!(expected, RequestError::NoUpgrade | RequestError::Method) {
            assert_eq!(result, Err(expected.into()), "{name}");
        }
    }
}

#[test]
fn a_request_for_a_page_cut_anywhere_is_the_same_request() {
    for request in [PAGE.to_owned(), head(PAGE), line(&head(PAGE), "Host", "")] {
        let whole = outcome(request.as_bytes(), usize::MAX);
        for cut in 0..request.len() {
            let (a, b) = request.as_bytes().split_at(cut);
            let (mut server, result) = serve_by(Server::poll_any, config(), &[a, b], usize::MAX);
            match (&whole.0, result) {
                (Ok(Some((false, request))), Ok(Some(Arrived::Page(page)))) => {
                    assert_eq!(page.request(), request, "{cut}");
                }
                (Err(error), Err(other)) => assert_eq!(*error, other, "{cut}"),
                (_, result) => panic!("{cut}: {result:?}"),
            }
            assert_eq!(written(server.exchange()), whole.1, "{cut}");
        }
    }
}

proptest! {
    /// Cuts change nothing, whatever is wrong with a request, and both ways to ask agree.
    #[test]
    fn any_request_cut_anywhere_has_the_same_outcome(
        base in prop::sample::select(vec![
            REQUEST.to_owned(),
            head(REQUEST),
            line(REQUEST, "Upgrade", ""),
            line(REQUEST, "Connection", ""),
            PAGE.to_owned(),
            head(PAGE),
        ]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
        step in 1_usize..50,
    ) {
        let mut request = base.into_bytes();
        for (index, byte) in changes {
            *index.get_mut(&mut request) = byte;
        }
        prop_assert_eq!(outcome(&request, step), agreed(&request));
    }
}
