//! Sends back what it receives:
//! `echo_server ADDR [--tls CERT KEY] [--max-message BYTES] [--deflate] [--level 1-9]`.
//!
//! The first line it prints ends with the address it listens on; port 0 picks a free one. CERT and KEY
//! are PEM files.

use std::{
    error::Error,
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use bowline_blocking::{self as bowline, Config, accept_tls, rustls::ServerConfig};

use arguments::Arguments;

#[path = "../../bind-tokio/examples/common/server.rs"]
mod arguments;

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { addr, config, tls } = Arguments::parse()?;
    let listener = TcpListener::bind(addr)?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                // Such as too many open files: others may go on, and close some.
                eprintln!("accept: {error}");
                thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        let (tls, config) = (tls.clone(), config.clone());
        let serving = thread::Builder::new().spawn(move || {
            if let Err(error) = serve(stream, tls, config) {
                eprintln!("{peer}: {error}");
            }
        });
        if let Err(error) = serving {
            eprintln!("{peer}: {error}");
        }
    }
}

fn serve(
    stream: TcpStream,
    tls: Option<Arc<ServerConfig>>,
    config: Arc<Config>,
) -> Result<(), Box<dyn Error>> {
    stream.set_nodelay(true)?;
    let mut socket = accept_tls(stream, tls, config)?.open();
    while let Some(message) = socket.recv()? {
        // What is queued leaves before `recv` waits, many messages at once.
        socket.feed(message)?;
    }
    Ok(())
}
