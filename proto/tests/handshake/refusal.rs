//! Writing a refusal, and ending after it.

use bowline_proto::{
    Lost,
    handshake::{Headers, RequestError},
};
use testing::polls::Polls;

use super::*;

fn refusal(response: Response) -> String {
    String::from_utf8(written(&mut incoming(REQUEST).refuse(response))).unwrap()
}

#[test]
fn rfc9112_s9_6_every_answer_has_its_length_and_closes() {
    for request in [
        REQUEST.replacen("GET", "POST", 1),
        REQUEST.replacen("/chat", "/chat#<script>", 1),
        line(
            REQUEST,
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Version: <script>",
        ),
        with(REQUEST, "Expect: <script>"),
        with(REQUEST, "Transfer-Encoding: <script>"),
        REQUEST.replacen("HTTP/1.1", "HTTP/3.0", 1),
        REQUEST.replacen("/chat", &"<script>".repeat(2000), 1),
        with(REQUEST, &format!("X-A: {}", "<script>".repeat(2000))),
    ] {
        let (mut server, result) = serve(&request);
        let HandshakeError::Request(error) = result.unwrap_err() else {
            panic!("the client's fault")
        };
        let answer = String::from_utf8(written(server.exchange())).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with(&format!("HTTP/1.1 {} ", error.status())));
        assert_eq!(values(&answer, "Content-Length"), [body.len().to_string()]);
        assert!(values(&answer, "Connection")[0].starts_with("close"));
        assert!(values(&answer, "Transfer-Encoding").is_empty());
        assert_eq!(body, format!("{error}\n"));
        assert!(!answer.contains("script"), "nothing is reflected");
    }
}

#[test]
fn rfc9110_s15_5_6_a_405_says_what_is_allowed() {
    let (mut server, _) = serve(REQUEST.replacen("GET", "POST", 1));
    let answer = String::from_utf8(written(server.exchange())).unwrap();
    assert_eq!(values(&answer, "Allow"), ["GET"]);
}

#[test]
fn s4_4_a_426_names_the_protocol_and_its_version() {
    for request in [
        line(
            REQUEST,
            "Sec-WebSocket-Version",
            "Sec-WebSocket-Version: 12",
        ),
        line(REQUEST, "Sec-WebSocket-Version", ""),
        line(REQUEST, "Upgrade", ""),
    ] {
        let (mut server, _) = serve(request);
        let answer = String::from_utf8(written(server.exchange())).unwrap();
        assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"));
        assert_eq!(values(&answer, "Upgrade"), ["websocket"]);
        assert_eq!(values(&answer, "Sec-WebSocket-Version"), ["13"]);
        assert_eq!(values(&answer, "Connection"), ["close, Upgrade"]);
    }
}

/// The answer of another server, which does not end its connection: "A sender of Upgrade MUST also send an
/// "Upgrade" connection option in the Connection header field".
#[test]
fn rfc9110_s7_8_an_upgrade_goes_with_its_connection_option() {
    for error in [RequestError::NoUpgrade, RequestError::WebSocketVersion] {
        let headers = error.response().headers;
        assert_eq!(headers.get("Upgrade"), Some(&b"websocket"[..]));
        assert_eq!(headers.get("Connection"), Some(&b"Upgrade"[..]));
    }
    let headers = RequestError::Method.response().headers;
    assert_eq!(
        (headers.get("Upgrade"), headers.get("Connection")),
        (None, None)
    );
}

