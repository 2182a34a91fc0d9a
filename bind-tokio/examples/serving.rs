//! Sends each message of a client back to it: `serving [ADDR]`. Clients connect to `ws://ADDR/ws`.
#[tokio::main]
pub(crate) async fn main() -> std::io::Result<()> {
    let addr = std::env::args().nth(1);
    let addr = addr.as_deref().unwrap_or("127.0.0.1:9001");
    let server = bowline_tokio::Server::bind(addr)?.path("/ws", |mut socket, _| async move {
        while let Ok(Some(message)) = socket.recv().await {
            let _ = socket.feed(message).await;
        }
    });
    server.serve().await
}
