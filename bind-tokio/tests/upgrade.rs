//! Sockets beneath hyper, by `upgrade`.

use std::{convert::Infallible, time::Duration};

use bowline_tokio::{
    Config, Deadline, Error, Hosted, Pending, ReadHalf, RequestError, Upgrade, WebSocket,
    WriteHalf, connect_over, upgrade,
};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, Version,
    body::Incoming,
    rt::{Read, Write},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    net::TcpListener,
    sync::mpsc,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use support::{FIELDS, field, read_head, talk_to};

mod support;

/// The sockets of a connection, each before its 101 is sent.
type Sockets = mpsc::UnboundedReceiver<Pending>;

/// Serves one connection with hyper, which sends a page or upgrades.
fn host<S>(stream: S, options: Upgrade) -> (Sockets, JoinHandle<hyper::Result<()>>)
where
    S: Read + Write + Unpin + Send + 'static,
{
    let (sender, sockets) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let response: Response<Full<Bytes>> = match upgrade(&mut request, &options) {
            Ok((response, pending)) => {
                let _ = sender.send(pending);
                response
            }
            Err(_) if request.uri().path() == "/page" => Response::new("a page".into()),
            Err(refusal) => refusal,
        };
        async { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new().serve_connection(stream, service);
    (sockets, tokio::spawn(connection.with_upgrades()))
}

/// Serves one connection in memory, and returns its other end.
fn host_in_memory(options: Upgrade) -> (DuplexStream, Sockets, JoinHandle<hyper::Result<()>>) {
    let (client, server) = duplex(64 << 10);
    let (sockets, connection) = host(TokioIo::new(server), options);
    (client, sockets, connection)
}

async fn echo(pending: Pending) {
    let mut socket = pending.await.unwrap();
    while let Ok(Some(message)) = socket.recv().await {
        socket.feed(message).await.unwrap();
    }
}

/// Returns the head of the response to a request with these `fields`.
async fn answer(options: Upgrade, start: &str, fields: &str) -> String {
    let (mut client, ..) = host_in_memory(options);
    let request = format!("{start}\r\n{fields}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut client).await
}

/// Opens a socket, with a client that does nothing by itself.
async fn open(options: Upgrade) -> (DuplexStream, WebSocket<Hosted>) {
    let (mut client, mut sockets, _) = host_in_memory(options);
    let request = format!("GET / HTTP/1.1\r\n{FIELDS}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut client).await;
    let socket = sockets.recv().await.unwrap().await.unwrap();
    (client, socket)
}

#[tokio::test]
async fn a_page_and_a_socket_share_a_port() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let options = Upgrade::new().subprotocols(["chat"]);
            let (mut sockets, _) = host(TokioIo::new(stream), options);
            tokio::spawn(async move {
                while let Some(pending) = sockets.recv().await {
                    echo(pending).await;
                }
            });
        }
    });
    let talk = async {
        talk_to(format!("ws://{addr}/")).await;

        let mut stream = tokio::net::TcpStream::connect(addr).await.unwrap();
        // The connection goes on after a page, and then becomes a socket.
        for _ in 0..2 {
            let request = b"GET /page HTTP/1.1\r\nHost: a.test\r\n\r\n";
            stream.write_all(request).await.unwrap();
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
            let mut page = [0; 6];
            stream.read_exact(&mut page).await.unwrap();
            assert_eq!(&page, b"a page");
        }
        let request = format!("GET / HTTP/1.1\r\n{FIELDS}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let accept = field(&head, "Sec-WebSocket-Accept");
        assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        assert_eq!(field(&head, "Sec-WebSocket-Protocol"), None);
    };
    let ended = timeout(Duration::from_secs(60), talk).await;
    ended.expect("the test hangs");
}

#[tokio::test]
async fn who_is_not_let_in_gets_the_response_of_the_core() {
    let get = "GET / HTTP/1.1";
    let without = |name: &str| -> String {
        let lines = FIELDS.split_inclusive("\r\n");
        lines.filter(|line| !line.starts_with(name)).collect()
    };
    for (start, fields, status) in [
        (get, FIELDS.to_owned(), "101"),
        (get, without("Host"), "400"),
        (get, without("Sec-WebSocket-Key"), "400"),
        ("GET / HTTP/1.0", FIELDS.to_owned(), "400"),
        (get, format!("{FIELDS}Origin: http://evil.test\r\n"), "403"),
        ("POST / HTTP/1.1", FIELDS.to_owned(), "405"),
        (get, without("Sec-WebSocket-Version"), "426"),
        (get, "Host: a.test\r\n".to_owned(), "426"),
    ] {
        let head = answer(Upgrade::new(), start, &fields).await;
        assert_eq!(&head[9..12], status, "{start} {fields}");
        let version = (status == "426").then_some("13");
        assert_eq!(field(&head, "Sec-WebSocket-Version"), version);
    }
}

