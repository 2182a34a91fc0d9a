//! The bindings as hosts of a server, and the handlers that the tests use.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use bind::{ClientRequest, Server, ServerHost, Stop, Tracker, proto::handshake::Response};

pub(crate) use bowline_tests::{Blocking, Hosting, Smol, Tokio};

/// The events that the handlers of a server have noted.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<String>>>);

impl Events {
    pub(crate) fn push(&self, event: String) {
        self.lock().push(event);
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, event: &str) -> usize {
        self.lock().iter().filter(|it| *it == event).count()
    }

    fn opened(&self, request: &ClientRequest) -> Visit {
        let client = request
            .client_addr()
            .map_or_else(|| "nobody".to_owned(), |it| it.to_string());
        self.push(format!("opened {client}"));
        Visit {
            events: self.clone(),
            client,
        }
    }
}

/// Notes that a client has left, however that happens.
struct Visit {
    events: Events,
    client: String,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.events.push(format!("closed {}", self.client));
    }
}

/// The text that the handler of `/who` sends.
#[derive(Debug)]
#[expect(dead_code, reason = "it is printed")]
struct Known {
    client: Option<SocketAddr>,
    peer: Option<SocketAddr>,
    secure: bool,
    certificates: usize,
    user: Option<&'static str>,
    subprotocol: Option<String>,
    /// `TCP_NODELAY` and `TCP_NOTSENT_LOWAT`.
    options: Option<(bool, u32)>,
}

/// A binding that hosts a server.
pub(crate) trait Binding: Hosting {
    /// Adds the handlers: `/flood` sends without end, `/flood/half` does so with one half and never polls the other, `/ws`
    /// echoes, returns at the text `leave`, and panics at `panic`; `/stuck` never calls its socket;
    /// `/halves` lets another task keep a half, and panics; `/who` sends what the server knows of the client and of the
    /// options of its socket.
    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host>;

    /// Lets in who knows the password, after a while that the query says in milliseconds.
    fn guarded(server: Server<Self::Host>) -> Server<Self::Host>;

    /// Begins to stop, and does not wait.
    fn begin_stop(tracker: &Tracker<Self::Host>, stop: Stop);
}

/// A server that runs.
pub(crate) struct Running<B: Binding> {
    pub(crate) addr: SocketAddr,
    pub(crate) tracker: Tracker<B::Host>,
    serving: Option<thread::JoinHandle<io::Result<()>>>,
}

