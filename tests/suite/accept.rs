//! How a server treats connecting clients.

use std::{error::Error as StdError, time::Duration};

use ::tokio::{io::AsyncWriteExt, time::sleep};
use bind::{
    Connect, ConnectError, Error,
    proto::{
        CloseCode, CloseFrame, Lost, Message, Negotiated, Role,
        handshake::{
            AnswerError, HandshakeError, Headers, HttpVersion, Origins, RequestError, Response,
            respond,
        },
    },
};

use crate::{
    binding::{Binding, Incoming, Socket},
    support::{REQUEST, defaults, dial, field, read_head, roomy, serve, tcp, with},
};

for_each_stream! {
    an_accepted_client_is_answered_before_anything_else_is_done,
    a_server_takes_its_time_to_decide,
    a_refused_client_gets_the_whole_answer,
    a_client_that_never_stops_is_let_go,
    a_client_that_leaves_is_told_from_one_that_breaks_off,
    origins_are_allowed_or_not,
    a_subprotocol_is_picked_of_those_offered,
    frames_behind_the_request_are_not_lost,
    a_hosted_upgrade_goes_on_where_the_host_stopped_reading,
    what_is_left_over_is_never_cut_silently,
    the_end_is_told_to_both,
    errors_can_be_passed_on_by_those_who_box_them,
}

async fn an_accepted_client_is_answered_before_anything_else_is_done<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let incoming = B::accept(stream, &defaults()).await.unwrap();
        assert_eq!(incoming.request().target(), "/room?name=a%20b");
        assert_eq!(incoming.request().path(), "/room");
        assert_eq!(incoming.request().query(), Some("name=a%20b"));
        assert!(B::asking_addr(&incoming).is_ok());
        let mut cookie = Headers::new();
        cookie.push("Set-Cookie", "id=1").unwrap();
        let socket = incoming.accept(None, cookie).await.unwrap();
        assert!(B::client_addr(&socket).unwrap().ip().is_loopback());
        // Nothing polls the socket until the client has seen the answer.
        socket
    })
    .await;
    let (client, response) = B::connect(format!("{url}room?name=a%20b")).await.unwrap();
    assert_eq!(response.status, 101);
    assert_eq!(response.headers.get("Set-Cookie"), Some(&b"id=1"[..]));
    let mut server = served.await.unwrap();
    drop(client);
    assert!(
        server.recv().await.is_err(),
        "the client left without a Close"
    );
    assert!(B::client_addr(&server).is_err(), "the transport is gone");
}

async fn a_server_takes_its_time_to_decide<B: Binding>() {
    let (url, _) = serve(async |stream| {
        let config = with(|config| config.handshake_timeout = Some(Duration::from_millis(50)));
        let incoming = B::accept(stream, &config).await.unwrap();
        sleep(Duration::from_millis(150)).await;
        let mut socket = incoming.open().await;
        socket.send("late").await.unwrap();
        let _ = socket.close(None).await;
    })
    .await;
    let (mut client, _) = B::connect(url).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::from("late")));
}

async fn a_refused_client_gets_the_whole_answer<B: Binding>() {
    let (url, _) = serve(async |stream| {
        let incoming = B::accept(stream, &defaults()).await.unwrap();
        let mut response = Response::new(401, "who are you?\n".repeat(1000));
        response
            .headers
            .push("WWW-Authenticate", "Basic realm=x")
            .unwrap();
        incoming.refuse(response).await;
    })
    .await;
    let error = B::connect(url).await.err().unwrap();
    let response = error.response().expect("the response is kept");
    assert_eq!(response.status, 401);
    assert_eq!(
        response.headers.get("www-authenticate"),
        Some(&b"Basic realm=x"[..])
    );
    assert_eq!(response.body, "who are you?\n".repeat(1000));
    assert!(error.to_string().contains("401"), "{error}");
}

/// The client's bytes keep arriving before the deadline, but do not postpone it.
async fn a_client_that_never_stops_is_let_go<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let config = with(|config| config.close_timeout = Some(Duration::from_millis(50)));
        B::accept(stream, &config).await.err().unwrap()
    })
    .await;
    let mut client = dial(&url).await;
    while client.write_all(&[b'x'; 4096]).await.is_ok() {}
    assert_eq!(
        served.await.unwrap(),
        HandshakeError::Request(RequestError::TargetTooLong)
    );
}

async fn a_client_that_leaves_is_told_from_one_that_breaks_off<B: Binding>() {
    for (sent, error) in [
        ("", HandshakeError::Lost(Lost::Eof)),
        ("GET / HT", HandshakeError::Truncated(Lost::Eof)),
    ] {
        let (url, served) =
            serve(async |stream| B::accept(stream, &defaults()).await.err().unwrap()).await;
        let mut client = dial(&url).await;
        client.write_all(sent.as_bytes()).await.unwrap();
        drop(client);
        assert_eq!(served.await.unwrap(), error);
    }
}

