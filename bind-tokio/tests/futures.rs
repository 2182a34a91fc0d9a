//! `Stream` and `Sink`, used by the combinators of `futures`.

mod support;

use std::time::Duration;

use bowline_tokio::{
    CloseCode, Error, Kind, Message, Negotiated, Role, SendError, WebSocket, from_parts,
};
use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use support::{guarded, roomy};
use tokio::io::{DuplexStream, duplex};

fn pair(room: usize) -> (WebSocket<DuplexStream>, WebSocket<DuplexStream>) {
    let (near, far) = duplex(room);
    let none = Negotiated::default;
    (
        from_parts(near, &[], none(), Role::Client, &roomy()),
        from_parts(far, &[], none(), Role::Server, &roomy()),
    )
}

fn numbers(count: usize) -> impl Iterator<Item = Message> {
    (0..count).map(|i| Message::from(i.to_string()))
}

#[tokio::test]
async fn a_socket_is_both() {
    let (mut client, server) = pair(4096);
    // An echo, as those who like combinators write it.
    let served = tokio::spawn(async move {
        let (sink, stream) = StreamExt::split(server);
        stream.forward(sink).await
    });
    let mut all = stream::iter(numbers(1000)).map(Ok);
    guarded(client.send_all(&mut all)).await.unwrap();
    let echoed: Vec<Message> = guarded(client.by_ref().take(1000).try_collect())
        .await
        .unwrap();
    assert!(echoed.into_iter().eq(numbers(1000)));
    SinkExt::<Message>::close(&mut client).await.unwrap();
    assert!(guarded(client.next()).await.is_none());
    let closed = client.closed().unwrap();
    assert!(closed.clean);
    assert_eq!(closed.code, CloseCode::NORMAL.get());
    guarded(served).await.unwrap().unwrap();
}

#[tokio::test]
async fn halves_are_one_each() {
    let (client, server) = pair(4096);
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let echo = tokio::spawn(server_read.forward(server_write));
    let sent = tokio::spawn(stream::iter(numbers(10_000)).map(Ok).forward(client_write));
    let echoed: Vec<Message> = guarded(client_read.try_collect()).await.unwrap();
    assert!(echoed.into_iter().eq(numbers(10_000)));
    guarded(sent).await.unwrap().unwrap();
    guarded(echo).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_sink_waits_for_room() {
    let (mut client, server) = pair(4096);
    let full = async {
        loop {
            SinkExt::feed(&mut client, Message::from(vec![0; 10_000]))
                .await
                .unwrap();
        }
    };
    // Nobody reads: it stops, at some time.
    let stopped = tokio::time::timeout(Duration::from_millis(200), full).await;
    assert!(stopped.is_err());
    drop(server);

    let (client, server) = pair(4096);
    let (_read, mut write) = client.split();
    let full = async {
        loop {
            SinkExt::feed(&mut write, Message::from(vec![0; 10_000]))
                .await
                .unwrap();
        }
    };
    let stopped = tokio::time::timeout(Duration::from_millis(200), full).await;
    assert!(stopped.is_err());
    drop(server);
}

#[tokio::test]
async fn a_flush_does_not_wait_for_what_others_queue_later() {
    let (client, mut server) = pair(4096);
    let (_read, write) = client.split();
    let mut sink = write.clone();
    let probe = write.clone();
    let others = tokio::spawn(async move {
        loop {
            write.feed(vec![0; 1000]).await.unwrap();
        }
    });
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = server.recv().await {} });
    while probe.try_send("").is_ok() {
        tokio::task::yield_now().await;
    }
    for _ in 0..10 {
        let sent = SinkExt::send(&mut sink, Message::from("mine"));
        guarded(sent).await.unwrap();
    }
    others.abort();
    reading.abort();
}

#[tokio::test]
async fn sinks_share_a_connection_with_guards() {
    let (client, mut server) = pair(1 << 16);
    let (_read, write) = client.split();
    let mut sink = write.clone();
    // Ready before the guard takes the outgoing message.
    std::future::poll_fn(|cx| sink.poll_ready_unpin(cx))
        .await
        .unwrap();
    let mut message = write.stream(Kind::Text).await.unwrap();
    message.write("one ").await.unwrap();
    sink.start_send_unpin(Message::from("two")).unwrap();
    message.write("message").await.unwrap();
    let rest = async {
        message.finish().await.unwrap();
    };
    let (flushed, ()) =
        guarded(async { tokio::join!(SinkExt::<Message>::flush(&mut sink), rest) }).await;
    flushed.unwrap();
    assert_eq!(
        server.recv().await.unwrap(),
        Some(Message::from("one message"))
    );
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("two")));
}

#[tokio::test]
async fn the_error_of_a_closed_sink_is_told() {
    let (mut client, _server) = pair(1 << 16);
    SinkExt::<Message>::close(&mut client).await.unwrap();
    let error = SinkExt::send(&mut client, Message::from("late")).await;
    assert!(
        matches!(error, Err(Error::Send(SendError::Closed))),
        "{error:?}"
    );

    let (client, _server) = pair(1 << 16);
    let (_read, mut write) = client.split();
    SinkExt::<Message>::close(&mut write).await.unwrap();
    let error = SinkExt::send(&mut write, Message::from("late")).await;
    assert!(
        matches!(error, Err(Error::Send(SendError::Closed))),
        "{error:?}"
    );
}
