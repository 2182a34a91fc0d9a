//! Sockets beneath axum, by its extractor.

use std::{
    future::{Future, pending},
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use axum::{
    Router,
    extract::FromRequestParts,
    http::{Method, Request, StatusCode},
    response::{Html, IntoResponse, Response},
    routing::any,
};
use bowline_tokio::{
    Config, Hosted, RequestError, Tracker, UpgradeRejection, WebSocket, WebSocketUpgrade, connect,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{mpsc, oneshot},
    time::timeout,
};

use support::{FIELDS, field, read_head, talk_to};

mod support;

async fn echo(mut socket: WebSocket<Hosted>) {
    while let Ok(Some(message)) = socket.recv().await {
        let _ = socket.feed(message).await;
    }
}

/// Each route answers one kind of page, or upgrades with other options.
fn routes() -> Router {
    async fn optional(upgrade: Option<WebSocketUpgrade>) -> Response {
        match upgrade {
            Some(upgrade) => upgrade.subprotocols(["chat"]).on_upgrade(echo),
            None => Html("a page").into_response(),
        }
    }
    async fn result(upgrade: Result<WebSocketUpgrade, UpgradeRejection>) -> Response {
        match upgrade {
            Ok(upgrade) => upgrade.on_upgrade(echo),
            Err(UpgradeRejection { error, .. }) => error.to_string().into_response(),
        }
    }
    let with = |options: fn(WebSocketUpgrade) -> WebSocketUpgrade| {
        any(move |upgrade: WebSocketUpgrade| async move { options(upgrade).on_upgrade(echo) })
    };
    Router::new()
        .route("/optional", any(optional))
        .route("/result", any(result))
        .route("/default", with(|upgrade| upgrade))
        .route(
            "/listed",
            with(|upgrade| upgrade.origins(["https://b.test"])),
        )
        .route("/any", with(WebSocketUpgrade::any_origin))
        .route(
            "/few",
            with(|upgrade| upgrade.config(Config::default().max_head_fields(4))),
        )
        .route(
            "/long",
            with(|upgrade| upgrade.config(Config::default().max_head_line(16 << 10))),
        )
}

/// Serves `routes` and returns the address.
async fn serve(routes: Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    tokio::spawn(async { axum::serve(listener, routes).await });
    addr
}

/// Runs a test that must not hang.
async fn guarded<F: Future>(test: F) -> F::Output {
    let ended = timeout(Duration::from_secs(60), test);
    ended.await.expect("the test hangs")
}

/// Returns the head of the response to a request.
async fn answer(addr: &str, start: &str, fields: &str) -> String {
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = format!("{start} HTTP/1.1\r\n{fields}\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    read_head(&mut stream).await
}

#[tokio::test]
async fn a_page_and_a_socket_share_a_route() {
    guarded(async {
        let addr = serve(routes()).await;
        talk_to(format!("ws://{addr}/optional")).await;

        let mut stream = TcpStream::connect(&addr).await.unwrap();
        for method in ["GET", "POST"] {
            let request = format!("{method} /optional HTTP/1.1\r\nHost: a.test\r\n\r\n");
            stream.write_all(request.as_bytes()).await.unwrap();
            let head = read_head(&mut stream).await;
            assert!(head.starts_with("HTTP/1.1 200 "), "{method}: {head}");
            let mut page = [0; 6];
            stream.read_exact(&mut page).await.unwrap();
            assert_eq!(&page, b"a page");
        }
    })
    .await;
}

#[tokio::test]
async fn a_frame_in_the_segment_of_the_request_is_received() {
    guarded(async {
        let addr = serve(routes()).await;
        let mut stream = TcpStream::connect(addr).await.unwrap();
        let mut segment = format!("GET /default HTTP/1.1\r\n{FIELDS}\r\n").into_bytes();
        segment.extend_from_slice(b"\x81\x85\0\0\0\0hello");
        stream.write_all(&segment).await.unwrap();
        read_head(&mut stream).await;
        let mut frame = [0; 7];
        stream.read_exact(&mut frame).await.unwrap();
        assert_eq!(&frame, b"\x81\x05hello");
    })
    .await;
}

#[tokio::test]
async fn what_is_no_upgrade_is_rejected_with_the_response_of_the_core() {
    guarded(async {
        let addr = serve(routes()).await;
        let old = FIELDS.replace("Version: 13", "Version: 8");
        let other = FIELDS.replace("websocket", "h2c");
        let also = FIELDS.replace("websocket", "h2c, WebSocket");
        for (start, fields, status) in [
            ("GET /default", "Host: a.test\r\n", "426"),
            ("GET /default", &old, "426"),
            ("POST /default", FIELDS, "405"),
            // Asks for a WebSocket in a way that is not valid.
            ("GET /optional", &old, "426"),
            ("POST /optional", FIELDS, "405"),
            ("GET /optional", &other, "200"),
            ("GET /optional", &also, "101"),
            ("GET /result", "Host: a.test\r\n", "200"),
            ("GET /result", FIELDS, "101"),
        ] {
            let head = answer(&addr, start, fields).await;
            assert_eq!(&head[9..12], status, "{start} {fields}");
            let version = (status == "426").then_some("13");
            assert_eq!(field(&head, "Sec-WebSocket-Version"), version);
        }
    })
    .await;
}

#[tokio::test]
async fn options_are_those_of_hyper() {
    guarded(async {
        let addr = serve(routes()).await;
        let origin = |host| format!("{FIELDS}Origin: https://{host}\r\n");
        let long = format!("{FIELDS}X: {}\r\n", "x".repeat(12 << 10));
        for (start, fields, status) in [
            ("GET /default", &origin("a.test"), "101"),
            ("GET /default", &origin("b.test"), "403"),
            ("GET /listed", &origin("a.test"), "403"),
            ("GET /listed", &origin("b.test"), "101"),
            ("GET /any", &origin("b.test"), "101"),
            // The limits are those of the configuration, which is set after the extraction.
            ("GET /few", &FIELDS.to_owned(), "431"),
            ("GET /default", &long, "431"),
            ("GET /long", &long, "101"),
        ] {
            let head = answer(&addr, start, fields).await;
            assert_eq!(&head[9..12], status, "{start} {fields}");
        }
    })
    .await;
}

/// The client leaves before the handler has returned its 101.
#[tokio::test]
async fn nothing_is_served_without_a_101() {
    guarded(async {
        let (begun, mut handlers) = mpsc::unbounded_channel();
        let slow = move |upgrade: WebSocketUpgrade| async move {
            let (served, serving) = oneshot::channel();
            let response = upgrade.on_upgrade(|_| async { served.send(()).unwrap() });
            begun.send(serving).unwrap();
            pending::<()>().await;
            response
        };
        let addr = serve(Router::new().route("/", any(slow))).await;
        let mut stream = TcpStream::connect(&addr).await.unwrap();
        let request = format!("GET / HTTP/1.1\r\n{FIELDS}\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let serving = handlers.recv().await.unwrap();
        drop(stream);
        // The task has dropped the sender.
        assert!(serving.await.is_err(), "the socket was served");
    })
    .await;
}

/// Polls a future that waits for nothing, outside of a runtime.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn outside_of_a_runtime_nothing_panics() {
    let request = Request::builder()
        .header("Host", "a.test")
        .header("Upgrade", "websocket")
        .header("Connection", "Upgrade")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Version", "13");
    let (mut parts, ()) = request.body(()).unwrap().into_parts();
    let extract = <WebSocketUpgrade as FromRequestParts<()>>::from_request_parts;
    let upgrade = now(extract(&mut parts, &())).expect("an upgrade");
    let response = upgrade.on_upgrade(echo);
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);

    parts.method = Method::PUT;
    let rejection = now(extract(&mut parts, &())).expect_err("the method is not GET");
    assert_eq!(rejection.error, RequestError::Method);
    assert_eq!(rejection.to_string(), rejection.error.to_string());
}

/// axum forgets its sockets, so its graceful shutdown does not wait for them. A tracker does.
#[tokio::test]
async fn a_tracker_stops_the_sockets_of_another_server() {
    guarded(async {
        let tracker = Tracker::new();
        let tracking = tracker.clone();
        let route = any(move |upgrade: WebSocketUpgrade| async move {
            upgrade.tracker(&tracking).on_upgrade(async |mut socket| {
                while let Ok(Some(message)) = socket.recv().await {
                    assert_eq!(message.as_text(), Some("hello"), "on purpose");
                    let _ = socket.send(message).await;
                }
            })
        });
        let addr = serve(Router::new().route("/room", route)).await;
        let url = format!("ws://{addr}/room?a");
        let mut sockets = Vec::new();
        for _ in 0..3 {
            let (mut socket, _) = connect(url.as_str()).await.unwrap();
            socket.send("hello").await.unwrap();
            assert!(socket.recv().await.unwrap().is_some());
            sockets.push(socket);
        }
        assert_eq!(tracker.count(), 3);
        let paths: Vec<_> = tracker.list().into_iter().map(|it| it.path).collect();
        assert_eq!(paths, ["/room"; 3]);
        let mut failing = sockets.pop().unwrap();
        failing.send("panic").await.unwrap();
        assert_eq!(failing.recv().await.unwrap(), None);
        assert_eq!(failing.closed().unwrap().code, 1011);
        while tracker.count() > 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Nothing has to be polled for the stop to begin.
        let stopped = tracker.stop(Duration::from_secs(5));
        let (mut late, _) = connect(url.as_str()).await.unwrap();
        assert_eq!(late.recv().await.unwrap(), None);
        assert_eq!(late.closed().unwrap().code, 1001);
        let clients = tokio::spawn(async move {
            for mut socket in sockets {
                assert_eq!(socket.recv().await.unwrap(), None);
                assert_eq!(socket.closed().unwrap().code, 1001);
            }
        });
        assert_eq!(stopped.await, 0);
        clients.await.unwrap();
    })
    .await;
}
