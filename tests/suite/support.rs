//! Runs tests, and provides the ends that they need.

use std::{
    future::Future,
    net,
    panic::{self, AssertUnwindSafe},
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::Duration,
};

use ::tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    spawn,
    task::JoinHandle,
};
use bind::{Connect, proto::Config};
use testing::certificates;

use crate::binding::{Binding, Socket, Wire};

/// The sample request of RFC 6455 §1.3.
pub(crate) const REQUEST: &str = "GET /chat HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n";

/// Runs a test that must not hang.
///
/// The runtime has several threads, so one that blocks does not stop the others. Tasks of a test that
/// wait for each other are spawned, because one of them may block its thread.
pub(crate) fn run<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    /// Long enough on any machine.
    const HANG: Duration = Duration::from_secs(60);
    let (ending, ended) = mpsc::channel::<()>();
    let running = thread::spawn(move || {
        let _ending = ending;
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(2).enable_all().build().unwrap();
        let ran = panic::catch_unwind(AssertUnwindSafe(|| runtime.block_on(test())));
        // A failed test may leave a blocked thread behind.
        runtime.shutdown_background();
        ran.unwrap_or_else(|failed| panic::resume_unwind(failed));
    });
    if ended.recv_timeout(HANG) == Err(RecvTimeoutError::Timeout) {
        panic!("the test hangs");
    }
    running
        .join()
        .unwrap_or_else(|failed| panic::resume_unwind(failed));
}

/// Runs two futures, each in a task of its own.
pub(crate) async fn both<A, B>(a: A, b: B) -> (A::Output, B::Output)
where
    A: Future<Output: Send> + Send + 'static,
    B: Future<Output: Send> + Send + 'static,
{
    let (a, b) = (spawn(a), spawn(b));
    (a.await.unwrap(), b.await.unwrap())
}

/// Returns a listener, and the authority of its URL.
pub(crate) async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    (listener, authority)
}

/// Accepts the next connection.
pub(crate) async fn accepted(listener: &TcpListener) -> TcpStream {
    let (stream, _) = listener.accept().await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Serves one connection with `serve`. Returns its `ws://` URL and the result.
pub(crate) async fn serve<F: Future<Output: Send> + Send + 'static>(
    serve: impl FnOnce(net::TcpStream) -> F + Send + 'static,
) -> (String, JoinHandle<F::Output>) {
    serve_raw(|stream| serve(stream.into_std().unwrap())).await
}

/// As [`serve`], for a server that the test plays by hand.
pub(crate) async fn serve_raw<F: Future<Output: Send> + Send + 'static>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, JoinHandle<F::Output>) {
    let (listener, authority) = listen().await;
    let served = spawn(async move { serve(accepted(&listener).await).await });
    (format!("ws://{authority}/"), served)
}

/// Connects a client that the test plays by hand.
pub(crate) async fn dial(url: &str) -> TcpStream {
    let authority = url.trim_start_matches("ws://").trim_end_matches('/');
    let stream = TcpStream::connect(authority).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Returns both ends of a connection.
pub(crate) async fn tcp() -> (TcpStream, TcpStream) {
    let (listener, authority) = listen().await;
    let near = dial(&authority).await;
    (near, accepted(&listener).await)
}

/// Returns a connected client and server, of one binding or two.
pub(crate) async fn pair<C: Wire, S: Wire>(
    near: &Arc<Config>,
    far: &Arc<Config>,
) -> (C::Client, S::Server) {
    let (listener, authority) = listen().await;
    let (server, client) = certificates::shared();
    let far = far.clone();
    let accepting = spawn(async move {
        let stream = accepted(&listener).await.into_std().unwrap();
        S::accept(stream, server, far).await.unwrap()
    });
    let to = Connect::new(format!("{}://{authority}/", C::SCHEME));
    let connected = C::connect(to.tls(client).config(near.clone())).await;
    (connected.unwrap().0, accepting.await.unwrap())
}

/// Sends back what it receives, until the end.
pub(crate) async fn echo(mut socket: impl Socket) {
    while let Ok(Some(message)) = socket.recv().await {
        socket.feed(message).await.unwrap();
    }
}

/// Starts a server that echoes on one connection.
pub(crate) async fn echo_server<B: Binding>(config: Arc<Config>) -> String {
    let (url, _) = serve(async move |stream| {
        echo(B::accept_any(stream, &config).await.unwrap()).await;
    })
    .await;
    url
}

/// Returns the default configuration.
pub(crate) fn defaults() -> Arc<Config> {
    Arc::new(Config::default())
}

/// Returns the default configuration with changes.
pub(crate) fn with(change: impl FnOnce(&mut Config)) -> Arc<Config> {
    let mut config = Config::default();
    change(&mut config);
    Arc::new(config)
}

/// Returns the default configuration, for messages of any size.
pub(crate) fn roomy() -> Arc<Config> {
    with(|config| config.max_message_size = 1 << 30)
}

/// Reads a head, up to its empty line.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Returns the value of a field in a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}
