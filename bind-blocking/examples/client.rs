//! Talks to a server: `client URL [--header K:V]… [--protocol P]… [--proxy URL|env] [--unix PATH] [--reconnect] [--insecure]
//! [--deflate]`.
//!
//! Sends each line of its input as text and prints what arrives. Ends when the input ends or the server
//! closes, and succeeds only after a clean close. `--insecure` trusts any certificate. With `--reconnect` it connects again
//! after a loss, and prints what happens.

use std::{error::Error, io, thread};

use bowline_blocking::{
    self as bowline, ClientStream, CloseCode, Connect, Offline, Reconnect, SendError, WriteHalf,
    connect,
};

#[path = "../../bind-tokio/examples/common/client.rs"]
mod arguments;

fn main() {
    let clean = match run() {
        Ok(clean) => clean,
        Err(error) => {
            eprintln!("{error}");
            false
        }
    };
    // The other thread may still be waiting for a line of input.
    std::process::exit(if clean { 0 } else { 1 });
}

/// Returns whether the connection was closed cleanly.
fn run() -> Result<bool, Box<dyn Error>> {
    let arguments = arguments::parse()?;
    if arguments.reconnects {
        return reconnect(arguments.to);
    }
    let (socket, _) = connect(arguments.to)?;
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
        arguments::print(message);
    }
    let closed = receiver.closed().ok_or("not closed")?;
    eprintln!("{closed}");
    Ok(closed.clean)
}

fn send_lines(sender: &WriteHalf<ClientStream>) -> Result<(), bowline::Error> {
    for line in io::stdin().lines() {
        sender.send(line.map_err(bowline::Error::Lost)?)?;
    }
    sender.finish(CloseCode::NORMAL)
}

fn reconnect(to: Connect) -> Result<bool, Box<dyn Error>> {
    let mut socket = Reconnect::new(to).offline(Offline::Wait);
    let sender = socket.sender();
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if let Err(error) = sender.send(line) {
                eprintln!("{error}");
            }
        }
        sender.stop(CloseCode::NORMAL)
    });
    while let Some(event) = socket.recv_event()? {
        arguments::tell(event);
    }
    Ok(true)
}
