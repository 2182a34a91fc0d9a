//! What a server does with those who connect, over real sockets.

mod support;

use std::{
    future::{Future, poll_fn},
    io,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bowline_tokio::{
    AnswerError, CloseCode, CloseFrame, Connect, ConnectError, HandshakeError, Headers, Lost,
    Message, RequestError, Response, accept, accept_any, config, connect, from_parts,
    from_upgraded, proto, respond,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use support::{field, guarded, read_head, serve};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, duplex},
    net::TcpStream,
};

#[tokio::test]
async fn an_accepted_client_is_answered_before_anything_else_is_done() {
    let (url, served) = serve(async |stream| {
        let incoming = accept(stream, &Arc::new(config())).await.unwrap();
        assert_eq!(incoming.request().target(), "/room?name=a%20b");
        assert_eq!(incoming.request().path(), "/room");
        assert_eq!(incoming.request().query(), Some("name=a%20b"));
        assert!(incoming.get_ref().peer_addr().is_ok());
        let mut cookie = Headers::new();
        cookie.push("Set-Cookie", "id=1").unwrap();
        let socket = incoming.accept(None, cookie).await.unwrap();
        assert!(socket.peer_addr().unwrap().ip().is_loopback());
        // Nobody polls the socket until the client has seen the answer.
        socket
    })
    .await;
    let (client, response) = guarded(connect(format!("{url}room?name=a%20b")))
        .await
        .unwrap();
    assert_eq!(response.status, 101);
    assert_eq!(response.headers.get("Set-Cookie"), Some(&b"id=1"[..]));
    let mut server = served.await.unwrap();
    drop(client);
    assert!(
        server.recv().await.is_err(),
        "the client left without a Close"
    );
    assert!(server.peer_addr().is_err(), "the transport is gone");
}

#[tokio::test]
async fn a_server_takes_its_time_to_decide() {
    let (url, _) = serve(async |stream| {
        let mut config = config();
        config.handshake_timeout = Some(Duration::from_millis(50));
        let incoming = accept(stream, &Arc::new(config)).await.unwrap();
        tokio::time::sleep(Duration::from_millis(150)).await;
        let mut socket = incoming.open().await;
        socket.send("late").await.unwrap();
        let _ = socket.close(None).await;
    })
    .await;
    let (mut client, _) = guarded(connect(url)).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::from("late")));
}

#[tokio::test]
async fn a_refused_client_gets_the_whole_answer() {
    let (url, _) = serve(async |stream| {
        let incoming = accept(stream, &Arc::new(config())).await.unwrap();
        let mut response = Response::new(401, "who are you?\n".repeat(1000));
        response
            .headers
            .push("WWW-Authenticate", "Basic realm=x")
            .unwrap();
        incoming.refuse(response).await;
    })
    .await;
    let error = guarded(connect(url)).await.unwrap_err();
    let response = error.response().expect("the response is kept");
    assert_eq!(response.status, 401);
    assert_eq!(
        response.headers.get("www-authenticate"),
        Some(&b"Basic realm=x"[..])
    );
    assert_eq!(response.body, "who are you?\n".repeat(1000));
    assert!(error.to_string().contains("401"), "{error}");
}

