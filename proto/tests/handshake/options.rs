//! Each option of the handshake, and that it is respected.

use bowline_proto::handshake::{
    Headers, HttpVersion, OfferError, Origins, RequestError, ResponseError, respond,
};
use testing::polls::Polls;

use super::*;

#[test]
fn handshake_timeout_is_absolute() {
    for (timeout, deadline) in [
        (Some(10), Some(at(11))),
        (Some(3), Some(at(4))),
        (None, None),
    ] {
        let mut config = config();
        config.handshake_timeout = timeout.map(Duration::from_secs);
        let config = Arc::new(config);
        let mut server = Server::new(config.clone());
        let mut client = Client::new(request(), config.clone()).unwrap();
        for exchange in [server.exchange(), client.exchange()] {
            // The deadline begins when the time is passed for the first time.
            let asks = timeout.map(|_| Instant::EPOCH);
            assert_eq!(exchange.poll_timeout(), asks);
            exchange.handle_timeout(at(1));
        }
        for i in 0..20 {
            // A byte now and then does not change the deadline.
            read(server.exchange(), &REQUEST.as_bytes()[i..=i], 1);
            read(client.exchange(), &RESPONSE.as_bytes()[i..=i], 1);
            assert!(matches!(
                (server.poll(), client.poll()),
                (Ok(None), Ok(None))
            ));
            assert_eq!(server.exchange().poll_timeout(), deadline);
            assert_eq!(client.exchange().poll_timeout(), deadline);
        }
        let Some(timeout) = timeout else { continue };
        for exchange in [server.exchange(), client.exchange()] {
            exchange.handle_timeout(Instant::from_epoch(Duration::from_millis(
                timeout * 1000 + 999,
            )));
        }
        assert!(
            matches!((server.poll(), client.poll()), (Ok(None), Ok(None))),
            "not yet"
        );
        for exchange in [server.exchange(), client.exchange()] {
            exchange.handle_timeout(deadline.unwrap());
        }
        assert_eq!(server.poll().unwrap_err(), HandshakeError::TimedOut);
        assert!(written(server.exchange()).starts_with(b"HTTP/1.1 408 Request Timeout\r\n"));
        assert_eq!(
            client.poll().map(|_| ()).unwrap_err(),
            HandshakeError::TimedOut
        );
        assert!(client.exchange().is_done());
    }
}

#[test]
fn a_client_that_says_nothing_gets_no_answer() {
    let mut server = Server::new(shared());
    server.exchange().handle_timeout(at(1));
    server.exchange().handle_timeout(at(11));
    assert_eq!(server.poll().unwrap_err(), HandshakeError::TimedOut);
    assert!(server.exchange().is_done() && server.exchange().transmit().is_none());
}

#[test]
fn handshake_timeout_covers_the_body_of_a_refusal() {
    let mut client = client_with(request(), config());
    let response = b"HTTP/1.1 403 X\r\nContent-Length: 9\r\n\r\nhalf";
    assert!(matches!(
        answer_to(&mut client, &[response], usize::MAX),
        Ok(None)
    ));
    assert_eq!(client.exchange().poll_timeout(), Some(at(11)));
    client.exchange().handle_timeout(at(11));
    let error = client.poll().map(|_| ()).unwrap_err();
    assert_eq!(error.response().unwrap().body, "half");
}

#[test]
fn max_head_size() {
    for spare in [0, 1] {
        let mut config = config();
        config.max_head_size = REQUEST.len() - spare;
        let (_, result) = serve_with(config.clone(), &[REQUEST.as_bytes()], usize::MAX);
        match spare {
            0 => assert!(result.unwrap().is_some()),
            _ => assert_eq!(result.unwrap_err(), RequestError::HeadTooLarge.into()),
        }
        config.max_head_size = RESPONSE.len() - spare;
        let mut client = client_with(request(), config);
        let result = answer_to(&mut client, &[RESPONSE.as_bytes()], usize::MAX);
        match spare {
            0 => assert!(result.unwrap().is_some()),
            _ => assert_eq!(
                result.map(|_| ()).unwrap_err(),
                ResponseError::HeadTooLarge.into()
            ),
        }
    }
}