#[test]
fn s4_2_2_an_application_refuses_with_an_answer_of_its_own() {
    let mut response = Response::new(403, "no");
    response.headers.push("X-Why", "policy").unwrap();
    response.headers.push("Content-Length", "999").unwrap();
    response
        .headers
        .push("Transfer-Encoding", "chunked")
        .unwrap();
    response.headers.push("Connection", "keep-alive").unwrap();
    assert_eq!(
        refusal(response),
        "HTTP/1.1 403 Forbidden\r\nX-Why: policy\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    );
    assert_eq!(
        refusal(Response::new(499, "")),
        "HTTP/1.1 499 \r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    assert_eq!(
        refusal(Response::new(204, "x")),
        "HTTP/1.1 204 \r\nConnection: close\r\n\r\n"
    );
}

#[test]
fn a_status_that_cannot_refuse_is_an_error_of_the_server() {
    for status in [0, 100, 101, 199, 600, u16::MAX] {
        assert!(
            refusal(Response::new(status, "")).starts_with("HTTP/1.1 500 "),
            "{status}"
        );
    }
}

/// A server that refused `REQUEST` without a host, and has received more after it.
fn refused() -> Server {
    let (server, result) =
        serve(line(REQUEST, "Host", "") + "GET /internal HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(result.unwrap_err(), RequestError::Host.into());
    server
}

#[test]
fn rfc9112_s9_6_the_answer_is_drained_so_that_no_reset_eats_it() {
    let mut server = refused();
    let exchange = server.exchange();
    assert!(!exchange.wants_shutdown() && !exchange.is_done());
    assert!(
        read(exchange, b"more", usize::MAX) > 0,
        "input is discarded while the answer waits"
    );
    written(exchange);
    assert!(exchange.wants_shutdown() && !exchange.is_done());
    for _ in 0..1000 {
        assert!(
            read(exchange, REQUEST.as_bytes(), usize::MAX) > 0,
            "input is discarded"
        );
    }
    assert!(
        exchange.transmit().is_none(),
        "the second request was never parsed"
    );
    assert!(matches!(server.poll(), Ok(None)));
    let exchange = server.exchange();
    exchange.handle_eof();
    assert!(exchange.is_done() && exchange.poll_timeout().is_none());
}

#[test]
fn an_answer_that_is_not_flushed_has_not_left() {
    let mut server = refused();
    let exchange = server.exchange();
    let len = exchange.transmit().unwrap().remaining();
    exchange.transmit().unwrap().advance(len);
    exchange.handle_sent(false);
    assert!(!exchange.wants_shutdown(), "the transport holds it back");
    exchange.handle_sent(true);
    assert!(exchange.wants_shutdown());
}

#[test]
fn an_answer_goes_out_to_a_peer_that_has_ended_its_direction() {
    let mut server = Server::new(shared());
    read(
        server.exchange(),
        line(REQUEST, "Host", "").as_bytes(),
        usize::MAX,
    );
    server.exchange().handle_eof();
    assert_eq!(server.poll().unwrap_err(), RequestError::Host.into());
    assert!(written(server.exchange()).starts_with(b"HTTP/1.1 400 "));
    assert!(server.exchange().is_done(), "nothing is left to wait for");
}

#[test]
fn an_answer_is_given_up_with_the_transport() {
    let mut server = refused();
    server.exchange().handle_error(Lost::Reset);
    assert!(server.exchange().is_done() && server.exchange().transmit().is_none());
    // The same while a decision is pending.
    let mut server = Server::new(shared());
    read(server.exchange(), REQUEST.as_bytes(), usize::MAX);
    server.exchange().handle_error(Lost::Reset);
    let exchange = server
        .poll()
        .unwrap()
        .unwrap()
        .refuse(Response::new(403, ""));
    assert!(exchange.is_done());
}

#[test]
fn s4_2_1_nothing_runs_out_while_the_application_decides() {
    let mut server = Server::new(shared());
    server.exchange().handle_timeout(at(1));
    read(server.exchange(), REQUEST.as_bytes(), usize::MAX);
    let incoming = server.poll().unwrap().unwrap();
    assert_eq!(server.exchange().poll_timeout(), None);
    let mut connection = incoming.accept(None, Headers::new()).unwrap();
    assert!(output(&mut connection).starts_with("HTTP/1.1 101 "));
    connection.handle_timeout(at(1000));
    connection.handle_timeout(at(1001));
    assert_eq!(connection.poll_event(), Ok(None));
}
