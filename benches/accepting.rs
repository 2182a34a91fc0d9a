//! Letting a client in: by an accept loop that only does the opening handshake, and by a server with every limit on. The
//! connections are in memory, and both run the same executor.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bind::{
    Accepted, AnyTransport, AsyncServerHost, Listen, Listening, Network, Reaching, Runtime, Server,
    Timer, Transport, accept,
    proto::{Config, Instant},
};

use crate::{opening::REQUEST, wire::config};

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// An executor that runs each task until it waits, and a place where one connection can be accepted.
#[derive(Clone, Default)]
struct Desk {
    tasks: Arc<Mutex<Vec<Boxed<()>>>>,
    arrived: Arc<AtomicBool>,
}

impl Desk {
    /// Runs the task that was spawned last. Returns the task if it waits.
    fn run(&self) -> Option<Boxed<()>> {
        let task = self.tasks.lock().expect("no panic").pop();
        let mut task = task.expect("a task was spawned");
        let done = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        done.is_pending().then_some(task)
    }

    fn peer() -> SocketAddr {
        SocketAddr::from(([192, 0, 2, 1], 4711))
    }
}

/// A connection whose client has sent a request, and takes everything.
struct Arrived {
    unread: &'static [u8],
}

impl Transport for Arrived {
    type Clock = Still;

    fn clock(&self) -> Still {
        Still
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let (read, unread) = self.unread.split_at(self.unread.len().min(buf.len()));
        if read.is_empty() {
            return Poll::Pending;
        }
        buf[..read.len()].copy_from_slice(read);
        self.unread = unread;
        Poll::Ready(Ok(read.len()))
    }

    fn poll_write(&mut self, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A clock that stands.
#[derive(Clone)]
struct Still;

impl Timer for Still {
    fn now(&self) -> Instant {
        Instant::from_epoch(Duration::from_secs(1))
    }

    fn poll_until(&mut self, _: &mut Context<'_>, _: Instant) -> Poll<()> {
        Poll::Pending
    }
}

impl Network for Desk {
    type Clock = Still;
    type Tcp = ();
    type Stream = Arrived;
    type Resolving = Boxed<io::Result<Vec<SocketAddr>>>;
    type Connecting = Boxed<io::Result<()>>;
    type Other = ();

    fn clock(&self) -> Still {
        Still
    }

    fn resolve(&self, _: String, _: u16) -> Self::Resolving {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn connect(&self, _: SocketAddr, _: bool, _: Option<Duration>) -> Self::Connecting {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn stream(&self, (): (), _: &Config) -> Arrived {
        Arrived { unread: REQUEST }
    }

    fn unix(&self, _: std::path::PathBuf) -> Reaching<()> {
        Box::pin(async { Err(io::ErrorKind::Unsupported.into()) })
    }

    fn other(&self, (): (), _: &Config) -> AnyTransport<Still> {
        AnyTransport::new(Arrived { unread: REQUEST })
    }
}

impl Runtime for Desk {
    fn spawn(&self, task: Boxed<()>) {
        self.tasks.lock().expect("no panic").push(task);
    }
}

impl AsyncServerHost for Desk {}

impl Listen for Desk {
    type Listener = ();

    fn listen(&self, _: Listening) -> io::Result<()> {
        Ok(())
    }

    fn poll_accept(&self, (): &mut (), _: &mut Context<'_>) -> Poll<io::Result<Accepted<Self>>> {
        match self.arrived.swap(false, Ordering::Relaxed) {
            true => Poll::Ready(Ok(Accepted::Tcp((), Self::peer()))),
            false => Poll::Pending,
        }
    }
}

/// An accept loop that checks the path and the origin, as every server has to. Its handlers return at once.
pub(crate) fn bare() -> Box<dyn FnMut()> {
    let desk = Desk::default();
    let config = config();
    Box::new(move || {
        desk.arrived.store(true, Ordering::Relaxed);
        let cx = &mut Context::from_waker(Waker::noop());
        while let Poll::Ready(Ok(Accepted::Tcp((), _))) = desk.poll_accept(&mut (), cx) {
            let (io, config) = (desk.stream((), &config), config.clone());
            desk.spawn(Box::pin(async {
                let incoming = accept(io, config).await.expect("it is valid");
                let origins = ["https://other.example", "https://chat.example"];
                if incoming.request().path() == "/chat" && incoming.origin_allowed(&origins) {
                    drop(incoming.open().await);
                }
            }));
        }
        assert!(desk.run().is_none(), "the handshake ends at once");
    })
}

/// A server with every limit on and many sockets already. The handlers of further sockets return at once.
pub(crate) fn limited() -> Box<dyn FnMut()> {
    const OTHERS: u32 = 500;
    let desk = Desk::default();
    let full = Arc::new(AtomicBool::new(false));
    let returns = full.clone();
    let server = Server::on(desk.clone())
        .listen("127.0.0.1:0")
        .expect("a port")
        .config(config())
        .max_connections(10_000)
        .max_per_address(10_000)
        .max_handshakes(1024)
        .origins(["https://other.example", "https://chat.example"])
        .handler_deadline(Duration::from_secs(3600))
        .forwarded(["10.0.0.0/8".parse().expect("a network")])
        .path("/chat", move |socket, _| {
            let returns = returns.load(Ordering::Relaxed);
            async move {
                if !returns {
                    let _socket = socket;
                    std::future::pending::<()>().await;
                }
            }
        });
    let mut serving = server.serve();
    let mut accept = move || {
        desk.arrived.store(true, Ordering::Relaxed);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(pin!(&mut serving).poll(cx).is_pending());
        desk.run()
    };
    let others: Vec<_> = (0..OTHERS).map(|_| accept()).collect();
    assert!(others.iter().all(Option::is_some), "each keeps its socket");
    full.store(true, Ordering::Relaxed);
    Box::new(move || {
        let _others = &others;
        assert!(accept().is_none(), "the socket is gone");
    })
}