#[test]
fn an_endless_head_is_refused_when_its_room_is_spent() {
    let (mut server, _) = serve("GET / HTTP/1.1\r\n");
    let mut sent = 16;
    let error = loop {
        assert_eq!(read(server.exchange(), b"X: 45678\r\n", usize::MAX), 10);
        sent += 10;
        match server.poll() {
            Ok(waits) => assert!(waits.is_none()),
            Err(error) => break error,
        }
    };
    assert_eq!(
        (error, sent),
        (RequestError::TooManyFields.into(), 16 + 101 * 10)
    );
    let mut config = config();
    config.max_head_fields = usize::MAX;
    let (_, result) = serve_with(
        config,
        &["X: 45678\r\n".repeat(2000).as_bytes()],
        usize::MAX,
    );
    assert_eq!(
        result.unwrap_err(),
        RequestError::Syntax.into(),
        "no request line"
    );
}

#[test]
fn max_head_line() {
    let longest = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==".len();
    for spare in [0, 1] {
        let mut config = config();
        config.max_head_line = longest - spare;
        // The same holds for a request parsed elsewhere.
        let fields = REQUEST.trim_end().lines().skip(1);
        let fields = fields.filter_map(|line| line.split_once(": "));
        let fields = fields.map(|(name, value)| (name, value.as_bytes()));
        let responded = respond(
            HttpVersion::Http11,
            "GET",
            fields,
            &[],
            Origins::Any,
            &config,
        )
        .map(|_| ());
        match spare {
            0 => assert_eq!(responded, Ok(())),
            _ => assert_eq!(responded, Err(RequestError::FieldTooLong)),
        }
        let (_, result) = serve_with(config, &[REQUEST.as_bytes()], usize::MAX);
        match spare {
            0 => assert!(result.unwrap().is_some()),
            _ => assert_eq!(result.unwrap_err(), RequestError::FieldTooLong.into()),
        }
    }
    let mut config = config();
    config.max_head_line = "GET /chat HTTP/1.1".len() - 1;
    let (_, result) = serve_with(config.clone(), &[REQUEST.as_bytes()], usize::MAX);
    assert_eq!(result.unwrap_err(), RequestError::TargetTooLong.into());
    let mut client = client_with(request(), config);
    let result = answer_to(&mut client, &[RESPONSE.as_bytes()], usize::MAX);
    assert_eq!(
        result.map(|_| ()).unwrap_err(),
        ResponseError::LineTooLong.into()
    );
}

#[test]
fn max_head_fields() {
    for spare in [0, 1] {
        let mut config = config();
        config.max_head_fields = 5 - spare;
        let (_, result) = serve_with(config.clone(), &[REQUEST.as_bytes()], usize::MAX);
        let fields = [("Host", &b"a"[..]); 5];
        let responded = respond(
            HttpVersion::Http11,
            "GET",
            fields,
            &[],
            Origins::Any,
            &config,
        )
        .unwrap_err();
        match spare {
            0 => assert!(result.unwrap().is_some() && responded == RequestError::Host),
            _ => {
                assert_eq!(result.unwrap_err(), RequestError::TooManyFields.into());
                assert_eq!(responded, RequestError::TooManyFields);
            }
        }
        config.max_head_fields = 3 - spare;
        let mut client = client_with(request(), config);
        let result = answer_to(&mut client, &[RESPONSE.as_bytes()], usize::MAX);
        match spare {
            0 => assert!(result.unwrap().is_some()),
            _ => assert_eq!(
                result.map(|_| ()).unwrap_err(),
                ResponseError::TooManyFields.into()
            ),
        }
    }
}

#[test]
fn max_interim_responses() {
    let interim = "HTTP/1.1 103 X\r\n\r\n";
    let open = |count, max| {
        let mut config = config();
        config.max_interim_responses = max;
        let response = interim.repeat(count) + RESPONSE;
        let mut client = client_with(request(), config);
        answer_to(&mut client, &[response.as_bytes()], usize::MAX).map(|open| open.is_some())
    };
    assert_eq!(open(16, 16), Ok(true));
    assert_eq!(open(17, 16), Err(ResponseError::TooManyInterim.into()));
    assert_eq!(open(0, 0), Ok(true));
    assert_eq!(open(1, 0), Err(ResponseError::TooManyInterim.into()));
}

