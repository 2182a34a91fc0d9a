//! Executors that end before their sockets do, and sockets without any executor.

use std::{sync::Arc, thread, time::Duration};

use bowline_smol::{
    ClientStream, Config, Deadline, Error, Io, Message, WebSocket, accept_any, connect,
};
use smol::{
    Executor, Timer,
    future::FutureExt,
    net::{TcpListener, TcpStream},
};

/// Returns a server and a client whose executor and thread have ended. The client has waited there, so
/// it has set a timer.
fn ended(config: Config) -> (WebSocket<ClientStream>, WebSocket<Io<TcpStream>>) {
    let work = async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let to = bowline_smol::Connect::new(format!("ws://localhost:{port}/")).config(config);
        let served = async {
            let (stream, _) = listener.accept().await.unwrap();
            let config = Arc::new(Config::default());
            accept_any(stream, config.clone()).await.unwrap()
        };
        let (connected, server) = smol::future::zip(connect(to), served).await;
        let mut client = connected.unwrap().0;
        let nothing = async {
            Timer::after(Duration::from_millis(1)).await;
            Ok(None)
        };
        assert_eq!(client.recv().or(nothing).await.unwrap(), None);
        (client, server)
    };
    let first = thread::spawn(|| {
        let executor = Executor::new();
        let task = executor.spawn(work);
        smol::block_on(executor.run(task))
    });
    first.join().unwrap()
}

#[test]
fn a_socket_outlives_its_executor() {
    let (mut client, mut server) = ended(Config::default());
    let second = Executor::new();
    let task = second.spawn(async move {
        client.send("to another executor").await.unwrap();
        let answer = client.recv().await.unwrap();
        client.close(None).await.unwrap();
        answer
    });
    let serve = async {
        while let Some(message) = server.recv().await.unwrap() {
            server.feed(message).await.unwrap();
        }
    };
    let (answer, ()) = smol::block_on(second.run(smol::future::zip(task, serve)));
    assert_eq!(answer, Some(Message::from("to another executor")));
}

#[test]
fn the_deadlines_of_a_socket_outlive_its_executor() {
    let mut config = Config::default();
    config.keep_alive = Some(Duration::from_millis(20));
    config.pong_timeout = Some(Duration::from_millis(20));
    // The server does not answer the client's Pings.
    let (mut client, _server) = ended(config);
    match smol::block_on(client.recv()) {
        Err(Error::TimedOut(Deadline::Pong)) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_pair_in_memory_needs_no_port() {
    let (mut client, mut server) = bowline_smol::pair(Config::default());
    smol::block_on(async {
        client.send("hello").await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some(Message::from("hello")));
        let closes = client.close(None);
        let (closed, received) = smol::future::zip(closes, server.recv()).await;
        closed.unwrap();
        assert_eq!(received.unwrap(), None);
    });
}