impl<B: Binding> Running<B> {
    pub(crate) fn start(server: Server<B::Host>) -> Self {
        let addrs = server.local_addrs();
        let tracker = server.tracker();
        Self {
            addr: addrs
                .first()
                .copied()
                .unwrap_or_else(|| SocketAddr::from(([127, 0, 0, 1], 1))),
            tracker,
            serving: Some(B::serve(server)),
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        let serving = self.serving.as_ref();
        serving.is_none_or(thread::JoinHandle::is_finished)
    }

    pub(crate) fn stop(&mut self, stop: impl Into<Stop>) -> usize {
        let aborted = B::stop(&self.tracker, stop.into());
        if let Some(serving) = self.serving.take() {
            serving.join().unwrap().unwrap();
        }
        aborted
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("ws://{}{path}", self.addr)
    }
}

impl<B: Binding> Drop for Running<B> {
    fn drop(&mut self) {
        if !thread::panicking() {
            self.stop(Duration::from_secs(5));
        }
    }
}

/// The decision of [`Binding::guarded`].
fn judged(mut request: ClientRequest) -> Result<ClientRequest, Response> {
    if request.query() == Some("panic") {
        panic!("on purpose");
    }
    match request.basic() {
        Some(given) if given.is("Aladdin", "open sesame") => {
            request.insert("nobody");
            request.insert("Aladdin");
            let headers = request.response_headers_mut();
            headers.push("Set-Cookie", "lamp=1").unwrap();
            Ok(request)
        }
        _ => Err(Response::new(401, "who are you?")),
    }
}

/// The answer of [`Binding::guarded`] to requests for pages.
fn answered(request: &ClientRequest) -> Response {
    Response::new(200, format!("you ask for {}", request.target()))
}

fn delay(request: &ClientRequest) -> Duration {
    let millis = request.query().and_then(|query| query.parse().ok());
    Duration::from_millis(millis.unwrap_or(0))
}

/// Makes the handlers of a binding. `$wait` is `await`, or nothing.
macro_rules! handlers {
    ($server:ident, $events:ident, [$($mode:tt)*], [$($wait:tt)*], $spawn:expr, $sleep:expr) => {{
        let events = $events.clone();
        let echo = move |mut socket: <Self::Host as ServerHost>::Socket, request: ClientRequest| {
            let visit = events.opened(&request);
            $($mode)* {
                let visit = visit;
                while let Ok(Some(message)) = socket.recv()$($wait)* {
                    match message.as_text() {
                        Some("panic") => panic!("on purpose"),
                        Some("leave") => return,
                        _ => {}
                    }
                    if socket.send(message)$($wait)*.is_err() {
                        break;
                    }
                }
                drop(visit);
            }
        };
        let events = $events.clone();
        let stuck = move |socket: <Self::Host as ServerHost>::Socket, request: ClientRequest| {
            let visit = events.opened(&request);
            $($mode)* {
                let _ = (&visit, &socket);
                $sleep
            }
        };
        let halves = move |socket: <Self::Host as ServerHost>::Socket, _: ClientRequest| $($mode)* {
            let (mut read, write) = socket.split();
            write.send("hello")$($wait)*.unwrap();
            ($spawn)(Box::new(move || drop(write)));
            let _ = read.recv()$($wait)*;
            panic!("on purpose");
        };
        let who = |mut socket: <Self::Host as ServerHost>::Socket, request: ClientRequest| $($mode)* {
            let io = socket.get_ref().and_then(|io| io.get_ref());
            let options = io.map(|io| {
                let io = socket2::SockRef::from(&**io);
                (io.tcp_nodelay().unwrap(), io.tcp_notsent_lowat().unwrap())
            });
            let known = Known {
                client: request.client_addr(),
                peer: request.peer_addr(),
                secure: request.is_secure(),
                certificates: request.peer_certificates().len(),
                user: request.get::<&'static str>().copied(),
                subprotocol: socket.subprotocol().map(str::to_owned),
                options,
            };
            let _ = socket.send(format!("{known:?}"))$($wait)*;
            let _ = socket.close(None)$($wait)*;
        };
        let flood = |mut socket: <Self::Host as ServerHost>::Socket, _: ClientRequest| $($mode)* {
            while socket.send(vec![0; 64 << 10])$($wait)*.is_ok() {}
        };
        let half = |socket: <Self::Host as ServerHost>::Socket, _: ClientRequest| $($mode)* {
            let (read, write) = socket.split();
            while write.send(vec![0; 64 << 10])$($wait)*.is_ok() {}
            drop(read);
        };
        $server
            .path("/flood", flood)
            .path("/flood/half", half)
            .path("/ws", echo)
            .path("/stuck", stuck)
            .path("/halves", halves)
            .path("/who/*", who)
            .path("/who", who)
    }};
}

impl Binding for Tokio {
    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host> {
        let keep = |keep: Box<dyn FnOnce() + Send>| {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(500)).await;
                keep();
            });
        };
        handlers!(server, events, [async move], [.await], keep, std::future::pending().await)
    }

    fn guarded(server: Server<Self::Host>) -> Server<Self::Host> {
        let decide = |request: ClientRequest| async move {
            tokio::time::sleep(delay(&request)).await;
            judged(request)
        };
        server
            .decide(decide)
            .fallback(|request| async move { answered(&request) })
    }

    fn begin_stop(tracker: &Tracker<Self::Host>, stop: Stop) {
        drop(tracker.stop(stop));
    }
}

impl Binding for Smol {
    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host> {
        let keep = |keep: Box<dyn FnOnce() + Send>| {
            smol::spawn(async move {
                smol::Timer::after(Duration::from_millis(500)).await;
                keep();
            })
            .detach();
        };
        handlers!(server, events, [async move], [.await], keep, std::future::pending().await)
    }

    fn guarded(server: Server<Self::Host>) -> Server<Self::Host> {
        let decide = |request: ClientRequest| async move {
            smol::Timer::after(delay(&request)).await;
            judged(request)
        };
        server
            .decide(decide)
            .fallback(|request| async move { answered(&request) })
    }

    fn begin_stop(tracker: &Tracker<Self::Host>, stop: Stop) {
        drop(tracker.stop(stop));
    }
}

impl Binding for Blocking {
    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host> {
        let keep = |keep: Box<dyn FnOnce() + Send>| {
            thread::spawn(move || {
                thread::sleep(Duration::from_millis(500));
                keep();
            });
        };
        handlers!(
            server,
            events,
            [],
            [],
            keep,
            thread::sleep(Duration::from_secs(8))
        )
    }

    fn guarded(server: Server<Self::Host>) -> Server<Self::Host> {
        let decide = |request: ClientRequest| {
            thread::sleep(delay(&request));
            judged(request)
        };
        server.decide(decide).fallback(|request| answered(&request))
    }

    fn begin_stop(tracker: &Tracker<Self::Host>, stop: Stop) {
        let tracker = tracker.clone();
        thread::spawn(move || tracker.stop(stop));
    }
}
