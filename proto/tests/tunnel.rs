//! Tunnels through proxies (RFC 9110 §9.3.6, RFC 1928, RFC 1929).

use std::{net::IpAddr, time::Duration};

use bowline_proto::{
    Instant,
    handshake::{Exchange, HandshakeError, Headers, OfferError},
    tunnel::{HttpTunnel, Socks5, SocksError, Target},
};
use bytes::{Buf, Bytes};
use testing::ends::config;

/// Takes all that is to be written.
fn written(exchange: &mut Exchange) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(output) = exchange.transmit() {
        bytes.extend_from_slice(output.chunk());
        output.advance(output.chunk().len());
        exchange.handle_sent(true);
    }
    bytes
}

fn read(exchange: &mut Exchange, bytes: &[u8]) {
    let room = exchange.recv_buf().expect("room to read into");
    room[..bytes.len()].copy_from_slice(bytes);
    exchange.handle_input(bytes.len());
}

/// Returns what `poll` comes to if `input` comes in the given pieces, and then the end.
fn outcome<M, T, E>(
    machine: &mut M,
    pieces: &[&[u8]],
    exchange: fn(&mut M) -> &mut Exchange,
    poll: fn(&mut M) -> Result<Option<T>, E>,
) -> Result<Option<T>, E> {
    for piece in pieces {
        written(exchange(machine));
        if !piece.is_empty() {
            read(exchange(machine), piece);
        }
        match poll(machine) {
            Ok(None) => {}
            done => return done,
        }
    }
    written(exchange(machine));
    exchange(machine).handle_eof();
    poll(machine)
}

fn connect() -> HttpTunnel {
    HttpTunnel::new("a.test:443", &Headers::new(), config(|_| {})).unwrap()
}

fn connected(pieces: &[&[u8]]) -> Result<Option<Bytes>, HandshakeError> {
    outcome(
        &mut connect(),
        pieces,
        HttpTunnel::exchange,
        HttpTunnel::poll,
    )
}

#[test]
fn rfc9110_s9_3_6_the_request_names_the_server_and_has_the_callers_fields() {
    let mut headers = Headers::new();
    headers.push("Proxy-Authorization", "Basic dTpw").unwrap();
    let mut tunnel = HttpTunnel::new("[::1]:81", &headers, config(|_| {})).unwrap();
    let request =
        "CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\nProxy-Authorization: Basic dTpw\r\n\r\n";
    assert_eq!(written(tunnel.exchange()), request.as_bytes());
}

#[test]
fn what_is_no_host_with_a_port_is_an_error_of_the_caller() {
    for authority in [
        "a.test",
        "",
        "a b:1",
        "a:1\r\nX: y",
        "u@a:1",
        "a:99999",
        "::1:80",
        "a:",
    ] {
        let refused = HttpTunnel::new(authority, &Headers::new(), config(|_| {})).err();
        assert_eq!(refused, Some(OfferError::Host), "{authority:?}");
    }
}

/// The answer may be cut anywhere. What comes after it is the server's, whatever the fields of the answer say.
#[test]
fn rfc9110_s9_3_6_any_2xx_opens_the_tunnel_and_its_length_is_ignored() {
    for status in ["200 OK", "204 No Content", "299 x"] {
        let answer = format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.0 {status}\r\nContent-Length: 5\r\n\r\nserver"
        );
        let answer = answer.as_bytes();
        for cut in 0..answer.len() - 6 {
            let opened = connected(&[&answer[..cut], &answer[cut..]])
                .unwrap()
                .unwrap();
            assert_eq!(&opened[..], b"server", "cut at {cut}");
        }
    }
}

