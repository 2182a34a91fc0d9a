//! A chat for the browser: `bowline-chat [ADDR]`, by default on 127.0.0.1:9001.
//!
//! One port serves the page and the sockets, which are at `/ws?name=…`. Every message goes to everybody. A visitor who
//! reads too slowly, or not at all, does not delay the others.

use std::{future::ready, io, sync::Arc, time::Duration};

use bowline_tokio::{
    ClientRequest, CloseCode, Config, Deflate, Error, Message, SendError, Server, ServerStream,
    Stop, Tracker, WebSocket,
};
use tokio::{select, signal, try_join};

use door::Name;
use room::{Room, Seat};

mod door;
mod room;

type Socket = WebSocket<ServerStream>;

#[tokio::main]
async fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1);
    let config = config();
    let room = Arc::new(Room::new(&config));
    let server = Server::bind(addr.as_deref().unwrap_or("127.0.0.1:9001"))?
        .config(config)
        .page("/", "text/html; charset=utf-8", include_str!("page.html"))
        .path("/ws", move |socket, request| {
            attend(room.clone(), socket, request)
        })
        .decide(|request| ready(door::admit(request)))
        .on_error(|error| eprintln!("{error}"));
    for addr in server.local_addrs() {
        println!("listening on {addr}\nopen http://{addr}/ in a browser, twice");
    }
    let tracker = server.tracker();
    try_join!(server.serve(), stop(tracker))?;
    Ok(())
}

/// Returns the limits of a visitor's socket.
fn config() -> Arc<Config> {
    let mut config = Config::default();
    config.max_message_size = 128 << 10;
    config.write_timeout = Some(Duration::from_secs(10));
    config.close_timeout = Some(Duration::from_secs(1));
    // Each message is compressed once for everybody, so no visitor has a compression state.
    config.deflate = Some(Deflate::low_memory());
    Arc::new(config)
}

/// Waits for a signal to stop, and then stops the server. Every visitor gets a Close, and has a second to answer it.
async fn stop(tracker: Tracker) -> io::Result<()> {
    stop_signal().await?;
    let stop = Stop::within(Duration::from_secs(1));
    let stop = stop.close((CloseCode::GOING_AWAY, "the server stops"));
    tracker.stop(stop).await;
    Ok(())
}

/// Waits for Ctrl-C or for the termination signal.
async fn stop_signal() -> io::Result<()> {
    #[cfg(unix)]
    {
        let mut terminate = signal::unix::signal(signal::unix::SignalKind::terminate())?;
        select! {
            _ = terminate.recv() => Ok(()),
            interrupted = signal::ctrl_c() => interrupted,
        }
    }
    #[cfg(not(unix))]
    signal::ctrl_c().await
}

/// Runs one socket from beginning to end.
async fn attend(room: Arc<Room>, mut socket: Socket, request: ClientRequest) {
    let Some(Name(name)) = request.get() else {
        return;
    };
    match (talk(&room, &mut socket, name).await, socket.closed()) {
        (Err(error), _) => println!("{name}: {error}"),
        (Ok(()), Some(closed)) => println!("{name}: {closed}"),
        (Ok(()), None) => {}
    }
}

/// Passes on messages in both directions until the visitor leaves or the server stops.
async fn talk(room: &Room, socket: &mut Socket, name: &str) -> Result<(), Error> {
    let mut seat = Seat::new(room, name);
    loop {
        select! {
            // Output to the visitor goes first, so that a visitor cannot send faster than they receive.
            biased;
            line = seat.next() => match line {
                // Waits if too much is unsent, and fails if the visitor takes nothing of it for too long.
                Some(line) => match socket.feed(line).await {
                    // The server is stopping, and `recv` completes the closing handshake.
                    Err(Error::Send(SendError::Closed)) => {}
                    fed => fed?,
                },
                None => {
                    let reason = (CloseCode::TRY_AGAIN_LATER, "too far behind");
                    return socket.close(reason).await;
                }
            },
            // Also writes what was fed, answers Pings and keeps time.
            message = socket.recv() => match message? {
                Some(Message::Text(text)) => seat.say(&text),
                Some(Message::Binary(_)) => {
                    return socket.close((CloseCode::UNSUPPORTED_DATA, "text only")).await;
                }
                None => return Ok(()),
            },
        }
    }
}
