//! Talks to a server: `client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--insecure] [--deflate]`.
//!
//! Sends each line of its input as text and prints what arrives. Ends when the input ends or the server
//! closes, and succeeds only after a clean close. `--insecure` trusts any certificate.

use std::error::Error;

use bowline_tokio::{self as bowline, CloseCode, Closed, Message, SendError, connect};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[path = "common/client.rs"]
mod arguments;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let clean = match run().await {
        Ok(closed) => {
            eprintln!("{closed}");
            closed.clean
        }
        Err(error) => {
            eprintln!("{error}");
            false
        }
    };
    // A thread may still be waiting for a line of input, and returning from `main` would wait for it.
    std::process::exit(if clean { 0 } else { 1 });
}

async fn run() -> Result<Closed, Box<dyn Error>> {
    let (mut socket, _) = connect(arguments::parse()?).await?;
    let mut lines = BufReader::new(stdin()).lines();
    let mut open = true;
    loop {
        tokio::select! {
            message = socket.recv() => match message? {
                Some(Message::Text(text)) => println!("{text}"),
                Some(Message::Binary(data)) => println!("{} bytes: {data:?}", data.len()),
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
    socket.closed().cloned().ok_or_else(|| "not closed".into())
}
