//! An echo server to be measured: `ours-smol-echo PORT`, on 127.0.0.1, any path.
//!
//! `THREADS=n` serves by n threads, `DEFLATE=1` compresses if the client wants to. `MODE` may be `simple` or
//! `batch`, which are the same.

use std::{error::Error, future::pending, sync::Arc, thread};

use bowline_smol::{self as bowline, Config, accept_any};
use smol::{
    Executor, block_on,
    net::{TcpListener, TcpStream},
};

use arguments::Arguments;

#[path = "../../bind-tokio/examples/common/ours.rs"]
mod arguments;

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments {
        addr,
        threads,
        config,
    } = Arguments::parse()?;
    let executor = Arc::new(Executor::new());
    for _ in 1..threads {
        let executor = executor.clone();
        thread::spawn(move || block_on(executor.run(pending::<()>())));
    }
    block_on(executor.run(async {
        let listener = TcpListener::bind(addr).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            let config = config.clone();
            let served = executor.spawn(async move {
                // How a connection ended is not measured.
                let _ = echo(stream, config).await;
            });
            served.detach();
        }
    }))
}

async fn echo(stream: TcpStream, config: Arc<Config>) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut socket = accept_any(stream, &config).await?;
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}
