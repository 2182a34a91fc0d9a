//! Echo server for measuring Bowline beside other libraries: `ours-tokio-echo PORT`.
//!
//! It listens on 127.0.0.1, answers on any path and takes messages up to 16 MiB. `THREADS` sets the
//! number of threads. The default is one, on a single-threaded runtime. `DEFLATE=1` enables compression.
//! `MODE` may be `simple` or `batch`, which mean the same here.

use std::{error::Error, sync::Arc};

use bowline_tokio::{self as bowline, Config, accept_any};
use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
};

use arguments::Arguments;

#[path = "common/measured.rs"]
mod arguments;

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let mut builder = match arguments.threads {
        0 | 1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = builder
        .worker_threads(arguments.threads.max(1))
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(arguments.addr).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // Load generators leave without a Close, and printing a line for each would distort the
            // measurement.
            tokio::spawn(echo(stream, arguments.config.clone()));
        }
    })
}

async fn echo(stream: TcpStream, config: Arc<Config>) -> Ended {
    stream.set_nodelay(true)?;
    let mut socket = accept_any(stream, config).await?;
    // `feed` only queues, and `recv` writes the queue before it waits, so the answers to everything that
    // came in one read go out in one write. `send` would write, and wait for the peer, for each message.
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}
