//! Copies a stream of bytes of any size through a single message, in bounded memory: a client sends, and a server in the
//! same process receives. Prints how many bytes came, and the largest amount of memory that the process has held.

use bowline_tokio::{ByteStream, Config, Kind, accept_any, connect_over};
use std::error::Error;
use tokio::io::{self, AsyncReadExt, AsyncWriteExt, DuplexStream};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let bytes = std::env::args()
        .nth(1)
        .map_or(Ok(1_000_000_000), |it| it.parse())?;
    let (near, far) = io::duplex(64 << 10);
    let (sent, received) = tokio::join!(send(near, bytes), receive(far));
    println!("{} bytes sent, {} bytes received", sent?, received?);
    println!("{}", peak().unwrap_or_default());
    Ok(())
}

async fn send(stream: DuplexStream, bytes: u64) -> Result<u64, Box<dyn Error>> {
    let (mut socket, _) = connect_over(stream, "ws://localhost/").await?;
    let mut message = ByteStream::new(socket.stream(Kind::Binary).await?);
    let sent = io::copy(&mut io::repeat(7).take(bytes), &mut message).await?;
    message.shutdown().await?;
    drop(message);
    socket.close(None).await?;
    Ok(sent)
}

async fn receive(stream: DuplexStream) -> Result<u64, Box<dyn Error>> {
    let mut socket = accept_any(stream, Config::default()).await?;
    let message = socket.read_message().await?.ok_or("no message")?;
    let received = io::copy(&mut ByteStream::new(message), &mut io::sink()).await?;
    while socket.recv().await?.is_some() {}
    Ok(received)
}

/// Linux tells it.
fn peak() -> Option<String> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    Some(
        status
            .lines()
            .find(|line| line.starts_with("VmHWM"))?
            .to_owned(),
    )
}
