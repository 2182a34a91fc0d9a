//! A client's request, and the errors that prevent it.

use std::{io::ErrorKind, time::Duration};

use ::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    spawn,
};
use bind::{
    Connect, ConnectError, UrlError,
    proto::{
        Lost, Message,
        handshake::{HandshakeError, InvalidHeader, OfferError, ResponseError},
    },
};

use crate::{
    binding::{Binding, Socket},
    support::{defaults, echo_server, field, listen, read_head, roomy, serve_raw, tcp, with},
};

for_each_binding! {
    the_request_is_that_of_rfc_6455,
    every_option_reaches_the_server,
    credentials_are_sent_as_rfc_7617_says,
    no_delay_is_on_unless_it_is_turned_off,
    the_config_is_that_of_the_connection,
    a_transport_of_the_callers_is_connected_over,
    nothing_can_be_injected_anywhere,
    what_is_no_valid_request_is_not_sent,
    nobody_there,
    a_refusal_keeps_status_fields_and_body,
    a_wrong_answer_is_an_error,
    a_server_that_leaves_is_told_from_one_that_breaks_off,
    a_server_that_says_nothing_is_given_up,
}

/// Returns the request head of a client. `to` gets the server's authority.
async fn head_of<B: Binding>(to: impl FnOnce(String) -> Connect) -> String {
    let (listener, authority) = listen().await;
    let connecting = spawn(B::connect(to(authority)));
    let (mut stream, _) = listener.accept().await.unwrap();
    let head = read_head(&mut stream).await;
    drop(stream);
    assert!(connecting.await.unwrap().is_err());
    head
}

/// Returns the error of connecting, and checks that the server received nothing.
async fn refused<B: Binding>(to: impl FnOnce(String) -> Connect) -> ConnectError {
    let (listener, authority) = listen().await;
    let error = B::connect(to(authority)).await.err().unwrap();
    // A connection by the client would be accepted before this one.
    let probe = TcpStream::connect(listener.local_addr().unwrap());
    let probe = probe.await.unwrap();
    let (_, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, probe.local_addr().unwrap(), "something was sent");
    error
}

