//! Thousands of sockets at once, on each binding, and nothing left of them.
//!
//! `BOWLINE_SOCKETS=20000 cargo test -p bowline-tests --test scale` opens more, as far as the system lets a
//! process.
#![cfg(target_os = "linux")]

use std::{
    env, fs,
    future::Future,
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use bind::{Connect, proto::Config};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testing::certificates;
use tokio::runtime::Builder;

#[path = "../suite/binding/mod.rs"]
mod binding;

use binding::{Blocking, Plain, Smol, Socket, Tls, Tokio, Wire, async_std::AsyncStd};

/// One test, for each process has one set of descriptors and threads.
#[test]
fn nothing_is_left_of_thousands_of_sockets() {
    let sockets = env::var("BOWLINE_SOCKETS").map_or(2000, |sockets| sockets.parse().unwrap());
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    round_trip::<Plain<Tokio>>("tokio", sockets / 2);
    round_trip::<Plain<Smol>>("smol", sockets / 2);
    round_trip::<Plain<Blocking>>("blocking", sockets / 2);
    // Handshakes of TLS take longer.
    round_trip::<Plain<AsyncStd>>("async_std", sockets / 20);
    round_trip::<Tls<Tokio>>("tokio_tls", sockets / 20);
    round_trip::<Tls<Smol>>("smol_tls", sockets / 20);
    round_trip::<Tls<AsyncStd>>("async_std_tls", sockets / 20);
    round_trip::<Tls<Blocking>>("blocking_tls", sockets / 20);
}

/// Opens so many connections, uses them while all are open, and ends them, each in its way.
fn round_trip<W: Wire>(name: &str, count: usize) {
    /// Milliseconds, enough for any machine.
    const SETTLE: usize = 20_000;
    // What the first connection starts stays: a runtime's reactor.
    on_a_runtime(connections::<W>(4));
    let before = Left::now();
    on_a_runtime(connections::<W>(count));
    // Threads that have ended leave the list a moment later, and so does what a reactor has just used.
    for _ in 0..SETTLE {
        if Left::now().fits(&before) {
            break;
        }
        thread::sleep(Duration::from_millis(1));
    }
    let left = Left::now();
    assert!(left.fits(&before), "{name}: {left:?}, before {before:?}");
}

async fn connections<W: Wire>(count: usize) {
    // Most of them wait for their turn, and nobody receives meanwhile.
    let mut config = Config::default();
    config.keep_alive = None;
    config.handshake_timeout = None;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("{}://{}/", W::SCHEME, listener.local_addr().unwrap());
    let listener = Arc::new(listener);
    let mut open = Vec::new();
    while open.len() < count {
        let accepting = tokio::spawn(accept::<W>(listener.clone(), config.clone()));
        let to = Connect::new(&url).tls(certificates::shared().1);
        let connecting = W::connect(to.config(config.clone()));
        let client = tokio::spawn(connecting).await.unwrap().unwrap().0;
        open.push((client, accepting.await.unwrap()));
    }
    for (number, (client, server)) in open.iter_mut().enumerate() {
        client.send(number.to_string()).await.unwrap();
        let received = server.recv().await.unwrap().unwrap();
        server.send(received).await.unwrap();
        let received = client.recv().await.unwrap().unwrap();
        assert_eq!(*received.as_bytes(), number.to_string());
    }
    for (number, (mut client, mut server)) in open.into_iter().enumerate() {
        match number % 4 {
            0 => {
                let closing = tokio::spawn(async move { client.close(None).await.unwrap() });
                assert_eq!(server.recv().await.unwrap(), None);
                closing.await.unwrap();
            }
            1 => {
                drop(client.split());
                server.recv().await.unwrap_err();
            }
            2 => {
                server.abort();
                client.recv().await.unwrap_err();
            }
            _ => {}
        }
    }
}

async fn accept<W: Wire>(listener: Arc<TcpListener>, config: Arc<Config>) -> W::Server {
    let accepted = tokio::task::spawn_blocking(move || listener.accept());
    let stream: TcpStream = accepted.await.unwrap().unwrap().0;
    stream.set_nodelay(true).unwrap();
    let server = certificates::shared().0;
    W::accept(stream, server, config).await.unwrap()
}

/// With threads of its own, which end with it.
fn on_a_runtime(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}

/// What a process has.
#[derive(Debug)]
struct Left {
    descriptors: usize,
    threads: usize,
}

impl Left {
    /// A reactor may keep a few of the first connections for a while, so it may even be less.
    const fn fits(&self, before: &Self) -> bool {
        self.descriptors <= before.descriptors && self.threads <= before.threads
    }

    fn now() -> Self {
        let count = |path: &str| fs::read_dir(path).unwrap().count();
        Self {
            descriptors: count("/proc/self/fd"),
            threads: count("/proc/self/task"),
        }
    }
}
