//! A page and its socket on one port, with axum: `axum [ADDR]`.
use axum::{Router, response::*, routing::any};
use bowline_tokio::WebSocketUpgrade;

const PAGE: &str = "<script>new WebSocket(`ws://${location.host}`)</script>";

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addr = std::env::args().nth(1);
    let listener = tokio::net::TcpListener::bind(addr.as_deref().unwrap_or("127.0.0.1:9003"));
    let listener = listener.await?;
    println!("http://{}/", listener.local_addr()?);
    Ok(axum::serve(listener, Router::new().route("/", any(root))).await?)
}

async fn root(upgrade: Option<WebSocketUpgrade>) -> Response {
    let Some(upgrade) = upgrade else {
        return Html(PAGE).into_response();
    };
    upgrade.on_upgrade(|mut socket| async move {
        while let Ok(Some(message)) = socket.recv().await {
            let _ = socket.feed(message).await;
        }
    })
}
