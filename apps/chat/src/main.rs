//! A chat for the browser: `bowline-chat [ADDR]`, by default on 127.0.0.1:9001.
//!
//! One port serves the page, through hyper, and the sockets, at `/ws?name=…`. Every message goes to
//! everybody. A visitor who is too slow, or does not read at all, delays nobody.

use std::{io, sync::Arc, time::Duration};

use bowline_tokio::{CloseCode, Config, Error, Io, Message, Role, WebSocket, from_parts};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    http,
    server::conn::http1,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    select, signal,
    sync::watch,
    time::{sleep, timeout},
};

use door::Visitor;
use room::{Room, Seat};

mod door;
mod room;

type Socket = WebSocket<Io<TokioIo<Upgraded>>>;

#[tokio::main]
async fn main() -> io::Result<()> {
    let addr = std::env::args().nth(1);
    let listener = TcpListener::bind(addr.as_deref().unwrap_or("127.0.0.1:9001")).await?;
    let addr = listener.local_addr()?;
    println!("listening on {addr}\nopen http://{addr}/ in a browser, twice");

    let chat = Arc::new(Chat::new());
    select! {
        stopped = stop_signal() => stopped?,
        () = listen(&listener, &chat) => {}
    }
    // Every visitor gets a Close, and has more than a second to answer.
    drop(listener);
    chat.stop.send_replace(true);
    let _ = timeout(Duration::from_millis(1500), chat.stop.closed()).await;
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

async fn listen(listener: &TcpListener, chat: &Arc<Chat>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, chat.clone()))),
            Err(error) => {
                // For example too many open files. Other connections may go on, and some will close.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves HTTP until the connection ends or becomes a socket.
async fn serve(stream: TcpStream, chat: Arc<Chat>) {
    // Messages are small, and should be sent at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request| chat.answer(request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // An error here means only that a browser left in the middle of a request.
    let _ = connection.await;
}

struct Chat {
    config: Arc<Config>,
    room: Room,
    /// Whether the server is stopping. Every socket holds a receiver.
    stop: watch::Sender<bool>,
}

impl Chat {
    fn new() -> Self {
        let config = door::config();
        Self {
            room: Room::new(&config),
            config,
            stop: watch::Sender::new(false),
        }
    }

    /// Answers a request. A socket opens once the answer has been sent.
    fn answer(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
    ) -> http::Result<Response<Full<Bytes>>> {
        door::to_http(match door::admit(&request, &self.config) {
            Ok((visitor, switching)) => {
                let upgrade = hyper::upgrade::on(&mut request);
                tokio::spawn(self.clone().attend(upgrade, visitor));
                switching
            }
            Err(answer) => answer,
        })
    }

    /// Runs one socket from beginning to end.
    async fn attend(self: Arc<Self>, upgrade: OnUpgrade, visitor: Visitor) {
        let Visitor { name, negotiated } = visitor;
        let Ok(upgraded) = upgrade.await else { return };
        let stream = TokioIo::new(upgraded);
        let mut socket = from_parts(stream, &[], negotiated, Role::Server, self.config.clone());
        let mut stop = self.stop.subscribe();
        let stopped = async { drop(stop.wait_for(|stop| *stop).await) };
        let result = select! {
            // If this is dropped in the middle, `close` still has all that it needs.
            result = self.talk(&mut socket, &name) => result,
            () = stopped => {
                socket.close((CloseCode::GOING_AWAY, "the server stops")).await
            }
        };
        match (result, socket.closed()) {
            (Err(error), _) => println!("{name}: {error}"),
            (Ok(()), Some(closed)) => println!("{name}: {closed}"),
            (Ok(()), None) => {}
        }
    }

    /// Passes on messages in both directions until the visitor leaves.
    async fn talk(&self, socket: &mut Socket, name: &str) -> Result<(), Error> {
        let mut seat = Seat::new(&self.room, name);
        loop {
            select! {
                // Output to the visitor goes first, so that a visitor cannot send faster than they receive.
                biased;
                line = seat.next() => match line {
                    // Waits if too much is unsent, and fails if the visitor takes nothing of it for too
                    // long.
                    Some(line) => socket.feed(line).await?,
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
}
