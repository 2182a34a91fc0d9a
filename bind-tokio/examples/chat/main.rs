//! A chat for the browser: `chat [ADDR]`, by default on 127.0.0.1:9001.
//!
//! One port serves the page, through hyper, and the sockets, at `/ws?name=…`. Every message goes to
//! everybody. Whoever does not keep up, or does not read at all, delays nobody.

use std::{io, sync::Arc, time::Duration};

use bowline_tokio::{
    CloseCode, CloseFrame, Config, Message, Negotiated, RequestError, Response, WebSocket, config,
    from_upgraded, respond,
};
use http_body_util::Full;
use hyper::{
    Request, Version,
    body::Incoming,
    header::{HOST, ORIGIN},
    server::conn::http1,
    service::service_fn,
    upgrade::{OnUpgrade, Upgraded},
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    select, signal,
    sync::watch,
    time::{sleep, timeout},
};

use room::{Room, Seat};

mod room;

type Socket = WebSocket<TokioIo<Upgraded>>;

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
    // Everybody is told goodbye, and has a second to answer.
    drop(listener);
    chat.stop.send_replace(true);
    let _ = timeout(Duration::from_millis(1500), chat.stop.closed()).await;
    Ok(())
}

/// Waits for Ctrl-C, or for the signal that asks a process to end.
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
                // Such as too many open files: others may go on, and close some.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Serves HTTP, until the connection ends or becomes a socket.
async fn serve(stream: TcpStream, chat: Arc<Chat>) {
    // What people type should leave at once.
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| {
        let answer = chat.answer(request);
        let mut response = hyper::Response::builder().status(answer.status);
        for (name, value) in answer.headers.iter() {
            response = response.header(name, value);
        }
        async { response.body(Full::new(answer.body)) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    // A browser that leaves in the middle of a request is nobody's concern.
    let _ = connection.await;
}

struct Chat {
    config: Arc<Config>,
    room: watch::Sender<Room>,
    /// Whether the server stops. Every socket holds a receiver.
    stop: watch::Sender<bool>,
}

impl Chat {
    fn new() -> Self {
        let mut config = config();
        config.max_message_size = 128 << 10;
        config.write_timeout = Some(Duration::from_secs(10));
        config.close_timeout = Some(Duration::from_secs(1));
        Self {
            config: Arc::new(config),
            room: watch::Sender::default(),
            stop: watch::Sender::new(false),
        }
    }

    fn answer(self: &Arc<Self>, request: Request<Incoming>) -> Response {
        match request.uri().path() {
            "/" => {
                let mut page = Response::new(200, include_str!("page.html"));
                let html = page.headers.push("Content-Type", "text/html");
                html.expect("a valid field");
                page
            }
            "/ws" => self.upgrade(request).unwrap_or_else(|refusal| refusal),
            _ => Response::new(404, "nothing here\n"),
        }
    }

    /// Answers a request for a socket, which opens when the answer has left.
    fn upgrade(self: &Arc<Self>, mut request: Request<Incoming>) -> Result<Response, Response> {
        if request.version() != Version::HTTP_11 {
            return Err(RequestError::Http10.response());
        }
        let method = request.method().as_str();
        let fields = request.headers().iter();
        let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
        let (headers, negotiated) =
            respond(method, fields, &[], &self.config).map_err(RequestError::response)?;
        if !is_from_our_page(&request) {
            return Err(Response::new(403, "only for the page of this server\n"));
        }
        let name = name(&request).ok_or_else(|| Response::new(400, "a name, please\n"))?;

        let upgrade = hyper::upgrade::on(&mut request);
        tokio::spawn(self.clone().attend(upgrade, negotiated, name));
        let mut response = Response::new(101, "");
        response.headers = headers;
        Ok(response)
    }

    /// All that happens on one socket.
    async fn attend(self: Arc<Self>, upgrade: OnUpgrade, negotiated: Negotiated, name: String) {
        let Ok(upgraded) = upgrade.await else { return };
        let mut socket = from_upgraded(TokioIo::new(upgraded), negotiated, &self.config);
        let mut stop = self.stop.subscribe();
        let stopped = async { drop(stop.wait_for(|stop| *stop).await) };
        let result = select! {
            // Dropping this in the middle loses nothing that `close` needs.
            result = self.talk(&mut socket, &name) => result,
            () = stopped => {
                socket.close(goodbye(CloseCode::GOING_AWAY, "the server stops")).await
            }
        };
        match (result, socket.closed()) {
            (Err(error), _) => println!("{name}: {error}"),
            (Ok(()), Some(closed)) => println!("{name}: {closed}"),
            (Ok(()), None) => {}
        }
    }

    /// Passes on what the client says, and to the client what everybody says, until it leaves.
    async fn talk(&self, socket: &mut Socket, name: &str) -> Result<(), bowline_tokio::Error> {
        let mut seat = Seat::new(&self.room, name);
        loop {
            select! {
                // What is due to the client goes first, so that nobody talks faster than they listen.
                biased;
                line = seat.next() => match line {
                    // Waits if too much is unsent, and fails if none of it leaves for too long.
                    Some(line) => socket.feed(line).await?,
                    None => {
                        let frame = goodbye(CloseCode::TRY_AGAIN_LATER, "too far behind");
                        return socket.close(frame).await;
                    }
                },
                // Also writes what was fed, answers pings and keeps time.
                message = socket.recv() => match message? {
                    Some(Message::Text(text)) => {
                        let line = json!({ "from": name, "text": &*text });
                        self.room.send_modify(|room| room.tell(line));
                    }
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

/// A browser lets any page connect, with all that it knows of its user, and tells where the page is
/// from (RFC 6455 §10.2). Others need not tell.
fn is_from_our_page(request: &Request<Incoming>) -> bool {
    let field = |name| request.headers().get(name)?.to_str().ok();
    let Some(origin) = field(ORIGIN) else {
        return true;
    };
    let host = origin.split_once("://").map(|(_, host)| host);
    host == field(HOST)
}

/// The name that the request asks for: 1 to 32 characters, none of which controls anything.
fn name(request: &Request<Incoming>) -> Option<String> {
    let query = request.uri().query()?;
    let (_, name) = url::form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "name")?;
    let name = name.trim();
    let fits = (1..=32).contains(&name.chars().count()) && !name.contains(char::is_control);
    fits.then(|| name.to_owned())
}

/// Why we close. The reason is short enough.
fn goodbye(code: CloseCode, reason: &'static str) -> Option<CloseFrame> {
    CloseFrame::new(code, reason).ok()
}
