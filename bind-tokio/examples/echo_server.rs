//! Echo server: `echo_server ADDR [--tls CERT KEY] [--max-message BYTES] [--deflate] [--level 1-9]`.
//!
//! The first line that it prints ends with its address; port 0 picks a free one. CERT and KEY are PEM
//! files.

use std::{error::Error, time::Duration};

use bowline_tokio::{self as bowline, Io, OptionalTls, WebSocket, accept_tls};
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
                // For example too many open files. Other connections may go on, and some will close.
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

type Socket = WebSocket<OptionalTls<Io<TcpStream>>>;

async fn echo(mut socket: Socket) -> Result<(), Box<dyn Error + Send + Sync>> {
    while let Some(message) = socket.recv().await? {
        // `recv` writes the queue before it waits, with many messages in one write.
        socket.feed(message).await?;
    }
    Ok(())
}
