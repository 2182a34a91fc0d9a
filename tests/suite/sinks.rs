//! `Stream` and `Sink`, used by the combinators of `futures`.

use std::{future::poll_fn, task::Poll};

use ::tokio::{spawn, task::yield_now};
use bind::{
    Error, WebSocket,
    proto::{CloseCode, Kind, Message, Role, SendError},
};
use futures_util::{Sink, SinkExt, StreamExt, TryStreamExt, stream};

use crate::{
    binding::Driven,
    support::{roomy, tcp},
};

for_each_driven! {
    a_socket_is_both,
    halves_are_one_each,
    a_sink_waits_for_room,
    a_flush_does_not_wait_for_what_others_queue_later,
    sinks_share_a_connection_with_guards,
    the_error_of_a_closed_sink_is_told,
}

type SocketOf<D> = WebSocket<<D as Driven>::Stream>;

async fn pair<D: Driven>() -> (SocketOf<D>, SocketOf<D>) {
    let (near, far) = tcp().await;
    (
        D::open(near.into_std().unwrap(), Role::Client, &roomy()),
        D::open(far.into_std().unwrap(), Role::Server, &roomy()),
    )
}

fn numbers(count: usize) -> impl Iterator<Item = Message> {
    (0..count).map(|i| Message::from(i.to_string()))
}

async fn a_socket_is_both<D: Driven>() {
    let (mut client, server) = pair::<D>().await;
    // An echo server with combinators.
    let served = spawn(async move {
        let (sink, stream) = StreamExt::split(server);
        stream.forward(sink).await
    });
    let mut all = stream::iter(numbers(1000)).map(Ok);
    client.send_all(&mut all).await.unwrap();
    let echoed: Vec<Message> = client.by_ref().take(1000).try_collect().await.unwrap();
    assert!(echoed.into_iter().eq(numbers(1000)));
    SinkExt::<Message>::close(&mut client).await.unwrap();
    assert!(client.next().await.is_none());
    let closed = client.closed().unwrap();
    assert!(closed.clean);
    assert_eq!(closed.code, CloseCode::NORMAL.get());
    served.await.unwrap().unwrap();
}

async fn halves_are_one_each<D: Driven>() {
    let (client, server) = pair::<D>().await;
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let echo = spawn(server_read.forward(server_write));
    let sent = spawn(stream::iter(numbers(10_000)).map(Ok).forward(client_write));
    let echoed: Vec<Message> = client_read.try_collect().await.unwrap();
    assert!(echoed.into_iter().eq(numbers(10_000)));
    sent.await.unwrap().unwrap();
    echo.await.unwrap().unwrap();
}

/// Feeds until there is no room, which must happen because nothing is read.
async fn fill(mut sink: impl Sink<Message, Error = Error> + Unpin) {
    // This is more than the buffers of any system take.
    for _ in 0..10_000 {
        let ready = poll_fn(|cx| Poll::Ready(sink.poll_ready_unpin(cx))).await;
        match ready {
            Poll::Ready(ready) => ready.unwrap(),
            Poll::Pending => return,
        }
        sink.start_send_unpin(vec![0; 10_000].into()).unwrap();
    }
    panic!("there is always room");
}

async fn a_sink_waits_for_room<D: Driven>() {
    let (mut client, server) = pair::<D>().await;
    fill(&mut client).await;
    drop(server);

    let (client, server) = pair::<D>().await;
    let (_read, mut write) = client.split();
    fill(&mut write).await;
    drop(server);
}

async fn a_flush_does_not_wait_for_what_others_queue_later<D: Driven>() {
    let (client, mut server) = pair::<D>().await;
    let (_read, write) = client.split();
    let mut sink = write.clone();
    let probe = write.clone();
    let others = spawn(async move {
        loop {
            write.feed(vec![0; 1000]).await.unwrap();
        }
    });
    while probe.try_send("").is_ok() {
        yield_now().await;
    }
    let reading = spawn(async move { while let Ok(Some(_)) = server.recv().await {} });
    for _ in 0..10 {
        SinkExt::send(&mut sink, Message::from("mine"))
            .await
            .unwrap();
    }
    others.abort();
    reading.abort();
}

async fn sinks_share_a_connection_with_guards<D: Driven>() {
    let (client, mut server) = pair::<D>().await;
    let (_read, write) = client.split();
    let mut sink = write.clone();
    // The sink is ready before the guard takes the outgoing message.
    poll_fn(|cx| sink.poll_ready_unpin(cx)).await.unwrap();
    let mut message = write.stream(Kind::Text).await.unwrap();
    message.write("one ").await.unwrap();
    sink.start_send_unpin(Message::from("two")).unwrap();
    message.write("message").await.unwrap();
    let others = async {
        message.finish().await.unwrap();
    };
    let (flushed, ()) = ::tokio::join!(SinkExt::<Message>::flush(&mut sink), others);
    flushed.unwrap();
    assert_eq!(
        server.recv().await.unwrap(),
        Some(Message::from("one message"))
    );
    assert_eq!(server.recv().await.unwrap(), Some(Message::from("two")));
}

async fn the_error_of_a_closed_sink_is_told<D: Driven>() {
    let (mut client, _server) = pair::<D>().await;
    SinkExt::<Message>::close(&mut client).await.unwrap();
    let error = SinkExt::send(&mut client, Message::from("late")).await;
    assert!(
        matches!(error, Err(Error::Send(SendError::Closed))),
        "{error:?}"
    );

    let (client, _server) = pair::<D>().await;
    let (_read, mut write) = client.split();
    SinkExt::<Message>::close(&mut write).await.unwrap();
    let error = SinkExt::send(&mut write, Message::from("late")).await;
    assert!(
        matches!(error, Err(Error::Send(SendError::Closed))),
        "{error:?}"
    );
}
