//! Bowline, with the loop that a user would write, which is also that of the examples `ours-*-echo`.

use std::{error::Error, io, net::TcpListener, sync::Arc};

use bowline_tokio::{Config, Deflate};

use crate::{
    frames::Takeover,
    servers::{on_smol, on_smol_in_turns, on_threads, on_tokio},
};

type Ended = Result<(), Box<dyn Error + Send + Sync>>;

pub(crate) fn tokio(listener: TcpListener, compression: Option<Takeover>) -> io::Result<()> {
    let config = Arc::new(with(Config::default(), compression));
    on_tokio(listener, move |stream| {
        let config = config.clone();
        async move {
            let mut socket = bowline_tokio::accept_any(stream, config.clone()).await?;
            while let Some(message) = socket.recv().await? {
                socket.feed(message).await?;
            }
            Ended::Ok(())
        }
    })
}

/// Uses both halves in one task, like an application that also sends from elsewhere.
pub(crate) fn tokio_split(listener: TcpListener, compression: Option<Takeover>) -> io::Result<()> {
    let config = Arc::new(with(Config::default(), compression));
    on_tokio(listener, move |stream| {
        let config = config.clone();
        async move {
            let socket = bowline_tokio::accept_any(stream, config.clone()).await?;
            let (mut reader, writer) = socket.split();
            while let Some(message) = reader.recv().await? {
                writer.feed(message).await?;
            }
            Ended::Ok(())
        }
    })
}

pub(crate) fn smol(listener: TcpListener, compression: Option<Takeover>) -> io::Result<()> {
    let config = Arc::new(with(Config::default(), compression));
    on_smol(listener, move |stream| echo_on_smol(stream, config.clone()))
}

pub(crate) fn smol_in_turns(
    listener: TcpListener,
    compression: Option<Takeover>,
) -> io::Result<()> {
    let config = Arc::new(with(Config::default(), compression));
    on_smol_in_turns(listener, move |stream| echo_on_smol(stream, config.clone()))
}

async fn echo_on_smol(stream: smol::net::TcpStream, config: Arc<Config>) -> Ended {
    let mut socket = bowline_smol::accept_any(stream, config.clone()).await?;
    while let Some(message) = socket.recv().await? {
        socket.feed(message).await?;
    }
    Ok(())
}

pub(crate) fn blocking(listener: TcpListener, compression: Option<Takeover>) -> io::Result<()> {
    let config = Arc::new(with(Config::default(), compression));
    on_threads(listener, move |stream| {
        let mut socket = bowline_blocking::accept_any(stream, config.clone())?;
        while let Some(message) = socket.recv()? {
            socket.feed(message)?;
        }
        Ended::Ok(())
    })
}

fn with(mut config: Config, compression: Option<Takeover>) -> Config {
    config.max_message_size = 16 << 20;
    config.deflate = compression.map(|takeover| {
        let mut deflate = Deflate::default();
        (deflate.send.takeover, deflate.recv.takeover) = (takeover, takeover);
        deflate
    });
    config
}
