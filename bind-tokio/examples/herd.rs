//! Opens many sockets that reconnect, and prints when each of them is connected, in milliseconds since 1970: `herd URL COUNT`.

use std::{env, error::Error, process, time::SystemTime};

use bowline_tokio::{Reconnect, ReconnectEvent};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    const USAGE: &str = "usage: herd URL COUNT";
    let url = env::args().nth(1).ok_or(USAGE)?;
    let count: usize = env::args().nth(2).ok_or(USAGE)?.parse()?;
    let sockets: Vec<_> = (0..count)
        .map(|_| tokio::spawn(stay(Reconnect::new(&*url))))
        .collect();
    for socket in sockets {
        socket.await?;
    }
    Ok(())
}

/// Receives as long as the server lets the socket come back. One that has given up ends the whole program.
async fn stay(mut socket: Reconnect) {
    loop {
        match socket.recv_event().await {
            Ok(Some(ReconnectEvent::Connected(_))) => {
                let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
                println!("{}", now.as_millis());
            }
            Ok(Some(_)) => {}
            Ok(None) => return,
            Err(error) => {
                eprintln!("{error}");
                process::exit(1);
            }
        }
    }
}
