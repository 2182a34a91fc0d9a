//! Opens thousands of sockets at once on each binding, and checks that they leave nothing behind.
//!
//! `BOWLINE_SOCKETS=20000 cargo test -p bowline-tests --test scale` opens more, as far as the system
//! allows.
#![cfg(target_os = "linux")]

use std::{
    env,
    future::Future,
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use bind::{Connect, proto::Config};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testing::{
    certificates,
    held::{self, Held},
};
use tokio::runtime::Builder;

#[path = "../suite/binding/mod.rs"]
mod binding;

use binding::{Blocking, Plain, Smol, Socket, Tls, Tokio, Wire, async_std::AsyncStd};

/// This is one test, because all tests of a process share its descriptors and threads.
#[test]
fn nothing_is_left_of_thousands_of_sockets() {
    let sockets = env::var("BOWLINE_SOCKETS").map_or(2000, |sockets| sockets.parse().unwrap());
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    round_trip::<Plain<Tokio>>("tokio", sockets / 2);
    round_trip::<Plain<Smol>>("smol", sockets / 2);
    round_trip::<Plain<Blocking>>("blocking", sockets / 2);
    // TLS handshakes take longer.
    round_trip::<Plain<AsyncStd>>("async_std", sockets / 20);
    round_trip::<Tls<Tokio>>("tokio_tls", sockets / 20);
    round_trip::<Tls<Smol>>("smol_tls", sockets / 20);
    round_trip::<Tls<AsyncStd>>("async_std_tls", sockets / 20);
    round_trip::<Tls<Blocking>>("blocking_tls", sockets / 20);
}

/// Opens this many connections, uses them while all are open, and ends them in different ways.
fn round_trip<W: Wire>(name: &str, count: usize) {
    // The first connection starts what stays, such as a runtime's reactor.
    on_a_runtime(connections::<W>(4));
    let before = Held::now();
    on_a_runtime(connections::<W>(count));
    held::settle(&before, name);
}

async fn connections<W: Wire>(count: usize) {
    // Most of the tasks wait for their turn, and nothing is received meanwhile.
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

/// Runs in a runtime of its own, whose threads end with it.
fn on_a_runtime(test: impl Future<Output = ()>) {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(test);
}
