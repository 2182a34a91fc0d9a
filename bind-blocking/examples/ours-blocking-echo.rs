//! An echo server to be measured: `ours-blocking-echo PORT`, on 127.0.0.1, any path.
//!
//! Each connection has a thread. `DEFLATE=1` compresses if the client wants to. `MODE` may be `simple` or
//! `batch`, which are the same.

use std::{
    error::Error,
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use bowline_blocking::{self as bowline, Config, accept_any};

use arguments::Arguments;

#[path = "../../bind-tokio/examples/common/ours.rs"]
mod arguments;

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { addr, config, .. } = Arguments::parse()?;
    let listener = TcpListener::bind(addr)?;
    loop {
        let (stream, _) = listener.accept()?;
        let config = config.clone();
        // How a connection ended is not measured.
        thread::spawn(move || drop(echo(stream, config)));
    }
}

fn echo(stream: TcpStream, config: Arc<Config>) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut socket = accept_any(stream, &config)?;
    while let Some(message) = socket.recv()? {
        socket.feed(message)?;
    }
    Ok(())
}