#[test]
fn a_refusal_has_status_fields_and_body() {
    let answer =
        b"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\nContent-Length: 3\r\n\r\nwhy, more";
    for cut in 0..answer.len() {
        match connected(&[&answer[..cut], &answer[cut..]]) {
            Err(HandshakeError::Refused(response)) => {
                assert_eq!((response.status, &response.body[..]), (407, &b"why"[..]));
                assert_eq!(
                    response.headers.get("Proxy-Authenticate"),
                    Some(&b"Basic"[..])
                );
            }
            other => panic!("cut at {cut}: {other:?}"),
        }
    }
    let long = [&b"HTTP/1.1 502 No\r\n\r\n"[..], &[b'x'; 2000]].concat();
    let mut tunnel =
        HttpTunnel::new("a:1", &Headers::new(), config(|it| it.max_error_body = 99)).unwrap();
    match outcome(
        &mut tunnel,
        &[&long],
        HttpTunnel::exchange,
        HttpTunnel::poll,
    ) {
        Err(HandshakeError::Refused(response)) => assert_eq!(response.body.len(), 99),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_proxy_that_says_nothing_or_nonsense_or_too_much_is_an_error() {
    assert_eq!(
        connected(&[]).unwrap_err(),
        HandshakeError::Lost(bowline_proto::Lost::Eof)
    );
    assert!(matches!(
        connected(&[b"SSH-2.0-x\r\n"]),
        Err(HandshakeError::Response(_))
    ));
    let endless = [&b"HTTP/1.1 200 OK\r\nX: "[..], &[b'x'; 4000]].concat();
    let mut tunnel =
        HttpTunnel::new("a:1", &Headers::new(), config(|it| it.max_head_size = 1000)).unwrap();
    let error = outcome(
        &mut tunnel,
        &[&endless],
        HttpTunnel::exchange,
        HttpTunnel::poll,
    );
    assert!(
        matches!(error, Err(HandshakeError::Response(_))),
        "{error:?}"
    );
}

#[test]
fn a_silent_proxy_has_the_deadline_of_the_handshake() {
    let config = config(|it| it.handshake_timeout = Some(Duration::from_secs(7)));
    let mut http = HttpTunnel::new("a:1", &Headers::new(), config.clone()).unwrap();
    let mut socks = Socks5::new(Target::Name("a"), 1, None, config).unwrap();
    for exchange in [http.exchange(), socks.exchange()] {
        written(exchange);
        exchange.handle_timeout(Instant::EPOCH);
        let late = Instant::EPOCH.checked_add(Duration::from_secs(7)).unwrap();
        assert_eq!(exchange.poll_timeout(), Some(late));
        exchange.handle_timeout(late);
    }
    assert_eq!(http.poll().unwrap_err(), HandshakeError::TimedOut);
    let error = socks.poll().unwrap_err();
    assert!(
        matches!(error, SocksError::Handshake(HandshakeError::TimedOut)),
        "{error:?}"
    );
    assert!(matches!(socks.poll(), Ok(None)), "an error comes once");
}

/// A dialogue with a SOCKS proxy: what we write, and what it answers to that.
fn dialogue(
    mut socks: Socks5,
    steps: &[(&[u8], &[u8])],
    step: usize,
) -> Result<Option<Bytes>, SocksError> {
    for (ours, theirs) in steps {
        assert_eq!(written(socks.exchange()), *ours);
        for piece in theirs.chunks(step) {
            read(socks.exchange(), piece);
            match socks.poll() {
                Ok(None) => {}
                done => return done,
            }
        }
    }
    assert_eq!(written(socks.exchange()), b"");
    socks.exchange().handle_eof();
    socks.poll()
}

fn to(target: Target<'_>, credentials: Option<(&str, &str)>) -> Socks5 {
    Socks5::new(target, 0x1234, credentials, config(|_| {})).unwrap()
}

#[test]
fn rfc1928_s4_a_name_and_addresses_of_both_families_are_asked_for() {
    let v4: IpAddr = [192, 0, 2, 1].into();
    let v6: IpAddr = [0x2001, 0xDB8, 0, 0, 0, 0, 0, 1].into();
    let requests = [
        (
            Target::Name("a.test"),
            &b"\x05\x01\x00\x03\x06a.test\x12\x34"[..],
        ),
        (
            Target::Addr(v4),
            b"\x05\x01\x00\x01\xC0\x00\x02\x01\x12\x34",
        ),
        (
            Target::Addr(v6),
            b"\x05\x01\x00\x04\x20\x01\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34",
        ),
    ];
    for (target, request) in requests {
        for answer in [
            &b"\x05\x00\x00\x01\0\0\0\0\0\0server"[..],
            b"\x05\x00\x00\x03\x02ab\0\0server",
            b"\x05\x00\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0server",
        ] {
            let steps = [(&b"\x05\x01\x00"[..], &b"\x05\x00"[..]), (request, answer)];
            let opened = dialogue(to(target, None), &steps, usize::MAX)
                .unwrap()
                .unwrap();
            assert_eq!(&opened[..], b"server", "{target:?}");
            // Byte by byte the tunnel is open before anything of the server has come.
            let opened = dialogue(to(target, None), &steps, 1).unwrap().unwrap();
            assert_eq!(&opened[..], b"", "{target:?}");
        }
    }
}

#[test]
fn rfc1929_s2_a_user_and_a_password_are_sent_only_if_the_proxy_asks_for_them() {
    let socks = || to(Target::Name("a"), Some(("ann", "pw")));
    let request = &b"\x05\x01\x00\x03\x01a\x12\x34"[..];
    let answer = &b"\x05\x00\x00\x01\0\0\0\0\0\0"[..];
    for step in [1, usize::MAX] {
        let asked = [
            (&b"\x05\x02\x00\x02"[..], &b"\x05\x02"[..]),
            (b"\x01\x03ann\x02pw", b"\x01\x00"),
            (request, answer),
        ];
        assert!(dialogue(socks(), &asked, step).unwrap().is_some());
        let not_asked = [
            (&b"\x05\x02\x00\x02"[..], &b"\x05\x00"[..]),
            (request, answer),
        ];
        assert!(dialogue(socks(), &not_asked, step).unwrap().is_some());
        let denied = [
            (&b"\x05\x02\x00\x02"[..], &b"\x05\x02"[..]),
            (b"\x01\x03ann\x02pw", b"\x01\x01"),
        ];
        assert!(matches!(
            dialogue(socks(), &denied, step),
            Err(SocksError::Denied)
        ));
    }
}

#[test]
fn rfc1928_s3_a_method_that_was_not_offered_is_an_error() {
    let greeting = &b"\x05\x01\x00"[..];
    let chosen = |method| dialogue(to(Target::Name("a"), None), &[(greeting, &[5, method])], 1);
    assert!(matches!(chosen(0xFF), Err(SocksError::NoCredentials)));
    assert!(matches!(chosen(2), Err(SocksError::Syntax)));
    let socks = to(Target::Name("a"), Some(("u", "p")));
    let refused = dialogue(socks, &[(b"\x05\x02\x00\x02", b"\x05\xFF")], 1);
    assert!(matches!(refused, Err(SocksError::NoMethod)));
}

#[test]
fn rfc1928_s6_a_refusal_has_its_code() {
    fn steps(reply: &[u8]) -> [(&[u8], &[u8]); 2] {
        [
            (b"\x05\x01\x00", b"\x05\x00"),
            (b"\x05\x01\x00\x03\x01a\x12\x34", reply),
        ]
    }
    for code in 1..=9 {
        // Some proxies end after two bytes.
        let whole = [5, code, 0, 1, 0, 0, 0, 0, 0, 0];
        for reply in [&whole[..], &whole[..2]] {
            let error = dialogue(to(Target::Name("a"), None), &steps(reply), 1).unwrap_err();
            assert!(
                matches!(error, SocksError::Refused(it) if it == code),
                "{error:?}"
            );
            assert!(
                error.to_string().contains(&format!("code {code}")),
                "{error}"
            );
        }
    }
}

#[test]
fn what_is_not_socks_5_is_an_error() {
    let greeting = &b"\x05\x01\x00"[..];
    for answer in [&b"HTTP/1.1 400"[..], b"\x04\x00", b"\x05\x07"] {
        let error = dialogue(to(Target::Name("a"), None), &[(greeting, answer)], 1);
        assert!(matches!(error, Err(SocksError::Syntax)), "{error:?}");
    }
    let request = &b"\x05\x01\x00\x03\x01a\x12\x34"[..];
    for answer in [&b"\x04\x00\x00\x01\0"[..], b"\x05\x00\x00\x02\0"] {
        let steps = [(greeting, &b"\x05\x00"[..]), (request, answer)];
        let error = dialogue(to(Target::Name("a"), None), &steps, usize::MAX);
        assert!(matches!(error, Err(SocksError::Syntax)), "{error:?}");
    }
    let ended = dialogue(to(Target::Name("a"), None), &[(greeting, b"\x05")], 1);
    assert!(
        matches!(
            ended,
            Err(SocksError::Handshake(HandshakeError::Truncated(_)))
        ),
        "{ended:?}"
    );
}

#[test]
fn names_users_and_passwords_have_a_length_of_one_byte() {
    let long = "x".repeat(256);
    for text in ["", &long] {
        for (target, credentials) in [
            (text, None),
            ("a", Some((text, "p"))),
            ("a", Some(("u", text))),
        ] {
            let refused = Socks5::new(Target::Name(target), 1, credentials, config(|_| {}));
            assert!(matches!(refused, Err(SocksError::TooLong)));
        }
    }
}
