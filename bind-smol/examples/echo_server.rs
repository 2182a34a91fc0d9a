//! Echo server: `echo_server ADDR [--tls CERT KEY] [--max-message BYTES] [--deflate] [--level 1-9]`.
//!
//! The first line that it prints ends with its address; port 0 picks a free one. CERT and KEY are PEM
//! files. `SMOL_THREADS` sets the number of threads, one by default.

use std::{error::Error, sync::Arc, time::Duration};

use bowline_smol::{self as bowline, Config, accept_tls, rustls::ServerConfig};
use smol::{
    Timer,
    net::{TcpListener, TcpStream},
};

use arguments::Arguments;

#[path = "../../bind-tokio/examples/common/server.rs"]
mod arguments;

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

fn main() -> Result<(), Box<dyn Error>> {
    let Arguments { addr, config, tls } = Arguments::parse()?;
    smol::block_on(async {
        let listener = TcpListener::bind(addr).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, peer) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // For example too many open files. Other connections may go on, and some will close.
                    eprintln!("accept: {error}");
                    Timer::after(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let (tls, config) = (tls.clone(), config.clone());
            let served = smol::spawn(async move {
                if let Err(error) = serve(stream, tls, config).await {
                    eprintln!("{peer}: {error}");
                }
            });
            served.detach();
        }
    })
}

async fn serve(stream: TcpStream, tls: Option<Arc<ServerConfig>>, config: Arc<Config>) -> Ended {
    stream.set_nodelay(true)?;
    let mut socket = accept_tls(stream, tls, config).await?.open().await;
    while let Some(message) = socket.recv().await? {
        // `recv` writes the queue before it waits, with many messages in one write.
        socket.feed(message).await?;
    }
    Ok(())
}
