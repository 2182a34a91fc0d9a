//! Sends back what it receives:
//! `echo_server ADDR [--tls CERT KEY] [--max-message BYTES] [--deflate] [--level 1-9]`.
//!
//! The first line it prints ends with the address it listens on; port 0 picks a free one. CERT and KEY
//! are PEM files.

use std::{error::Error, time::Duration};

use bowline_tokio::{self as bowline, Io, MaybeTls, WebSocket, accept_tls};
use tokio::{
    net::{TcpListener, TcpStream},
    time::sleep,
};

use arguments::Arguments;

#[path = "common/server.rs"]
mod arguments;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { addr, config, tls } = Arguments::parse()?;
    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Such as too many open files: others may go on, and close some.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, config) = (tls.clone(), config.clone());
        tokio::spawn(async move {
            let ended = async {
                stream.set_nodelay(true)?;
                let incoming = accept_tls(stream, tls, config).await?;
                echo(incoming.open().await).await
            };
            if let Err(error) = ended.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

type Socket = WebSocket<MaybeTls<Io<TcpStream>>>;

async fn echo(mut socket: Socket) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(message) = socket.recv().await? {
        // What is queued leaves before `recv` waits, many messages at once.
        socket.feed(message).await?;
    }
    Ok(())
}
