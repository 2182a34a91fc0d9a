//! A client in a single thread that prints what it receives, and sends a heartbeat of its own every second.

use bowline_blocking::{TryRecvError, connect};
use std::time::{Duration, Instant};

pub(crate) fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::args().nth(1).ok_or("usage: heartbeat URL")?;
    let (mut socket, _) = connect(url)?;
    let mut next = Instant::now() + Duration::from_secs(1);
    loop {
        match socket.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Some(message)) => println!("{message:?}"),
            Ok(None) => return Ok(()),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Failed(error)) => return Err(error.into()),
        }
        if Instant::now() >= next {
            socket.send("heartbeat")?;
            next += Duration::from_secs(1);
        }
    }
}