#[test]
fn max_error_body() {
    let chunk = format!("400\r\n{}\r\n", "x".repeat(1024));
    for max in [64 << 10, 100, 1, 0] {
        for framing in [
            "Transfer-Encoding: chunked",
            "Content-Length: 1000000",
            "X: until the end",
        ] {
            let mut config = config();
            config.max_error_body = max;
            let mut client = client_with(request(), config);
            let mut input = format!("HTTP/1.1 403 X\r\n{framing}\r\n\r\n");
            let mut sent = 0;
            // It ends although the body does not.
            let error = loop {
                match answer_to(&mut client, &[input.as_bytes()], usize::MAX) {
                    Err(error) => break error,
                    Ok(_) => assert!(sent < 100, "{framing}"),
                }
                input = chunk.clone();
                sent += 1;
            };
            assert_eq!(error.response().unwrap().body.len(), max, "{framing}");
        }
    }
}

#[test]
fn require_subprotocol() {
    for (offers, required, opens) in [
        (true, true, false),
        (true, false, true),
        (false, true, true),
    ] {
        let mut config = config();
        config.require_subprotocol = required;
        let mut request = request();
        if offers {
            request
                .headers_mut()
                .push("Sec-WebSocket-Protocol", "chat")
                .unwrap();
        }
        let answer = answer_to(
            &mut client_with(request, config),
            &[RESPONSE.as_bytes()],
            usize::MAX,
        );
        match opens {
            true => assert!(answer.unwrap().is_some()),
            false => assert_eq!(
                answer.map(|_| ()).unwrap_err(),
                ResponseError::NoSubprotocol.into()
            ),
        }
    }
}

#[test]
fn entropy_that_fails_is_an_error() {
    let config = Arc::new(Config::new(|_| Err(EntropyError)));
    assert_eq!(
        Client::new(request(), config.clone()).unwrap_err(),
        OfferError::Entropy
    );
}

/// Returns an exchange with an answer that waits to be written.
fn refused(config: Config) -> Exchange {
    let (_, result) = serve_with(config, &[REQUEST.as_bytes()], usize::MAX);
    result.unwrap().unwrap().refuse(Response::new(403, "no"))
}

#[test]
fn write_timeout_ends_an_answer_that_does_not_leave() {
    let mut config = config();
    config.write_timeout = Some(Duration::from_secs(7));
    let mut exchange = refused(config.clone());
    assert_eq!(
        exchange.poll_timeout(),
        Some(Instant::EPOCH),
        "it asks for the time"
    );
    exchange.handle_timeout(at(100));
    assert_eq!(exchange.poll_timeout(), Some(at(107)));
    exchange.handle_sent(false);
    assert_eq!(exchange.poll_timeout(), Some(at(107)), "nothing left");
    exchange.transmit().unwrap().advance(1);
    exchange.handle_sent(false);
    exchange.handle_timeout(at(106));
    assert_eq!(exchange.poll_timeout(), Some(at(113)), "a byte left");
    exchange.handle_timeout(at(113));
    assert!(exchange.is_done() && exchange.transmit().is_none());

    config.write_timeout = None;
    assert_eq!(refused(config).poll_timeout(), None);
}

#[test]
fn close_timeout_ends_the_draining() {
    let mut config = config();
    config.close_timeout = Some(Duration::from_secs(3));
    let mut exchange = refused(config.clone());
    written(&mut exchange);
    exchange.handle_timeout(at(100));
    assert_eq!(exchange.poll_timeout(), Some(at(103)));
    for _ in 0..100 {
        read(&mut exchange, b"more", usize::MAX);
        assert_eq!(exchange.poll_timeout(), Some(at(103)), "absolute");
    }
    exchange.handle_timeout(at(103));
    assert!(exchange.is_done());

    config.close_timeout = None;
    let mut exchange = refused(config);
    written(&mut exchange);
    assert_eq!(exchange.poll_timeout(), None);
}

#[test]
fn write_timeout_covers_the_101() {
    let mut config = config();
    config.write_timeout = Some(Duration::from_secs(7));
    let (_, result) = serve_with(config, &[REQUEST.as_bytes()], usize::MAX);
    let mut connection = result
        .unwrap()
        .unwrap()
        .accept(None, Headers::new())
        .unwrap();
    assert!(connection.transmit().is_some());
    connection.handle_sent(false);
    connection.handle_timeout(at(100));
    connection.handle_timeout(at(107));
    assert!(connection.poll_event().is_err());
}
