//! Echo server for measuring Bowline beside other libraries: `ours-blocking-echo PORT`.
//!
//! It listens on 127.0.0.1, answers on any path and takes messages up to 16 MiB. Each connection has a
//! thread of its own, whatever `THREADS` says. `DEFLATE=1` enables compression. `MODE` may be `simple`
//! or `batch`, which mean the same here.

use std::{
    error::Error,
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use bowline_blocking::{self as bowline, Config, accept_any};

use arguments::Arguments;

#[path = "../../bind-tokio/examples/common/measured.rs"]
mod arguments;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse()?;
    let listener = TcpListener::bind(arguments.addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept()?;
        let config = arguments.config.clone();
        thread::Builder::new().spawn(move || {
            // Load generators leave without a Close, and printing a line for each would distort the
            // measurement.
            let _ = echo(stream, config);
        })?;
    }
}

fn echo(stream: TcpStream, config: Arc<Config>) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut socket = accept_any(stream, config)?;
    // `feed` only queues, and `recv` writes the queue before it waits, so the answers to everything that
    // came in one read go out in one write. `send` would write, and wait for the peer, for each message.
    while let Some(message) = socket.recv()? {
        socket.feed(message)?;
    }
    Ok(())
}
