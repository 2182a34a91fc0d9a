//! How bindings connect to a server and run tasks.

#[cfg(target_os = "linux")]
use std::{iter, net::TcpListener, time::Duration};
use std::{net, sync::mpsc};

use bind::{Connect, ConnectError, Network, Runtime, proto::Config};
use bowline_blocking::Threads;
use bowline_smol::{ClientStream as SmolStream, Smol};
use bowline_tokio::{ClientStream as TokioStream, Tokio};

#[test]
fn what_connects_may_move_between_threads_and_so_may_its_sockets() {
    const fn sends<T: Send>(_: &T) {}
    const fn moves<T: Send + Sync + Unpin>() {}
    sends(&bowline_tokio::connect("ws://a.test"));
    sends(&bowline_smol::connect("ws://a.test"));
    sends(&bowline_tokio::connect_over(
        tokio::io::empty(),
        "ws://a.test",
    ));
    let nothing = smol::io::Cursor::new(Vec::new());
    sends(&bowline_smol::connect_over(nothing, "ws://a.test"));
    moves::<bowline_tokio::WebSocket<TokioStream>>();
    moves::<bowline_smol::WebSocket<SmolStream>>();
    moves::<bowline_blocking::WebSocket<bowline_blocking::ClientStream>>();
    moves::<bowline_tokio::ReadHalf<TokioStream>>();
    moves::<bowline_smol::ReadHalf<SmolStream>>();
    moves::<bowline_blocking::ReadHalf<bowline_blocking::ClientStream>>();
    moves::<bowline_tokio::WriteHalf<TokioStream>>();
    moves::<bowline_smol::WriteHalf<SmolStream>>();
    moves::<bowline_blocking::WriteHalf<bowline_blocking::ClientStream>>();
}

/// Checks that a task runs in another thread.
fn spawns(runtime: &impl Runtime) {
    let (ended, ends) = mpsc::channel();
    let here = std::thread::current().id();
    runtime.spawn(Box::pin(async move {
        ended.send(std::thread::current().id()).unwrap();
    }));
    assert_ne!(ends.recv().unwrap(), here);
}

#[test]
fn a_task_runs_on_the_current_runtime_of_tokio() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let _inside = runtime.enter();
    spawns(&Tokio);
}

#[test]
fn a_task_runs_on_the_executor_that_smol_was_given() {
    let executor = std::sync::Arc::new(smol::Executor::new());
    let runs = executor.clone();
    let thread = std::thread::spawn(move || smol::block_on(runs.tick()));
    spawns(&Smol::new(move |task| executor.spawn(task).detach()));
    thread.join().unwrap();
}

#[test]
fn a_task_is_a_thread_where_calls_block() {
    spawns(&Threads::default());
}

/// Returns an address that never answers, because its listener's queue is full for as long as the first
/// value lives.
#[cfg(target_os = "linux")]
fn black_hole() -> (impl Sized, net::SocketAddr) {
    use socket2::{Domain, Socket, Type};

    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let any = net::SocketAddr::from(([127, 0, 0, 1], 0));
    listener.bind(&any.into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    let connect = || net::TcpStream::connect_timeout(&addr, Duration::from_millis(100));
    let waiting = iter::from_fn(|| connect().ok()).collect::<Vec<_>>();
    ((listener, waiting), addr)
}

/// Connects with `network` to a black hole and to a server that closes at once.
#[cfg(target_os = "linux")]
async fn reaches_the_second(network: impl Network) -> ConnectError {
    let (_hole, first) = black_hole();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let second = listener.local_addr().unwrap();
    let leaves = std::thread::spawn(move || drop(listener.accept().unwrap()));
    let mut config = Config::default();
    config.handshake_timeout = Some(Duration::from_secs(1));
    let to = Connect::new("ws://a.test/")
        .config(config)
        .addresses([first, second]);
    let error = bind::connect(&network, to).await.map(drop).unwrap_err();
    leaves.join().unwrap();
    error
}

#[cfg(target_os = "linux")]
#[test]
fn an_address_that_does_not_answer_leaves_time_for_the_others() {
    let was_reached =
        |error: ConnectError| assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    was_reached(runtime.unwrap().block_on(reaches_the_second(Tokio)));
    was_reached(smol::block_on(reaches_the_second(Smol::<()>::default())));
}

/// The name exists nowhere, so only the resolver can lead to the server.
#[test]
fn a_resolver_works_in_every_binding() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = listener.local_addr().unwrap();
    let leaves = std::thread::spawn(move || (0..3).for_each(|_| drop(listener.accept().unwrap())));
    let to = Connect::new("ws://a.invalid/").resolver(move |name, _| async move {
        assert_eq!(name, "a.invalid");
        Ok(vec![server])
    });
    let was_reached =
        |error: ConnectError| assert!(matches!(error, ConnectError::Handshake(_)), "{error:?}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let socket = runtime.unwrap().block_on(bind::connect(&Tokio, to.clone()));
    was_reached(socket.map(drop).unwrap_err());
    let socket = smol::block_on(bind::connect(&Smol::<()>::default(), to.clone()));
    was_reached(socket.map(drop).unwrap_err());
    was_reached(bowline_blocking::connect(to).map(drop).unwrap_err());
    leaves.join().unwrap();
}
