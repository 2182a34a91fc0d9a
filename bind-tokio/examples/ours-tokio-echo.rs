//! An echo server to be measured: `ours-tokio-echo PORT`, on 127.0.0.1, any path.
//!
//! `THREADS=n` serves by n threads, `DEFLATE=1` compresses if the client wants to. `MODE` may be `simple` or
//! `batch`, which are the same.

use std::{error::Error, sync::Arc};

use bowline_tokio::{self as bowline, Config, accept_any};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

use arguments::Arguments;

#[path = "common/ours.rs"]
mod arguments;

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments {
        addr,
        threads,
        config,
    } = Arguments::parse()?;
    let mut builder = match threads {
        ..=1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(threads.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(addr).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let config = config.clone();
            tokio::spawn(async move {
                // How a connection ended is not measured.
                let _ = echo(stream, config).await;
            });
        }
    })
}

async fn echo(stream: TcpStream, config: Arc<Config>) -> Result<(), Box<dyn Error + Send + Sync>> {
    stream.set_nodelay(true)?;
    let mut socket = accept_any(stream, &config).await?;
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}
