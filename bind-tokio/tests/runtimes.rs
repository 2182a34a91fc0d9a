//! Runtimes that lack something, and runtimes that have ended.

use std::{
    io,
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bowline_tokio::{
    ClientStream, Config, Connect, ConnectError, Deadline, Error, HandshakeError, Io, Lost,
    Message, Negotiated, Role, WebSocket, accept, accept_any, connect, connect_over, from_parts,
};
use tokio::{
    io::{DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Runtime},
    time::timeout,
};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Returns the output of `future` outside of a runtime, where it must not wait.
fn outside<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it waits"),
    }
}

#[track_caller]
fn lacks_a_runtime<T>(result: Result<T, ConnectError>) {
    match result {
        Err(ConnectError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::Other),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it has connected"),
    }
}

#[test]
fn connecting_outside_of_a_runtime_is_an_error() {
    lacks_a_runtime(outside(connect("ws://127.0.0.1:1/")));
    lacks_a_runtime(outside(connect("ws://localhost:1/")));
    #[cfg(feature = "tls")]
    lacks_a_runtime(outside(connect("wss://localhost:1/")));
    let mut config = Config::default();
    config.handshake_timeout = None;
    lacks_a_runtime(outside(connect(
        Connect::new("ws://127.0.0.1:1/").config(config),
    )));
    lacks_a_runtime(outside(connect_over(duplex(1).0, "ws://a.test/")));
    #[cfg(feature = "tls")]
    lacks_a_runtime(outside(connect_over(duplex(1).0, "wss://a.test/")));
}

#[test]
fn accepting_outside_of_a_runtime_is_an_error() {
    let config = Arc::new(Config::default());
    let (_client, server) = duplex(1);
    let error = outside(accept(server, config.clone())).unwrap_err();
    assert_eq!(error, HandshakeError::Lost(Lost::Failed));
    let (_client, server) = duplex(1);
    let error = outside(accept_any(server, config.clone())).unwrap_err();
    assert_eq!(error, HandshakeError::Lost(Lost::Failed));
}

#[test]
fn without_deadlines_no_runtime_is_needed() {
    let mut config = Config::default();
    for deadline in [
        &mut config.handshake_timeout,
        &mut config.close_timeout,
        &mut config.keep_alive,
        &mut config.pong_timeout,
        &mut config.write_timeout,
    ] {
        *deadline = None;
    }
    let config = Arc::new(config);
    let (near, far) = duplex(1 << 16);
    let mut connecting = pin!(connect_over(
        near,
        Connect::new("ws://a.test/").config(config.clone()),
    ));
    let cx = &mut Context::from_waker(Waker::noop());
    assert!(connecting.as_mut().poll(cx).is_pending());
    let mut server = outside(accept_any(far, config.clone())).unwrap();
    let (mut client, _) = outside(connecting).unwrap();
    outside(client.send("over a duplex")).unwrap();
    let message = outside(server.recv()).unwrap();
    assert_eq!(message, Some(Message::from("over a duplex")));
}

#[test]
#[should_panic = "timers are disabled"]
fn tokio_does_not_tell_whether_there_are_timers() {
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let _ = runtime.block_on(connect(url));
}

#[test]
#[should_panic = "IO is disabled"]
fn tokio_does_not_tell_whether_there_is_io() {
    let runtime = Builder::new_current_thread().enable_time().build().unwrap();
    let _ = runtime.block_on(connect("ws://127.0.0.1:1/"));
}

/// Returns a server and a client whose runtime has ended. The client has waited there, so it has set a
/// timer.
fn ended() -> (WebSocket<ClientStream>, WebSocket<Io<TcpStream>>) {
    let first = runtime();
    let (mut client, server) = first.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let config = Arc::new(Config::default());
        let served = async {
            let (stream, _) = listener.accept().await.unwrap();
            accept_any(stream, config.clone()).await.unwrap()
        };
        let (connected, server) = tokio::join!(connect(url), served);
        (connected.unwrap().0, server)
    });
    first.block_on(async { waits(client.recv()).await });
    (client, server)
}

async fn waits(future: impl Future) {
    assert!(timeout(Duration::from_millis(1), future).await.is_err());
}

#[track_caller]
fn is_lost<T>(result: Result<T, Error>) {
    match result {
        Err(Error::Lost(_)) => {}
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("nothing is wrong"),
    }
}

#[test]
fn a_socket_whose_runtime_has_ended_is_lost() {
    let second = runtime();
    let (mut client, _server) = ended();
    is_lost(second.block_on(client.recv()));
    let (mut client, _server) = ended();
    is_lost(second.block_on(client.close(None)));
    let (mut reader, _writer) = ended().0.split();
    is_lost(second.block_on(reader.recv()));
    // The same call fails even without a runtime, because it does not have to wait.
    let (mut client, _server) = ended();
    is_lost(outside(client.recv()));
}

/// Returns a client over `near` that has waited in a runtime of its own, which then ended.
fn waited_elsewhere(near: DuplexStream, config: Config) -> WebSocket<Io<DuplexStream>> {
    let config = Arc::new(config);
    let negotiated = Negotiated::default();
    let mut client = from_parts(near, &[], negotiated, Role::Client, config.clone());
    runtime().block_on(waits(client.recv()));
    client
}

#[test]
fn the_deadlines_of_a_socket_go_along_to_another_runtime() {
    let second = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    // The deadline is the same in both runtimes.
    let (near, _far) = duplex(1 << 16);
    let mut client = waited_elsewhere(near, Config::default());
    match second.block_on(client.recv()) {
        Err(Error::TimedOut(Deadline::Pong)) => {}
        other => panic!("{other:?}"),
    }
    // The deadline is a different one in the second runtime.
    let (near, _far) = duplex(1 << 16);
    let mut client = waited_elsewhere(near, Config::default());
    match second.block_on(client.close(None)) {
        Err(Error::TimedOut(Deadline::Close)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_deadline_that_passed_between_two_runtimes_has_passed() {
    let (near, _far) = duplex(1 << 16);
    let mut config = Config::default();
    config.keep_alive = Some(Duration::from_millis(20));
    config.pong_timeout = Some(Duration::from_millis(20));
    let mut client = waited_elsewhere(near, config);
    std::thread::sleep(Duration::from_millis(30));
    match runtime().block_on(client.recv()) {
        Err(Error::TimedOut(Deadline::Pong)) => {}
        other => panic!("{other:?}"),
    }
}

/// The clock of the pair is that of tokio, so tests may pause it.
#[tokio::test(start_paused = true)]
async fn a_pair_in_memory_needs_no_port() {
    let (mut client, mut server) = bowline_tokio::pair(Config::default());
    client.send("hello").await.unwrap();
    assert_eq!(server.recv().await.unwrap(), Some("hello".into()));
    // The client says nothing more, not even a Pong.
    let received = server.recv().await;
    assert!(
        matches!(received, Err(Error::TimedOut(Deadline::Pong))),
        "{received:?}"
    );
}
