//! The steps of a program with .NET's `ClientWebSocket`: it connects, sends a text, receives the answer into a buffer
//! of 1,024 bytes, and closes with 1000 and a reason.

use bowline_tokio::{CloseCode, connect};

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: dotnet_client URL")?;
    let (mut socket, _) = connect(url).await?;
    socket.send("Hello").await?;
    let mut buffer = [0; 1024];
    while let Some(received) = socket.recv_into(&mut buffer).await? {
        println!("count {}, end of message {}", received.len, received.fin);
        if received.fin {
            break;
        }
    }
    Ok(socket.close((CloseCode::NORMAL, "Closing")).await?)
}