#[tokio::test]
async fn s10_2_options_say_which_pages_may_connect() {
    let listed = Upgrade::new().origins(["https://b.test"]);
    for (options, origin, status) in [
        (Upgrade::new(), "https://a.test", "101"),
        (Upgrade::new(), "https://b.test", "403"),
        (Upgrade::new(), "null", "403"),
        (listed.clone(), "https://b.test", "101"),
        (listed.clone(), "https://a.test", "403"),
        (listed.any_origin(), "null", "101"),
    ] {
        let fields = format!("{FIELDS}Origin: {origin}\r\n");
        let head = answer(options, "GET / HTTP/1.1", &fields).await;
        assert_eq!(&head[9..12], status, "{origin}");
    }
}

#[tokio::test(start_paused = true)]
async fn options_say_the_subprotocols_and_the_configuration() {
    let fields = format!("{FIELDS}Sec-WebSocket-Protocol: a, b, c\r\n");
    let options = Upgrade::new().subprotocols(["c", "b"]);
    let head = answer(options, "GET / HTTP/1.1", &fields).await;
    assert_eq!(field(&head, "Sec-WebSocket-Protocol"), Some("b"));

    let options = Upgrade::new().config(Config::default().max_head_fields(4));
    let head = answer(options, "GET / HTTP/1.1", FIELDS).await;
    assert_eq!(&head[9..12], "431");

    let options = Upgrade::new().config(Config::default().max_message_size(3));
    let (mut client, mut socket) = open(options).await;
    client.write_all(b"\x81\x84\0\0\0\0long").await.unwrap();
    let error = socket.recv().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    let mut close = [0; 4];
    client.read_exact(&mut close).await.unwrap();
    assert_eq!((close[0], &close[2..]), (0x88, &1009_u16.to_be_bytes()[..]));
}

/// hyper reads the frame together with the request.
#[tokio::test]
async fn a_frame_in_the_segment_of_the_request_is_received() {
    let (mut client, mut sockets, _) = host_in_memory(Upgrade::new());
    let mut segment = format!("GET / HTTP/1.1\r\n{FIELDS}\r\n").into_bytes();
    segment.extend_from_slice(b"\x81\x85\0\0\0\0hello");
    client.write_all(&segment).await.unwrap();
    tokio::spawn(echo(sockets.recv().await.unwrap()));
    read_head(&mut client).await;
    let mut frame = [0; 7];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x05hello");
}

#[tokio::test]
async fn either_side_closes() {
    for by_client in [true, false] {
        let (stream, mut sockets, connection) = host_in_memory(Upgrade::new());
        let served = tokio::spawn(async move {
            let mut socket = sockets.recv().await.unwrap().await.unwrap();
            if by_client {
                assert_eq!(socket.recv().await.unwrap(), None);
            } else {
                socket.close(None).await.unwrap();
            }
            socket.closed().unwrap().clean
        });
        let (mut client, _) = connect_over(stream, "ws://a.test/").await.unwrap();
        if by_client {
            client.close(None).await.unwrap();
        } else {
            assert_eq!(client.recv().await.unwrap(), None);
        }
        assert!(client.closed().unwrap().clean);
        assert!(served.await.unwrap());
        connection.await.unwrap().unwrap();
    }
}

/// The stream ends as soon as the Close was answered, and the socket waits for the client's end only.
#[tokio::test(start_paused = true)]
async fn the_stream_ends_after_the_close() {
    let (mut client, mut socket) = open(Upgrade::new()).await;
    client.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
    let begun = Instant::now();
    let peer = async move {
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).await.unwrap();
        rest
    };
    let (received, rest) = tokio::join!(socket.recv(), peer);
    assert_eq!(received.unwrap(), None);
    assert_eq!(rest, b"\x88\x00");
    assert_eq!(begun.elapsed(), Duration::ZERO);
}

#[tokio::test]
async fn a_client_that_vanishes_is_an_error() {
    let (client, mut socket) = open(Upgrade::new()).await;
    drop(client);
    let error = socket.recv().await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
}

#[tokio::test]
async fn a_pending_that_is_dropped_ends_the_connection() {
    let (stream, mut sockets, _) = host_in_memory(Upgrade::new());
    tokio::spawn(async move { drop(sockets.recv().await) });
    let (mut client, _) = connect_over(stream, "ws://a.test/").await.unwrap();
    let error = client.recv().await.unwrap_err();
    assert!(matches!(error, Error::Lost(_)), "{error}");
}