async fn the_request_is_that_of_rfc_6455<B: Binding>() {
    let mut authority = String::new();
    let head = head_of::<B>(|at| {
        authority = at;
        Connect::new(format!("ws://{authority}"))
    })
    .await;
    assert!(head.starts_with("GET / HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(&head, "Host"), Some(&authority[..]));
    assert_eq!(field(&head, "Upgrade"), Some("websocket"));
    assert_eq!(field(&head, "Connection"), Some("Upgrade"));
    assert_eq!(field(&head, "Sec-WebSocket-Version"), Some("13"));
    assert_eq!(field(&head, "Sec-WebSocket-Key").unwrap().len(), 24);
    for absent in [
        "Origin",
        "Authorization",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    ] {
        assert_eq!(field(&head, absent), None);
    }
}

async fn every_option_reaches_the_server<B: Binding>() {
    let head = head_of::<B>(|at| {
        Connect::new(format!("ws://{at}/a b?q=%23"))
            .header("Cookie", "id=1")
            .header("X-Name", "é".as_bytes())
            .subprotocol("v2")
            .subprotocol("v1")
            .origin("https://page.test")
            .bearer("t0k.en~+/=")
    })
    .await;
    assert!(head.starts_with("GET /a%20b?q=%23 HTTP/1.1\r\n"), "{head}");
    assert_eq!(field(&head, "Cookie"), Some("id=1"));
    assert_eq!(field(&head, "X-Name"), Some("é"));
    assert_eq!(field(&head, "Sec-WebSocket-Protocol"), Some("v2, v1"));
    assert_eq!(field(&head, "Origin"), Some("https://page.test"));
    assert_eq!(field(&head, "Authorization"), Some("Bearer t0k.en~+/="));
}

async fn credentials_are_sent_as_rfc_7617_says<B: Binding>() {
    // The example of RFC 7617 §2.
    let basic = Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    let given =
        head_of::<B>(|at| Connect::new(format!("ws://{at}")).basic("Aladdin", "open sesame"));
    assert_eq!(field(&given.await, "Authorization"), basic);
    let in_url = head_of::<B>(|at| Connect::new(format!("ws://Aladdin:open%20sesame@{at}/"))).await;
    assert_eq!(field(&in_url, "Authorization"), basic);
    assert!(!field(&in_url, "Host").unwrap().contains('@'), "{in_url}");
    let user_only = head_of::<B>(|at| Connect::new(format!("ws://u@{at}/"))).await;
    assert_eq!(field(&user_only, "Authorization"), Some("Basic dTo="));
    // Credentials that the caller sets take precedence over those in the URL.
    let both = head_of::<B>(|at| Connect::new(format!("ws://u:p@{at}/")).bearer("x")).await;
    assert_eq!(field(&both, "Authorization"), Some("Bearer x"));
    let shown = format!("{:?}", Connect::new("ws://u:hidden@h/").bearer("hidden"));
    assert!(!shown.contains("hidden"), "{shown}");
}

async fn no_delay_is_on_unless_it_is_turned_off<B: Binding>() {
    for (to, nodelay) in [(None, true), (Some(true), true), (Some(false), false)] {
        let url = echo_server::<B>(roomy()).await;
        let mut connect_to = Connect::new(&url);
        if let Some(nodelay) = to {
            connect_to = connect_to.nodelay(nodelay);
        }
        let (socket, _) = B::connect(connect_to).await.unwrap();
        assert_eq!(B::nodelay(&socket).unwrap(), nodelay);
        let addr = B::server_addr(&socket).unwrap();
        assert_eq!(format!("ws://{addr}/"), url);
    }
}

async fn the_config_is_that_of_the_connection<B: Binding>() {
    let url = echo_server::<B>(roomy()).await;
    let config = with(|config| config.max_message_size = 10);
    let (mut socket, _) = B::connect(Connect::new(url).config(config)).await.unwrap();
    socket.send("0123456789").await.unwrap();
    assert_eq!(
        socket.recv().await.unwrap(),
        Some(Message::from("0123456789"))
    );
    socket.send("0123456789a").await.unwrap();
    let error = socket.recv().await.err().unwrap();
    assert!(error.to_string().contains("max_message_size"), "{error}");
}

async fn a_transport_of_the_callers_is_connected_over<B: Binding>() {
    let (near, mut far) = tcp().await;
    let connecting = spawn(async {
        let near = near.into_std().unwrap();
        let to = Connect::new("ws://far.test/x").config(defaults());
        B::connect_over(near, to).await.map(drop)
    });
    let head = read_head(&mut far).await;
    assert!(
        head.starts_with("GET /x HTTP/1.1\r\nHost: far.test\r\n"),
        "{head}"
    );
    drop(far);
    let error = connecting.await.unwrap().err().unwrap();
    assert!(
        matches!(
            error,
            ConnectError::Handshake(HandshakeError::Lost(Lost::Eof))
        ),
        "{error:?}"
    );
}

async fn nothing_can_be_injected_anywhere<B: Binding>() {
    for bad in ["\r", "\n", "\r\nX: y", "\0", " ", "\t", "\x7f", "\u{b}"] {
        // In a URL no character is dropped, and only a space is escaped.
        for (before, after, escapes) in [
            ("ws://a", ".test/", false),
            ("ws://{}/p", "", false),
            ("ws://{}/p", "p", true),
            ("ws://{}/?q", "q", true),
            ("ws://u", "@{}/", false),
            ("", "ws://{}/", false),
        ] {
            if bad == " " && escapes {
                continue;
            }
            let error =
                refused::<B>(|at| Connect::new(format!("{before}{bad}{after}").replace("{}", &at)))
                    .await;
            assert!(
                matches!(error, ConnectError::Url(UrlError::Character)),
                "{before}{bad:?}{after}: {error:?}"
            );
        }
        let url = |at| Connect::new(format!("ws://{at}/"));
        let error = refused::<B>(|at| url(at).header(format!("X{bad}Y"), "z")).await;
        assert!(
            matches!(error, ConnectError::Header(InvalidHeader::Name)),
            "{bad:?}: {error:?}"
        );
        if !matches!(bad, " " | "\t") {
            let error = refused::<B>(|at| url(at).header("X", format!("y{bad}z"))).await;
            assert!(
                matches!(error, ConnectError::Header(InvalidHeader::Value)),
                "{bad:?}: {error:?}"
            );
            for (user, password) in [
                ("u".to_owned() + bad, "p".to_owned()),
                ("u".to_owned(), "p".to_owned() + bad),
            ] {
                let error = refused::<B>(|at| url(at).basic(user, password)).await;
                assert!(
                    matches!(error, ConnectError::Header(InvalidHeader::Value)),
                    "{bad:?}: {error:?}"
                );
            }
        }
        for place in ["a{}b", "{}a", "a{}"] {
            let text = place.replace("{}", bad);
            let error = refused::<B>(|at| url(at).subprotocol(&text)).await;
            assert!(
                matches!(
                    error,
                    ConnectError::Request(OfferError::Subprotocol)
                        | ConnectError::Header(InvalidHeader::Value)
                ),
                "{text:?}: {error:?}"
            );
            for to in [
                Connect::origin as fn(Connect, String) -> Connect,
                Connect::bearer,
            ] {
                let error = refused::<B>(|at| to(url(at), text.clone())).await;
                assert!(
                    matches!(error, ConnectError::Header(InvalidHeader::Value)),
                    "{text:?}: {error:?}"
                );
            }
        }
    }
}

async fn what_is_no_valid_request_is_not_sent<B: Binding>() {
    let url = |at| Connect::new(format!("ws://{at}/"));
    for names in [
        &[""][..],
        &["a,b"],
        &["a", "a"],
        &["a", ""],
        &["é"],
        &["a/b"],
    ] {
        let error =
            refused::<B>(|at| names.iter().fold(url(at), |to, &name| to.subprotocol(name))).await;
        assert!(
            matches!(error, ConnectError::Request(OfferError::Subprotocol)),
            "{names:?}: {error:?}"
        );
    }
    for name in [
        "Upgrade",
        "connection",
        "Sec-WebSocket-Key",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Extensions",
    ] {
        let error = refused::<B>(|at| url(at).header(name, "x")).await;
        assert!(
            matches!(error, ConnectError::Request(OfferError::Reserved(reserved)) if reserved.eq_ignore_ascii_case(name)),
            "{name}: {error:?}"
        );
    }
    let error = refused::<B>(|at| url(at).header("Host", "other.test")).await;
    assert!(
        matches!(error, ConnectError::Request(OfferError::Host)),
        "{error:?}"
    );
    let error = refused::<B>(|at| url(at).basic("a:b", "p")).await;
    assert!(
        matches!(error, ConnectError::Header(InvalidHeader::Value)),
        "{error:?}"
    );
}

async fn nobody_there<B: Binding>() {
    let (listener, authority) = listen().await;
    drop(listener);
    let error = B::connect(format!("ws://{authority}/"))
        .await
        .err()
        .unwrap();
    assert!(
        matches!(&error, ConnectError::Io(error) if error.kind() == ErrorKind::ConnectionRefused),
        "{error:?}"
    );
    // RFC 6761 §6.4: this name never resolves.
    let error = B::connect("ws://name.invalid/").await.err().unwrap();
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
}

async fn a_refusal_keeps_status_fields_and_body<B: Binding>() {
    let (url, _) = serve_raw(async |mut stream| {
        read_head(&mut stream).await;
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: ws://other/\r\nContent-Length: 6\r\n\r\nmoved\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        stream
    })
    .await;
    let error = B::connect(url).await.err().unwrap();
    let response = error.response().unwrap();
    assert_eq!(response.status, 302);
    assert_eq!(response.headers.get("Location"), Some(&b"ws://other/"[..]));
    assert_eq!(response.body, "moved\n");
}

async fn a_wrong_answer_is_an_error<B: Binding>() {
    let (url, _) = serve_raw(async |mut stream| {
        read_head(&mut stream).await;
        let answer = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
                      Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
        // The client must send nothing more to such a server.
        let mut remainder = Vec::new();
        let _ = stream.read_to_end(&mut remainder).await;
        remainder
    })
    .await;
    let error = B::connect(url).await.err().unwrap();
    assert!(
        matches!(
            error,
            ConnectError::Handshake(HandshakeError::Response(ResponseError::Accept))
        ),
        "{error:?}"
    );
}

async fn a_server_that_leaves_is_told_from_one_that_breaks_off<B: Binding>() {
    for (sent, expected) in [
        ("", HandshakeError::Lost(Lost::Eof)),
        ("HTTP/1.1 10", HandshakeError::Truncated(Lost::Eof)),
    ] {
        let (url, _) = serve_raw(async move |mut stream| {
            read_head(&mut stream).await;
            stream.write_all(sent.as_bytes()).await.unwrap();
        })
        .await;
        let error = B::connect(url).await.err().unwrap();
        assert!(
            matches!(&error, ConnectError::Handshake(error) if *error == expected),
            "{error:?}"
        );
    }
}

async fn a_server_that_says_nothing_is_given_up<B: Binding>() {
    let (listener, authority) = listen().await;
    for scheme in ["ws", "wss"] {
        let config = with(|config| config.handshake_timeout = Some(Duration::from_millis(100)));
        let to = Connect::new(format!("{scheme}://{authority}/")).config(config);
        let error = B::connect(to).await.err().unwrap();
        assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
    }
    drop(listener);
}
