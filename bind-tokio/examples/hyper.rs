//! A page and its socket on one port, with hyper: `hyper [ADDR]`.
use std::{convert::Infallible, error::Error};

use bowline_tokio::{Upgrade, upgrade};
use http_body_util::Full;
use hyper::{Request, Response, body::*, header::*, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;

const PAGE: &str = "<script>new WebSocket(`ws://${location.host}`)</script>";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let addr = std::env::args().nth(1);
    let listener = tokio::net::TcpListener::bind(addr.as_deref().unwrap_or("127.0.0.1:9004"));
    let listener = listener.await?;
    println!("http://{}/", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        let connection = http1::Builder::new();
        let connection = connection.serve_connection(TokioIo::new(stream), service_fn(root));
        tokio::spawn(connection.with_upgrades());
    }
}

async fn root(mut request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    if !request.headers().contains_key(UPGRADE) {
        let mut page = Response::new(Full::from(PAGE));
        let html = HeaderValue::from_static("text/html");
        page.headers_mut().insert(CONTENT_TYPE, html);
        return Ok(page);
    }
    let (response, pending) = match upgrade(&mut request, &Upgrade::new()) {
        Ok(upgraded) => upgraded,
        Err(refusal) => return Ok(refusal),
    };
    tokio::spawn(async move {
        let Ok(mut socket) = pending.await else {
            return;
        };
        while let Ok(Some(message)) = socket.recv().await {
            let _ = socket.feed(message).await;
        }
    });
    Ok(response)
}