async fn origins_are_allowed_or_not<B: Binding>() {
    for (origin, allowed) in [
        (Some("https://good.test"), true),
        (Some("https://evil.test"), false),
        (None, true),
    ] {
        let (url, served) = serve(async move |stream| {
            let incoming = B::accept(stream, &defaults()).await.unwrap();
            assert_eq!(incoming.request().origin(), origin);
            if incoming.origin_allowed(&["https://good.test"]) {
                incoming.open().await;
            } else {
                incoming.refuse(Response::new(403, "")).await;
            }
        })
        .await;
        let mut to = Connect::new(url);
        if let Some(origin) = origin {
            to = to.origin(origin);
        }
        let connected = B::connect(to).await;
        assert_eq!(connected.is_ok(), allowed, "{origin:?}");
        drop(connected);
        served.await.unwrap();
    }
}

async fn a_subprotocol_is_picked_of_those_offered<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let incoming = B::accept(stream, &defaults()).await.unwrap();
        let picked = incoming.pick_subprotocol(&["v3", "v2"]).map(str::to_owned);
        assert_eq!(picked.as_deref(), Some("v2"));
        // A subprotocol that was not offered is refused, and the request is returned.
        let failed = incoming.accept(Some("v3"), Headers::new()).await;
        let (error, incoming) = B::Incoming::again(failed.err().unwrap());
        assert_eq!(error, AnswerError::NotOffered);
        let mut reserved = Headers::new();
        reserved.push("Sec-WebSocket-Accept", "x").unwrap();
        let failed = incoming.accept(None, reserved).await.err().unwrap();
        let (error, incoming) = B::Incoming::again(failed);
        assert_eq!(error, AnswerError::Reserved("Sec-WebSocket-Accept"));
        let accepted = incoming.accept(picked.as_deref(), Headers::new());
        let socket = accepted.await.unwrap();
        assert_eq!(socket.subprotocol(), Some("v2"));
    })
    .await;
    let to = Connect::new(url).subprotocol("v1").subprotocol("v2");
    let (socket, response) = B::connect(to).await.unwrap();
    assert_eq!(socket.subprotocol(), Some("v2"));
    assert_eq!(
        response.headers.get("Sec-WebSocket-Protocol"),
        Some(&b"v2"[..])
    );
    served.await.unwrap();
}

async fn frames_behind_the_request_are_not_lost<B: Binding>() {
    let (mut client, server) = tcp().await;
    let mut bytes = REQUEST.as_bytes().to_vec();
    bytes.extend_from_slice(b"\x81\x85\0\0\0\0Hello\x88\x80\0\0\0\0");
    client.write_all(&bytes).await.unwrap();
    let server = B::accept_any(server.into_std().unwrap(), &defaults()).await;
    let mut socket = server.unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("Hello")));
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(
        field(&head, "Sec-WebSocket-Accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
}

async fn a_hosted_upgrade_goes_on_where_the_host_stopped_reading<B: Binding>() {
    let shared = defaults();
    let fields = [
        ("Host", &b"a.test"[..]),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", b"13"),
    ];
    let (_, negotiated) = respond(
        HttpVersion::Http11,
        "GET",
        fields,
        &[],
        Origins::Any,
        &shared,
    )
    .unwrap();
    let (client, server) = tcp().await;
    let client = client.into_std().unwrap();
    let mut client = B::from_parts(client, &[], negotiated.clone(), Role::Client, &shared);
    client.send("behind").await.unwrap();

    let leftover = b"\x81\x85\0\0\0\0first";
    let server = server.into_std().unwrap();
    let mut server = B::from_parts(server, leftover, negotiated, Role::Server, &shared);
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("first")));
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("behind")));
}

async fn what_is_left_over_is_never_cut_silently<B: Binding>() {
    let (_client, server) = tcp().await;
    // One frame that is larger than the largest `leftover`.
    let mut leftover = b"\x82\xff\0\0\0\0\0\x02\0\0\0\0\0\0".to_vec();
    leftover.resize(leftover.len() + (2 << 16), 7);
    let server = server.into_std().unwrap();
    let none = Negotiated::default();
    let mut socket = B::from_parts(server, &leftover, none, Role::Server, &roomy());
    assert!(socket.recv().await.is_err());
}

async fn the_end_is_told_to_both<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let mut socket = B::accept_any(stream, &defaults()).await.unwrap();
        assert!(socket.recv().await.unwrap().is_none());
        socket.closed().unwrap()
    })
    .await;
    let (mut client, _) = B::connect(url).await.unwrap();
    let frame = CloseFrame::new(CloseCode::GOING_AWAY, "bye").unwrap();
    client.close(frame).await.unwrap();
    assert!(client.closed().unwrap().clean);
    let closed = served.await.unwrap();
    assert_eq!(
        (closed.code, &closed.reason[..], closed.clean),
        (1001, "bye", true)
    );
}

async fn errors_can_be_passed_on_by_those_who_box_them<B: Binding>() {
    fn check<E: StdError + Send + Sync + 'static>() {}
    check::<<B::Incoming as Incoming>::NotAccepted>();
    check::<HandshakeError>();
    check::<ConnectError>();
    check::<Error>();
    assert!(size_of::<<B::Incoming as Incoming>::NotAccepted>() <= 32);
}
