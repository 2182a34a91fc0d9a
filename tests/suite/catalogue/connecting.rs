//! Connecting: one deadline, and the addresses and fields that a request must not have.

use std::time::Duration;

use ::tokio::{io::AsyncWriteExt, net::TcpListener, spawn, time};
use bind::{
    Connect, ConnectError, UrlError,
    proto::{
        Config,
        handshake::{InvalidHeader, OfferError},
    },
};

use crate::{
    Test,
    binding::Binding,
    client::{listen, read_request},
    echo::run,
};

pub(crate) fn tests<B: Binding>() -> Vec<Test> {
    vec![
        (
            "ch_042_one_deadline_covers_connecting",
            ch_042_one_deadline_covers_connecting::<B>,
        ),
        (
            "ch_046_addresses_and_fields_cannot_inject",
            ch_046_addresses_and_fields_cannot_inject::<B>,
        ),
        ("ch_047_odd_addresses", ch_047_odd_addresses::<B>),
    ]
}

/// If each byte extended the deadline, a server that keeps sending would postpone it forever.
fn ch_042_one_deadline_covers_connecting<B: Binding>() {
    for (scheme, drips) in [("ws", false), ("ws", true), ("wss", false), ("wss", true)] {
        run(async move {
            let (addr, listener) = listen().await;
            let mut config = Config::default();
            config.handshake_timeout = Some(Duration::from_millis(300));
            let to = Connect::new(format!("{scheme}://{addr}/")).config(config);
            let serving = spawn(async move {
                let (mut stream, _) = listener.accept().await.expect("a client");
                if !drips {
                    return stream;
                }
                // A head, or a TLS record, that never ends.
                let start = if scheme == "wss" {
                    &b"\x16\x03\x03\x40\x00"[..]
                } else {
                    read_request(&mut stream).await;
                    b"HTTP/1.1 101 Switching Protocols\r\nX: "
                };
                let _ = stream.write_all(start).await;
                while stream.write_all(b"a").await.is_ok() {
                    time::sleep(Duration::from_millis(20)).await;
                }
                stream
            });
            let connected = B::connect(to).await.err();
            assert!(
                matches!(connected, Some(ConnectError::TimedOut)),
                "{scheme}, drips: {drips}: {connected:?}"
            );
            drop(serving);
        });
    }
}

fn ch_046_addresses_and_fields_cannot_inject<B: Binding>() {
    run(async {
        let (addr, listener) = listen().await;
        for bad in ["\r", "\n", "\0", " ", "\t", "\r\nX: y"] {
            let text = format!("a{bad}b");
            let base = || Connect::new(format!("ws://{addr}/"));
            let before_path = [
                format!("ws://{text}.test/"),
                format!("ws://{addr}{bad}/"),
                format!("{bad}ws://{addr}/"),
            ];
            let after = [
                format!("ws://{addr}/{text}"),
                format!("ws://{addr}/?{text}"),
            ];
            // Here a space is escaped, and no other character.
            let after = after.iter().filter(|_| bad != " ");
            for url in before_path.iter().chain(after) {
                let error = B::connect(url).await.err().expect("it has a bad character");
                assert!(
                    matches!(error, ConnectError::Url(UrlError::Character)),
                    "{url:?}: {error}"
                );
            }
            let space = matches!(bad, " " | "\t");
            for (what, to, may_have_space) in [
                ("name", base().header(text.clone(), "x"), false),
                ("value", base().header("X", text.clone()), true),
                ("origin", base().origin(text.clone()), false),
                ("subprotocol", base().subprotocol(text.clone()), false),
                ("bearer", base().bearer(text.clone()), false),
            ] {
                if space && may_have_space {
                    continue;
                }
                let error = B::connect(to).await.err().expect(what);
                assert!(
                    matches!(
                        error,
                        ConnectError::Header(InvalidHeader::Name | InvalidHeader::Value)
                            | ConnectError::Request(OfferError::Subprotocol)
                    ),
                    "{what} {text:?}: {error}"
                );
            }
            if !space {
                let to = base().basic(text.clone(), "password");
                let error = B::connect(to).await.err().expect("a control character");
                assert!(matches!(error, ConnectError::Header(_)), "{error}");
            }
        }
        assert_untouched(&listener).await;
        let spaced = Connect::new(format!("ws://{addr}/a b?c d")).prepare();
        assert_eq!(spaced.expect("valid").request.target(), "/a%20b?c%20d");
    });
}

