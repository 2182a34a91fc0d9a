//! Sends back what it receives, to be measured beside other libraries: `ours-tokio-echo PORT`.
//!
//! It listens on 127.0.0.1, answers on any path and takes messages up to 16 MiB. `THREADS` says how many
//! threads serve: one by default, on a runtime that has no other. `DEFLATE=1` agrees to compression.
//! `MODE` may be `simple` or `batch`; there is one loop for both.

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
            // Generators leave without a Close: a line for each would be measured too.
            tokio::spawn(echo(stream, arguments.config.clone()));
        }
    })
}

async fn echo(stream: TcpStream, config: Arc<Config>) -> Ended {
    stream.set_nodelay(true)?;
    let mut socket = accept_any(stream, config).await?;
    // `feed` queues; what is queued leaves before `recv` waits, so the answers to all that came in one read
    // go out in one write. `send` would write, and wait for the peer, once for each.
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}
