//! Echo server for measuring Bowline beside other libraries: `ours-smol-echo PORT`.
//!
//! It listens on 127.0.0.1, answers on any path and takes messages up to 16 MiB. `THREADS` sets the
//! number of threads, one by default. `DEFLATE=1` enables compression. `MODE` may be `simple` or
//! `batch`, which mean the same here.

use std::{error::Error, sync::Arc, thread};

use bowline_smol::{self as bowline, Config, accept_any};
use smol::{
    Executor, block_on,
    future::{FutureExt, yield_now},
    net::{TcpListener, TcpStream},
};

use arguments::Arguments;

#[path = "../../bind-tokio/examples/common/measured.rs"]
mod arguments;

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let executor = Arc::new(Executor::new());
    for _ in 1..arguments.threads {
        let executor = executor.clone();
        thread::spawn(move || block_on(turns::<()>(&executor)));
    }
    let listen = async {
        let listener = TcpListener::bind(arguments.addr).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // Load generators leave without a Close, and printing a line for each would distort the
            // measurement.
            let served = executor.spawn(echo(stream, arguments.config.clone()));
            served.detach();
        }
    };
    block_on(listen.or(turns(&executor)))
}

/// Runs tasks, and polls the sockets after every few of them; the crate's docs say why.
async fn turns<T>(executor: &Executor<'_>) -> T {
    loop {
        for _ in 0..8 {
            executor.tick().await;
        }
        yield_now().await;
    }
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