/// Checks that nothing has connected.
async fn assert_untouched(listener: &TcpListener) {
    ::tokio::select! {
        biased;
        _ = listener.accept() => panic!("something was sent"),
        () = time::sleep(Duration::from_millis(50)) => {}
    }
}

fn ch_047_odd_addresses<B: Binding>() {
    type Check = fn(&UrlError) -> bool;
    let scheme: Check = |error| matches!(error, UrlError::NoScheme);
    let host: Check = |error| matches!(error, UrlError::Host);
    let port: Check = |error| matches!(error, UrlError::Port);
    let bad: [(&str, Check); 16] = [
        ("", scheme),
        ("h", scheme),
        ("/p", scheme),
        ("//h/p", scheme),
        ("ws://", host),
        ("ws://:80/", host),
        ("ws://h:65536/", port),
        ("ws://h:-1/", port),
        ("ws://[::1%25eth0]/", host),
        ("ws://[::1/", host),
        ("ws:///p", host),
        ("ws://127.1/", host),
        ("ws://h/#f", |error| matches!(error, UrlError::Fragment)),
        ("ws://h/#", |error| matches!(error, UrlError::Fragment)),
        ("http://h/", |error| matches!(error, UrlError::Scheme)),
        ("file:///p", |error| matches!(error, UrlError::Scheme)),
    ];
    for (url, check) in bad {
        match Connect::new(url).prepare() {
            Err(ConnectError::Url(error)) => assert!(check(&error), "{url}: {error}"),
            other => panic!("{url}: {other:?}"),
        }
    }

    // The Host field leaves out a default port.
    let long = format!("ws://h/{}", "a".repeat(64 << 10));
    for (url, host, port, target) in [
        ("ws://h", "h", 80, "/"),
        ("WS://H:80/p?q", "h", 80, "/p?q"),
        ("wss://h:443/", "h", 443, "/"),
        ("ws://h:443/", "h:443", 443, "/"),
        ("wss://h:80/", "h:80", 80, "/"),
        ("ws://h:0/", "h:0", 0, "/"),
        ("ws://[::1]:9001/", "[::1]:9001", 9001, "/"),
        ("ws://127.0.0.1/", "127.0.0.1", 80, "/"),
        ("ws://é.test/ü?ü", "xn--9ca.test", 80, "/%C3%BC?%C3%BC"),
        ("ws://h?q", "h", 80, "/?q"),
        ("ws://h/a/../%2e%2e/b", "h", 80, "/b"),
        (&long, "h", 80, &long["ws://h".len()..]),
    ] {
        let to = Connect::new(url).prepare();
        let to = to.unwrap_or_else(|error| panic!("{url}: {error}"));
        assert_eq!(to.request.host(), Some(host), "{url}");
        assert_eq!(to.port, port, "{url}");
        assert_eq!(to.request.target(), target, "{url}");
    }

    // User information in the URL is sent as Basic credentials, and nowhere else.
    let to = Connect::new("ws://u:p%20q@h/").prepare().expect("valid");
    assert_eq!(to.request.host(), Some("h"));
    let credentials = to.request.headers().get("Authorization");
    assert_eq!(credentials, Some(&b"Basic dTpwIHE="[..]));

    // Nothing can listen on port 0, and the error says so.
    let connected = run(B::connect("ws://127.0.0.1:0/"));
    let error = connected.err().expect("no port");
    assert!(matches!(error, ConnectError::Io(_)), "{error}");
}