/// A transport that is closed with input unread is reset, and the reset may eat the answer.
#[tokio::test]
async fn a_refusal_outlives_what_the_client_still_sends() {
    let (url, served) = serve(async |stream| {
        let incoming = accept(stream, &Arc::new(config())).await.unwrap();
        incoming.refuse(Response::new(403, "no\n")).await;
    })
    .await;
    let mut stream = TcpStream::connect(&url[5..url.len() - 1]).await.unwrap();
    stream.write_all(request().as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 403");
    // It speaks on, as one does who does not wait for the answer.
    stream.write_all(&vec![0; 1 << 20]).await.unwrap();
    let mut rest = String::new();
    guarded(stream.read_to_string(&mut rest)).await.unwrap();
    assert!(rest.ends_with("no\n"), "{rest}");
    assert!(!served.is_finished(), "it waits for our end");
    drop(stream);
    guarded(served).await.unwrap();
}

#[tokio::test]
async fn an_invalid_request_is_answered_and_reported() {
    for (request, status, error) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "426",
            RequestError::NoUpgrade,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            "405",
            RequestError::Method,
        ),
        (
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "505",
            RequestError::Version,
        ),
        ("\x16\x03\x01", "400", RequestError::Syntax),
    ] {
        let (mut client, server) = duplex(1 << 16);
        let served = tokio::spawn(async move { accept(server, &Arc::new(config())).await });
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        guarded(client.read_to_string(&mut answer)).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
        assert!(!served.is_finished(), "it waits for our end");
        drop(client);
        assert_eq!(
            guarded(served).await.unwrap().unwrap_err(),
            HandshakeError::Request(error)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_drips_gets_no_more_time() {
    let (mut client, server) = duplex(1 << 16);
    let served = tokio::spawn(async move { accept(server, &Arc::new(config())).await });
    let begun = tokio::time::Instant::now();
    let mut answer = [0; 12];
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let drip = async {
        writer.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        loop {
            writer.write_all(b"x").await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = drip => {}
        read = reader.read_exact(&mut answer) => { read.unwrap(); }
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(begun.elapsed().as_secs(), 10, "handshake_timeout");
    // It neither reads on nor goes: the end comes after close_timeout all the same.
    let error = served.await.unwrap().unwrap_err();
    assert_eq!(error, HandshakeError::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 15, "close_timeout");
}

/// Its bytes come before a deadline, but put none off.
#[tokio::test]
async fn a_client_that_never_stops_is_let_go() {
    let mut config = config();
    config.close_timeout = Some(Duration::from_millis(50));
    let endless = tokio::io::join(tokio::io::repeat(b'x'), tokio::io::sink());
    let failed = guarded(accept(endless, &Arc::new(config))).await;
    assert_eq!(
        failed.unwrap_err(),
        HandshakeError::Request(RequestError::TargetTooLong)
    );
}

/// Always has more to read.
struct Endless {
    reads: u32,
}

impl AsyncRead for Endless {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.reads += 1;
        assert!(self.reads < 1000, "no other task gets a turn");
        let all = buf.remaining();
        buf.put_slice(&vec![b'x'; all]);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Endless {
    fn poll_write(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test]
async fn a_busy_client_leaves_turns_to_others() {
    let shared = Arc::new(config());
    let mut accepting = pin!(accept(Endless { reads: 0 }, &shared));
    let polled = poll_fn(|cx| Poll::Ready(accepting.as_mut().poll(cx))).await;
    assert!(polled.is_pending());
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_speaks_is_let_go() {
    let (client, server) = duplex(1 << 16);
    let begun = tokio::time::Instant::now();
    let error = accept(server, &Arc::new(config())).await.unwrap_err();
    assert_eq!(error, HandshakeError::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 10);
    drop(client);
}

#[tokio::test]
async fn a_client_that_leaves_is_told_from_one_that_breaks_off() {
    for (sent, error) in [
        ("", HandshakeError::Lost(Lost::Eof)),
        ("GET / HT", HandshakeError::Truncated(Lost::Eof)),
    ] {
        let (mut client, server) = duplex(1 << 16);
        client.write_all(sent.as_bytes()).await.unwrap();
        drop(client);
        let failed = guarded(accept(server, &Arc::new(config()))).await;
        assert_eq!(failed.unwrap_err(), error);
    }
}

#[tokio::test]
async fn origins_are_allowed_or_not() {
    for (origin, allowed) in [
        (Some("https://good.test"), true),
        (Some("https://evil.test"), false),
        (None, true),
    ] {
        let (url, served) = serve(async move |stream| {
            let incoming = accept(stream, &Arc::new(config())).await.unwrap();
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
        let connected = guarded(connect(to)).await;
        assert_eq!(connected.is_ok(), allowed, "{origin:?}");
        drop(connected);
        served.await.unwrap();
    }
}

#[tokio::test]
async fn a_subprotocol_is_picked_of_those_offered() {
    let (url, served) = serve(async |stream| {
        let incoming = accept(stream, &Arc::new(config())).await.unwrap();
        let picked = incoming.pick_subprotocol(&["v3", "v2"]).map(str::to_owned);
        assert_eq!(picked.as_deref(), Some("v2"));
        // What was not offered is not taken, and the request is not lost.
        let failed = incoming.accept(Some("v3"), Headers::new()).await;
        let failed = failed.unwrap_err();
        assert_eq!(failed.error, AnswerError::NotOffered);
        let mut reserved = Headers::new();
        reserved.push("Sec-WebSocket-Accept", "x").unwrap();
        let failed = failed.incoming.accept(None, reserved).await.unwrap_err();
        assert_eq!(failed.error, AnswerError::Reserved("Sec-WebSocket-Accept"));
        let accepted = failed.incoming.accept(picked.as_deref(), Headers::new());
        let socket = accepted.await.unwrap();
        assert_eq!(socket.subprotocol(), Some("v2"));
    })
    .await;
    let to = Connect::new(url).subprotocol("v1").subprotocol("v2");
    let (socket, response) = guarded(connect(to)).await.unwrap();
    assert_eq!(socket.subprotocol(), Some("v2"));
    assert_eq!(
        response.headers.get("Sec-WebSocket-Protocol"),
        Some(&b"v2"[..])
    );
    served.await.unwrap();
}

#[tokio::test]
async fn frames_behind_the_request_are_not_lost() {
    let (mut client, server) = duplex(1 << 16);
    let mut bytes = request().into_bytes();
    bytes.extend_from_slice(b"\x81\x85\0\0\0\0Hello\x88\x80\0\0\0\0");
    client.write_all(&bytes).await.unwrap();
    let mut socket = guarded(accept_any(server, &Arc::new(config())))
        .await
        .unwrap();
    assert_eq!(socket.recv().await.unwrap(), Some(Message::from("Hello")));
    let head = read_head(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(
        field(&head, "Sec-WebSocket-Accept"),
        Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
    );
}

#[tokio::test]
async fn a_hosted_upgrade_goes_on_where_the_host_stopped_reading() {
    let shared = Arc::new(config());
    let fields = [
        ("Host", &b"a.test"[..]),
        ("Upgrade", b"websocket"),
        ("Connection", b"Upgrade"),
        ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
        ("Sec-WebSocket-Version", b"13"),
    ];
    let (_, negotiated) = respond("GET", fields, &[], &shared).unwrap();
    let (client, server) = duplex(1 << 16);
    let role = proto::Role::Client;
    let mut client = from_parts(client, &[], negotiated.clone(), role, &shared);
    client.send("behind").await.unwrap();

    let leftover = b"\x81\x85\0\0\0\0first";
    let mut parts = from_parts(
        server,
        leftover,
        negotiated.clone(),
        proto::Role::Server,
        &shared,
    );
    assert_eq!(parts.recv().await.unwrap(), Some(Message::from("first")));
    assert_eq!(parts.recv().await.unwrap(), Some(Message::from("behind")));

    let (client, server) = duplex(1 << 16);
    let mut client = from_parts(client, &[], negotiated.clone(), role, &shared);
    let mut server = from_upgraded(server, negotiated, &shared);
    client.send("hosted").await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("hosted")));
}

/// One port for HTTP and sockets, by hyper.
#[tokio::test]
async fn hyper_hosts_a_socket() {
    async fn answer(
        request: hyper::Request<hyper::body::Incoming>,
    ) -> Result<hyper::Response<Full<Bytes>>, hyper::http::Error> {
        let shared = Arc::new(config());
        let fields = request.headers().iter();
        let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
        let method = request.method().as_str();
        let (status, headers, body) = match respond(method, fields, &["chat"], &shared) {
            Ok((headers, negotiated)) => {
                tokio::spawn(async move {
                    let upgraded = hyper::upgrade::on(request).await.unwrap();
                    let socket = from_upgraded(TokioIo::new(upgraded), negotiated, &shared);
                    support::echo(socket).await;
                });
                (101, headers, Bytes::new())
            }
            Err(error) => {
                let response = error.response();
                (response.status, response.headers, response.body)
            }
        };
        let mut response = hyper::Response::builder().status(status);
        for (name, value) in headers.iter() {
            response = response.header(name, value);
        }
        response.body(Full::new(body))
    }
    let serving = async |stream| {
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades()
            .await
    };
    let (url, _) = serve(serving).await;
    let to = Connect::new(url).subprotocol("chat");
    let (mut socket, response) = guarded(connect(to)).await.unwrap();
    assert_eq!(
        response.headers.get("Sec-WebSocket-Protocol"),
        Some(&b"chat"[..])
    );
    let message = Message::from("x".repeat(100_000));
    socket.send(message.clone()).await.unwrap();
    assert!(guarded(socket.recv()).await.unwrap() == Some(message));
    guarded(socket.close(None)).await.unwrap();
    assert!(socket.closed().unwrap().clean);

    // What is no upgrade is answered, and the connection goes on.
    let (url, _) = serve(serving).await;
    let mut stream = TcpStream::connect(&url[5..url.len() - 1]).await.unwrap();
    for _ in 0..2 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let head = guarded(read_head(&mut stream)).await;
        assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
        assert_eq!(field(&head, "Sec-WebSocket-Version"), Some("13"));
        let len = field(&head, "Content-Length").unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; len]).await.unwrap();
    }
}

#[tokio::test]
async fn what_is_left_over_is_never_cut_silently() {
    let shared = support::roomy();
    let (_client, server) = duplex(16);
    // One frame that is larger than what can be handed over.
    let mut leftover = b"\x82\xff\0\0\0\0\0\x02\0\0\0\0\0\0".to_vec();
    leftover.resize(leftover.len() + (2 << 16), 7);
    let negotiated = proto::Negotiated::default();
    let role = proto::Role::Server;
    let mut socket = from_parts(server, &leftover, negotiated, role, &shared);
    assert!(guarded(socket.recv()).await.is_err());
}

#[tokio::test]
async fn the_end_is_told_to_both() {
    let (url, served) = serve(async |stream| {
        let mut socket = accept_any(stream, &Arc::new(config())).await.unwrap();
        assert!(socket.recv().await.unwrap().is_none());
        socket.closed().cloned().unwrap()
    })
    .await;
    let (mut client, _) = guarded(connect(url)).await.unwrap();
    let frame = CloseFrame::new(CloseCode::GOING_AWAY, "bye").unwrap();
    guarded(client.close(frame)).await.unwrap();
    assert!(client.closed().unwrap().clean);
    let closed = served.await.unwrap();
    assert_eq!(
        (closed.code, &closed.reason[..], closed.clean),
        (1001, "bye", true)
    );
}

#[tokio::test]
async fn errors_can_be_passed_on_by_those_who_box_them() {
    fn check<E: std::error::Error + Send + Sync + 'static>() {}
    check::<bowline_tokio::NotAccepted<TcpStream>>();
    check::<HandshakeError>();
    check::<ConnectError>();
    check::<bowline_tokio::Error>();
    assert!(size_of::<bowline_tokio::NotAccepted<TcpStream>>() <= 32);
}

/// The sample request of RFC 6455 §1.3.
fn request() -> String {
    "GET /chat HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        .to_owned()
}
