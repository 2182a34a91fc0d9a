//! A socket beneath an HTTP server, by `respond` and `from_parts` alone.

use std::{sync::Arc, time::Duration};

use bowline_tokio::{Config, HttpVersion, Origins, Role, from_parts, respond};
use bytes::Bytes;
use http_body_util::Full;
use hyper::{Version, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use support::{FIELDS, field, read_head, talk_to};

mod support;

/// With hyper, one port serves HTTP and WebSocket.
#[tokio::test]
async fn hyper_hosts_a_socket() {
    let hosting = timeout(Duration::from_secs(60), talk());
    hosting.await.expect("the test hangs");
}

async fn talk() {
    let url = serve().await;
    let response = talk_to(url).await;
    assert_eq!(
        response.headers.get("Sec-WebSocket-Protocol"),
        Some(&b"chat"[..])
    );

    // A request that is no upgrade is answered, and the connection goes on.
    let url = serve().await;
    let mut stream = TcpStream::connect(&url[5..url.len() - 1]).await.unwrap();
    for _ in 0..2 {
        stream
            .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            .await
            .unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with("HTTP/1.1 426 "), "{head}");
        assert_eq!(field(&head, "Sec-WebSocket-Version"), Some("13"));
        assert_eq!(field(&head, "Connection"), Some("Upgrade"));
        let len = field(&head, "Content-Length").unwrap().parse().unwrap();
        stream.read_exact(&mut vec![0; len]).await.unwrap();
    }

    // hyper also accepts HTTP/1.0, which has no upgrade.
    for (version, origin, answer) in [
        ("1.0", "http://a.test", "HTTP/1.0 400 "),
        ("1.1", "http://evil.test", "HTTP/1.1 403 "),
        ("1.1", "http://a.test", "HTTP/1.1 101 "),
    ] {
        let url = serve().await;
        let mut stream = TcpStream::connect(&url[5..url.len() - 1]).await.unwrap();
        let request = format!("GET / HTTP/{version}\r\n{FIELDS}Origin: {origin}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let head = read_head(&mut stream).await;
        assert!(head.starts_with(answer), "{version} {origin}: {head}");
    }
}

/// Starts an HTTP server for one connection and returns its `ws://` URL.
async fn serve() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service_fn(answer))
            .with_upgrades()
            .await
    });
    format!("ws://{addr}/")
}

async fn answer(
    request: hyper::Request<hyper::body::Incoming>,
) -> Result<hyper::Response<Full<Bytes>>, hyper::http::Error> {
    let shared = Arc::new(Config::default());
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let version = match request.version() {
        Version::HTTP_10 => HttpVersion::Http10,
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Other,
    };
    let method = request.method().as_str();
    let origins = Origins::Listed(&["http://a.test"]);
    let responded = respond(version, method, fields, &["chat"], origins, &shared);
    let (status, headers, body) = match responded {
        Ok((headers, negotiated)) => {
            tokio::spawn(async move {
                let upgraded = hyper::upgrade::on(request).await.unwrap();
                let mut socket = from_parts(
                    TokioIo::new(upgraded),
                    &[],
                    negotiated,
                    Role::Server,
                    shared.clone(),
                );
                while let Ok(Some(message)) = socket.recv().await {
                    socket.send(message).await.unwrap();
                }
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
