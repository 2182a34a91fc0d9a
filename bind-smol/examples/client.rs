//! Talks to a server: `client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--reconnect] [--insecure]
//! [--deflate]`.
//!
//! Sends each line of its input as text and prints what arrives. Ends when the input ends or the server
//! closes, and succeeds only after a clean close. `--insecure` trusts any certificate. With `--reconnect` it connects again
//! after a loss, and prints what happens.

use std::{
    error::Error,
    io::{self, stdin},
};

use bowline_smol::{
    self as bowline, CloseCode, Connect, Message, Offline, Reconnect, SendError, connect,
};
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
        Ok(clean) => clean,
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

/// Returns whether the connection was closed cleanly.
async fn run() -> Result<bool, Box<dyn Error>> {
    let arguments = arguments::parse()?;
    if arguments.reconnects {
        return reconnect(arguments.to).await;
    }
    let (mut socket, _) = connect(arguments.to).await?;
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
                Some(message) => arguments::print(message),
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
    let closed = socket.closed().ok_or("not closed")?;
    eprintln!("{closed}");
    Ok(closed.clean)
}

async fn reconnect(to: Connect) -> Result<bool, Box<dyn Error>> {
    let mut socket = Reconnect::new(to).offline(Offline::Wait);
    let sender = socket.sender();
    let sends = smol::spawn(async move {
        let mut lines = BufReader::new(Unblock::new(stdin())).lines();
        while let Some(Ok(line)) = lines.next().await {
            if let Err(error) = sender.send(line).await {
                eprintln!("{error}");
            }
        }
        sender.stop(CloseCode::NORMAL).await
    });
    while let Some(event) = socket.recv_event().await? {
        arguments::tell(event);
    }
    drop(sends);
    Ok(true)
}
