//! The bindings as hosts of a server, and the handlers that the tests use.

use std::{
    io,
    net::SocketAddr,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use bind::{ClientRequest, Server, ServerHost, Stop, Tracker};

/// What the handlers of a server have seen.
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

/// A binding that hosts a server.
pub(crate) trait Binding: 'static {
    type Host: ServerHost;

    fn host() -> Self::Host;

    /// Adds the handlers: `/ws` echoes, and panics at the text `panic`; `/stuck` never calls its socket; `/halves` lets
    /// another task send, and panics at once.
    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host>;

    /// Runs a server in a thread.
    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>>;

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize;
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
        $server.path("/ws", echo).path("/stuck", stuck).path("/halves", halves)
    }};
}

pub(crate) struct Tokio;

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().unwrap()
});

impl Binding for Tokio {
    type Host = bowline_tokio::Tokio;

    fn host() -> Self::Host {
        bowline_tokio::Tokio
    }

    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host> {
        let keep = |keep: Box<dyn FnOnce() + Send>| {
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(60)).await;
                keep();
            });
        };
        handlers!(server, events, [async move], [.await], keep, std::future::pending().await)
    }

    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>> {
        thread::spawn(|| RUNTIME.block_on(server.serve()))
    }

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize {
        RUNTIME.block_on(tracker.stop(stop))
    }
}

pub(crate) struct Smol;

type Task = std::pin::Pin<Box<dyn Future<Output = ()> + Send>>;

impl Binding for Smol {
    type Host = bowline_smol::Smol<fn(Task)>;

    fn host() -> Self::Host {
        bowline_smol::Smol::new(|task| smol::spawn(task).detach())
    }

    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host> {
        let keep = |keep: Box<dyn FnOnce() + Send>| {
            smol::spawn(async move {
                smol::Timer::after(Duration::from_secs(60)).await;
                keep();
            })
            .detach();
        };
        handlers!(server, events, [async move], [.await], keep, std::future::pending().await)
    }

    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>> {
        thread::spawn(|| smol::block_on(server.serve()))
    }

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize {
        smol::block_on(tracker.stop(stop))
    }
}

pub(crate) struct Blocking;

impl Binding for Blocking {
    type Host = bowline_blocking::Threads;

    fn host() -> Self::Host {
        bowline_blocking::Threads::default()
    }

    fn handlers(server: Server<Self::Host>, events: Events) -> Server<Self::Host> {
        let keep = |keep: Box<dyn FnOnce() + Send>| {
            thread::spawn(move || {
                thread::sleep(Duration::from_secs(60));
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

    fn serve(server: Server<Self::Host>) -> thread::JoinHandle<io::Result<()>> {
        thread::spawn(|| server.serve())
    }

    fn stop(tracker: &Tracker<Self::Host>, stop: Stop) -> usize {
        tracker.stop(stop)
    }
}
