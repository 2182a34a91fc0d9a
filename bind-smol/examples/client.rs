//! Talks to a server: `client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--insecure] [--deflate]`.
//!
//! Sends each line of its input as text and prints what arrives. Ends when the input ends or the server
//! closes, and succeeds only after a clean close. `--insecure` trusts any certificate.

use std::{
    error::Error,
    io::{self, stdin},
};

use bowline_smol::{self as bowline, CloseCode, Closed, Message, SendError, connect};
use smol::{
    Unblock,
    future::{self, FutureExt},
    io::{AsyncBufReadExt, BufReader},
    stream::StreamExt,
};

#[path = "../../bind-tokio/examples/common/client.rs"]
mod arguments;

fn main() {
    let clean = match smol::block_on(run()) {
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

enum Next {
    Message(Result<Option<Message>, bowline::Error>),
    Line(Option<io::Result<String>>),
}

async fn run() -> Result<Closed, Box<dyn Error>> {
    let (mut socket, _) = connect(arguments::parse()?).await?;
    let mut lines = BufReader::new(Unblock::new(stdin())).lines();
    let mut open = true;
    loop {
        let message = async { Next::Message(socket.recv().await) };
        let line = async {
            if !open {
                future::pending::<()>().await;
            }
            Next::Line(lines.next().await)
        };
        // The future that is dropped loses no message or line.
        match message.race(line).await {
            Next::Message(message) => match message? {
                Some(Message::Text(text)) => println!("{text}"),
                Some(Message::Binary(data)) => println!("{} bytes: {data:?}", data.len()),
                None => break,
            },
            Next::Line(Some(line)) => match socket.send(line?).await {
                // The server has closed, but messages that it sent before are still to be read.
                Err(bowline::Error::Send(SendError::Closed)) => open = false,
                sent => sent?,
            },
            Next::Line(None) => {
                open = false;
                socket.finish(CloseCode::NORMAL).await?;
            }
        }
    }
    socket.closed().cloned().ok_or_else(|| "not closed".into())
}
