//! A chat for the browser: `chat [ADDR]`, by default on 127.0.0.1:9001.
//!
//! One port serves the page, through hyper, and the sockets, at `/ws?name=…`. Every message goes to
//! everybody. Whoever does not keep up, or does not read at all, delays nobody.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use async_signal::{Signal, Signals};
use bowline_smol::{self as bowline, CloseCode, Config, Io, Message, Role, WebSocket, from_parts};
use http_body_util::Full;
use hyper::{
    Request, Response,
    body::{Bytes, Incoming},
    http,
    server::conn::http1,
    service::service_fn,
    upgrade::OnUpgrade,
};
use smol::{
    Executor, Timer,
    channel::{self, Receiver},
    future::FutureExt,
    net::{TcpListener, TcpStream},
    stream::StreamExt,
};
use smol_hyper::rt::{FuturesIo, SmolTimer};

use door::{Visitor, goodbye};
use room::{Room, Seat};

#[path = "../../../bind-tokio/examples/chat/door.rs"]
mod door;
#[path = "../../../bind-tokio/examples/chat/room.rs"]
mod room;

type Socket = WebSocket<Io<TcpStream>>;

fn main() -> io::Result<()> {
    let (stop, stopped) = channel::bounded(1);
    let chat = Arc::new(Chat::new(stopped));
    smol::block_on(chat.sockets.run(async {
        let addr = std::env::args().nth(1);
        let listener = TcpListener::bind(addr.as_deref().unwrap_or("127.0.0.1:9001")).await?;
        let addr = listener.local_addr()?;
        println!("listening on {addr}\nopen http://{addr}/ in a browser, twice");
        stop_signal().or(listen(&listener, &chat)).await
    }))?;
    // Everybody is told goodbye, and has a second to answer.
    drop(stop);
    let goodbyes = async {
        while !chat.sockets.is_empty() {
            chat.sockets.tick().await;
        }
    };
    let late = async {
        Timer::after(Duration::from_millis(1500)).await;
    };
    smol::block_on(goodbyes.or(late));
    Ok(())
}

/// Waits for Ctrl-C, or for the signal that asks a process to end.
async fn stop_signal() -> io::Result<()> {
    let mut signals = Signals::new([
        Signal::Int,
        #[cfg(unix)]
        Signal::Term,
    ])?;
    signals.next().await.transpose().map(drop)
}

async fn listen(listener: &TcpListener, chat: &Arc<Chat>) -> io::Result<()> {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => smol::spawn(serve(stream, chat.clone())).detach(),
            Err(error) => {
                // Such as too many open files: others may go on, and close some.
                eprintln!("accept: {error}");
                Timer::after(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves HTTP, until the connection ends or becomes a socket.
async fn serve(stream: TcpStream, chat: Arc<Chat>) {
    // What people type should leave at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(async |request| chat.answer(request));
    let connection = http1::Builder::new()
        .timer(SmolTimer::new())
        .serve_connection(FuturesIo::new(stream), service)
        .with_upgrades();
    // A browser that leaves in the middle of a request is nobody's concern.
    let _ = connection.await;
}

struct Chat {
    config: Arc<Config>,
    room: Room,
    /// Runs all sockets.
    sockets: Executor<'static>,
    /// Closed when the server stops.
    stopped: Receiver<Infallible>,
}

impl Chat {
    fn new(stopped: Receiver<Infallible>) -> Self {
        let config = door::config();
        Self {
            room: Room::new(&config),
            config,
            sockets: Executor::new(),
            stopped,
        }
    }

    /// Answers a request. A socket opens when the answer has left.
    fn answer(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
    ) -> http::Result<Response<Full<Bytes>>> {
        door::to_http(match door::admit(&request, &self.config) {
            Ok((visitor, switching)) => {
                let upgrade = hyper::upgrade::on(&mut request);
                let attended = self.sockets.spawn(self.clone().attend(upgrade, visitor));
                attended.detach();
                switching
            }
            Err(answer) => answer,
        })
    }

    /// All that happens on one socket.
    async fn attend(self: Arc<Self>, upgrade: OnUpgrade, visitor: Visitor) {
        let Visitor { name, negotiated } = visitor;
        let Ok(upgraded) = upgrade.await else { return };
        // What `serve` gave to hyper.
        let Ok(parts) = upgraded.downcast::<FuturesIo<TcpStream>>() else {
            return;
        };
        let (stream, leftover) = (parts.io.into_inner(), parts.read_buf);
        let mut socket = from_parts(stream, &leftover, negotiated, Role::Server, &self.config);
        let talk = async { Some(self.talk(&mut socket, &name).await) };
        let stopped = async { self.stopped.recv().await.ok().map(|never| match never {}) };
        // Dropping the talk in the middle loses nothing that `close` needs.
        let result = match talk.or(stopped).await {
            Some(result) => result,
            None => {
                let frame = goodbye(CloseCode::GOING_AWAY, "the server stops");
                socket.close(frame).await
            }
        };
        match (result, socket.closed()) {
            (Err(error), _) => println!("{name}: {error}"),
            (Ok(()), Some(closed)) => println!("{name}: {closed}"),
            (Ok(()), None) => {}
        }
    }

    /// Passes on what the client says, and to the client what everybody says, until it leaves.
    async fn talk(&self, socket: &mut Socket, name: &str) -> Result<(), bowline::Error> {
        let mut seat = Seat::new(&self.room, name);
        loop {
            // What is due to the client goes first, so that nobody talks faster than they listen.
            let line = async { Next::Line(seat.next().await) };
            // Also writes what was fed, answers pings and keeps time.
            let message = async { Next::Message(socket.recv().await) };
            match line.or(message).await {
                // Waits if too much is unsent, and fails if none of it leaves for too long.
                Next::Line(Some(line)) => socket.feed(line).await?,
                Next::Line(None) => {
                    let frame = goodbye(CloseCode::TRY_AGAIN_LATER, "too far behind");
                    return socket.close(frame).await;
                }
                Next::Message(message) => match message? {
                    Some(Message::Text(text)) => seat.say(&text),
                    Some(Message::Binary(_)) => {
                        let frame = goodbye(CloseCode::UNSUPPORTED_DATA, "text only");
                        return socket.close(frame).await;
                    }
                    None => return Ok(()),
                },
            }
        }
    }
}

enum Next {
    /// To the client.
    Line(Option<bowline::Prepared>),
    /// From the client.
    Message(Result<Option<Message>, bowline::Error>),
}
