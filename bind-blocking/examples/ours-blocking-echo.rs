//! Sends back what it receives, to be measured beside other libraries: `ours-blocking-echo PORT`.
//!
//! It listens on 127.0.0.1, answers on any path and takes messages up to 16 MiB. Each connection has a
//! thread, whatever `THREADS` says. `DEFLATE=1` agrees to compression. `MODE` may be `simple` or `batch`;
//! there is one loop for both.

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
            // Generators leave without a Close: a line for each would be measured too.
            let _ = echo(stream, config);
        })?;
    }
}

fn echo(stream: TcpStream, config: Arc<Config>) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut socket = accept_any(stream, config)?;
    // `feed` queues; what is queued leaves before `recv` waits, so the answers to all that came in one read
    // go out in one write. `send` would write, and wait for the peer, once for each.
    while let Some(message) = socket.recv()? {
        socket.feed(message)?;
    }
    Ok(())
}
