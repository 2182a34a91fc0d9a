//! Sends back what it receives:
//! `echo_server ADDR [--tls CERT KEY] [--max-message BYTES] [--deflate] [--level 1-9]`.
//!
//! The first line it prints ends with the address it listens on; port 0 picks a free one. CERT and KEY
//! are PEM files.

use std::{error::Error, sync::Arc, time::Duration};

use bowline_tokio::{self as bowline, Config, accept_any, tokio_rustls::TlsAcceptor};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{sleep, timeout},
};

use arguments::Arguments;

#[path = "common/server.rs"]
mod arguments;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { addr, config, tls } = Arguments::parse()?;
    let tls = tls.map(TlsAcceptor::from);
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
                match tls {
                    Some(tls) => {
                        let accepted = timeout(Duration::from_secs(10), tls.accept(stream));
                        echo(accepted.await??, &config).await
                    }
                    None => echo(stream, &config).await,
                }
            };
            if let Err(error) = ended.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Arc<Config>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = accept_any(stream, config).await?;
    while let Some(message) = socket.recv().await? {
        // What is queued leaves before `recv` waits, many messages at once.
        socket.feed(message).await?;
    }
    Ok(())
}
