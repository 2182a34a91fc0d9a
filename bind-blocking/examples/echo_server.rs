//! Echo server: `echo_server ADDR [--tls CERT KEY] [--max-message BYTES] [--deflate] [--level 1-9]`.
//!
//! The first line that it prints ends with its address; port 0 picks a free one. CERT and KEY are PEM
//! files.

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
                // For example too many open files. Other connections may go on, and some will close.
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
        // `recv` writes the queue before it waits, with many messages in one write.
        socket.feed(message)?;
    }
    Ok(())
}