/// The handler has answered nothing yet when the server ends.
#[tokio::test(start_paused = true)]
async fn a_server_that_ends_before_the_upgrade_is_an_error() {
    let (mut client, server) = duplex(64 << 10);
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (response, pending) =
            upgrade::<_, Full<Bytes>>(&mut request, &Upgrade::new()).expect("an upgrade");
        sender.send(pending).unwrap();
        async {
            sleep(Duration::from_secs(3600)).await;
            Ok::<_, Infallible>(response)
        }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(server), service);
    let connection = tokio::spawn(connection.with_upgrades());
    let request = format!("GET / HTTP/1.1\r\n{FIELDS}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    let mut pending = sockets.recv().await.unwrap();
    let early = timeout(Duration::from_secs(1), &mut pending).await;
    assert!(early.is_err(), "the 101 was not sent");
    connection.abort();
    let begun = Instant::now();
    let error = (&mut pending).await.unwrap_err();
    assert!(error.is_canceled(), "{error}");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    // A future that has resolved is only pending.
    let again = timeout(Duration::from_secs(1), &mut pending).await;
    assert!(again.is_err());
}

#[tokio::test]
async fn a_server_that_does_not_upgrade_is_an_error() {
    let (mut client, server) = duplex(64 << 10);
    let (sender, mut sockets) = mpsc::unbounded_channel();
    let service = service_fn(move |mut request: Request<Incoming>| {
        let (response, pending) =
            upgrade::<_, Full<Bytes>>(&mut request, &Upgrade::new()).expect("an upgrade");
        sender.send(pending).unwrap();
        async { Ok::<_, Infallible>(response) }
    });
    // `with_upgrades` is missing.
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
    let request = format!("GET / HTTP/1.1\r\n{FIELDS}\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    assert!(sockets.recv().await.unwrap().await.is_err());
}

/// A request that was refused is as it was, for other options or other code.
#[tokio::test]
async fn a_request_that_was_refused_can_still_be_upgraded() {
    let (mut client, server) = duplex(64 << 10);
    let service = service_fn(|mut request: Request<Incoming>| {
        let strict = Upgrade::new().origins(["https://b.test"]);
        let refused = upgrade::<_, Full<Bytes>>(&mut request, &strict);
        assert_eq!(refused.expect_err("a foreign page").status(), 403);
        let open = Upgrade::new().any_origin();
        let (response, pending) = upgrade(&mut request, &open).expect("an upgrade");
        tokio::spawn(echo(pending));
        async { Ok::<_, Infallible>(response as Response<Full<Bytes>>) }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(server), service);
    tokio::spawn(connection.with_upgrades());
    let request = format!("GET / HTTP/1.1\r\n{FIELDS}Origin: https://a.test\r\n\r\n");
    client.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut client).await;
    client.write_all(b"\x81\x85\0\0\0\0hello").await.unwrap();
    let mut frame = [0; 7];
    client.read_exact(&mut frame).await.unwrap();
    assert_eq!(&frame, b"\x81\x05hello");
}

/// Such as a request that a test has made.
#[tokio::test]
async fn a_request_that_is_not_of_hyper_has_no_connection() {
    let mut request = Request::builder()
        .header("Host", "a.test")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .unwrap();
    let (response, pending) =
        upgrade::<_, Bytes>(&mut request, &Upgrade::new()).expect("an upgrade");
    assert_eq!(response.status(), 101);
    assert!(pending.await.is_err());

    *request.version_mut() = Version::HTTP_2;
    let refused = upgrade::<_, Bytes>(&mut request, &Upgrade::new());
    let refusal = refused.expect_err("HTTP/2 has no upgrade");
    assert_eq!(refusal.status(), 505);
    let text = RequestError::Version.to_string() + "\n";
    assert_eq!(refusal.into_body(), text);
}

#[tokio::test(start_paused = true)]
async fn keep_alive_notices_a_client_that_is_silent() {
    let (mut client, mut socket) = open(Upgrade::new()).await;
    let begun = Instant::now();
    let error = socket.recv().await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(Deadline::Pong)), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 40, "keep_alive, pong_timeout");
    let mut ping = [0; 2];
    client.read_exact(&mut ping).await.unwrap();
    assert_eq!(ping[0], 0x89);
}

#[tokio::test(start_paused = true)]
async fn closing_is_bounded() {
    let (_client, mut socket) = open(Upgrade::new()).await;
    let begun = Instant::now();
    let error = socket.close(None).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut(Deadline::Close)), "{error}");
    assert_eq!(begun.elapsed().as_secs(), 5, "close_timeout");
}

/// A pending socket, a socket and its halves can move to the tasks that serve them.
#[test]
fn what_is_spawned_is_send() {
    fn is_send<T: Send + 'static>() {}
    is_send::<Pending>();
    is_send::<WebSocket<Hosted>>();
    is_send::<ReadHalf<Hosted>>();
    is_send::<WriteHalf<Hosted>>();
}
