//! Talks to a server: `client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--insecure] [--deflate]`.
//!
//! Sends each line of its input as text and prints what arrives. Ends when the input ends or the server
//! closes, and succeeds only after a clean close. `--insecure` trusts any certificate.

use std::{error::Error, io, thread};

use bowline_blocking::{
    self as bowline, ClientStream, CloseCode, Closed, Message, SendError, WriteHalf, connect,
};

#[path = "../../bind-tokio/examples/common/client.rs"]
mod arguments;

fn main() {
    let clean = match run() {
        Ok(closed) => {
            eprintln!("{closed}");
            closed.clean
        }
        Err(error) => {
            eprintln!("{error}");
            false
        }
    };
    // The other thread may still be waiting for a line of input.
    std::process::exit(if clean { 0 } else { 1 });
}

fn run() -> Result<Closed, Box<dyn Error>> {
    let (socket, _) = connect(arguments::parse()?)?;
    let (mut receiver, sender) = socket.split();
    thread::spawn(move || match send_lines(&sender) {
        // The server has closed, but messages that it sent before are still to be read.
        Ok(()) | Err(bowline::Error::Send(SendError::Closed)) => {}
        Err(error) => {
            eprintln!("{error}");
            sender.abort();
        }
    });
    while let Some(message) = receiver.recv()? {
        match message {
            Message::Text(text) => println!("{text}"),
            Message::Binary(data) => println!("{} bytes: {data:?}", data.len()),
        }
    }
    receiver.closed().ok_or_else(|| "not closed".into())
}

fn send_lines(sender: &WriteHalf<ClientStream>) -> Result<(), bowline::Error> {
    for line in io::stdin().lines() {
        sender.send(line.map_err(bowline::Error::Lost)?)?;
    }
    sender.finish(CloseCode::NORMAL)
}
