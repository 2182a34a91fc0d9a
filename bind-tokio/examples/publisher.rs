//! A client that only sends: a line every 50 ms. It wants nothing from the server, so it gives its read half away to be
//! drained, which answers the server's Pings and notices the end of the connection.

use bowline_tokio::{CloseCode, connect};
use std::{error::Error, time::Duration};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let usage = "usage: publisher URL LINES";
    let url = std::env::args().nth(1).ok_or(usage)?;
    let lines: u32 = std::env::args().nth(2).ok_or(usage)?.parse()?;
    let (socket, _) = connect(url).await?;
    let (reader, writer) = socket.split();
    let drained = tokio::spawn(reader.drain());
    for line in 0..lines {
        writer.send(format!("line {line}")).await?;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    writer.close(CloseCode::NORMAL).await?;
    Ok(drained.await??)
}
