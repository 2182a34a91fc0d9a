//! Talks to a server: `client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--reconnect] [--insecure]
//! [--deflate]`.
//!
//! Sends each line of its input as text and prints what arrives. Ends when the input ends or the server
//! closes, and succeeds only after a clean close. `--insecure` trusts any certificate. With `--reconnect` it connects again
//! after a loss, and prints what happens.

use std::error::Error;

use bowline_tokio::{self as bowline, CloseCode, Connect, Offline, Reconnect, SendError, connect};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[path = "common/client.rs"]
mod arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let clean = match run().await {
        Ok(clean) => clean,
        Err(error) => {
            eprintln!("{error}");
            false
        }
    };
    // A thread may still be waiting for a line of input, and returning from `main` would wait for it.
    std::process::exit(if clean { 0 } else { 1 });
}

/// Returns whether the connection was closed cleanly.
async fn run() -> Result<bool, Box<dyn Error>> {
    let arguments = arguments::parse()?;
    if arguments.reconnects {
        return reconnect(arguments.to).await;
    }
    let (mut socket, _) = connect(arguments.to).await?;
    let mut lines = BufReader::new(stdin()).lines();
    let mut open = true;
    loop {
        tokio::select! {
            message = socket.recv() => match message? {
                Some(message) => arguments::print(message),
                None => break,
            },
            line = lines.next_line(), if open => match line? {
                Some(line) => match socket.send(line).await {
                    // The server has closed, but messages that it sent before are still to be read.
                    Err(bowline::Error::Send(SendError::Closed)) => open = false,
                    sent => sent?,
                },
                None => {
                    open = false;
                    socket.finish(CloseCode::NORMAL).await?;
                }
            },
        }
    }
    let closed = socket.closed().ok_or("not closed")?;
    eprintln!("{closed}");
    Ok(closed.clean)
}

async fn reconnect(to: Connect) -> Result<bool, Box<dyn Error>> {
    let mut socket = Reconnect::new(to).offline(Offline::Wait);
    let sender = socket.sender();
    tokio::spawn(async move {
        let mut lines = BufReader::new(stdin()).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            if let Err(error) = sender.send(line).await {
                eprintln!("{error}");
            }
        }
        sender.stop(CloseCode::NORMAL).await
    });
    while let Some(event) = socket.recv_event().await? {
        arguments::tell(event);
    }
    Ok(true)
}
