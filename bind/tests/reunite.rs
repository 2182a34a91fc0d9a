//! Halves that become one socket again.

use std::time::Duration;

use bowline_bind::proto::{Event, Message};
use testing::world::*;

/// The event that a waiting call of the write half has kept comes first. Then both directions go on.
#[test]
fn the_socket_has_all_that_the_halves_had() {
    let world = World::default();
    let (client, mut server) = pair(&world, 64, config());
    let timer = world.clone();
    world.spawn(async move {
        let (reader, writer) = client.split();
        // This waits for room, and keeps the message that arrives meanwhile.
        writer.send(vec![1; 1000]).await.unwrap();
        let mut client = reader.reunite(writer).unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("early".into()));
        client.send("once more").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("late".into()));
        assert_eq!(client.recv().await.unwrap(), None);
        assert!(client.closed().unwrap().clean);
    });
    world.block_on(async move {
        server.send("early").await.unwrap();
        timer.sleep(Duration::from_secs(1)).await;
        assert_eq!(server.recv().await.unwrap(), Some(vec![1; 1000].into()));
        assert_eq!(server.recv().await.unwrap(), Some("once more".into()));
        server.send("late").await.unwrap();
        server.close(None).await.unwrap();
    });
}

/// After reuniting, the read half does not count as dropped, so no events are discarded.
#[test]
fn a_socket_that_was_reunited_does_not_discard() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    world.block_on(async move {
        let (reader, writer) = client.split();
        let client = reader.reunite(writer).unwrap();
        let (mut reader, writer) = client.split();
        server.send("kept").await.unwrap();
        writer.send("sent").await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some("sent".into()));
        assert_eq!(reader.recv().await.unwrap(), Some("kept".into()));
    });
}

#[test]
fn halves_of_different_sockets_stay_halves() {
    let world = World::default();
    let (a, b) = pair(&world, 4096, config());
    world.block_on(async move {
        let (mut a_reads, a_writes) = a.split();
        let (b_reads, b_writes) = b.split();
        let error = b_reads.reunite(a_writes).unwrap_err();
        let (b_reads, a_writes) = (error.read, error.write);
        b_writes.send("to a").await.unwrap();
        assert_eq!(a_reads.recv().await.unwrap(), Some("to a".into()));
        let (mut a, mut b) = (
            a_reads.reunite(a_writes).unwrap(),
            b_reads.reunite(b_writes).unwrap(),
        );
        a.send("to b").await.unwrap();
        let heard = b.recv_event().await.unwrap();
        assert_eq!(heard, Some(Event::Data(Message::from("to b"))));
    });
}

#[test]
fn a_clone_that_may_still_send_keeps_the_halves_apart() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    world.block_on(async move {
        let (reader, writer) = client.split();
        let clone = writer.clone();
        let error = reader.reunite(writer).unwrap_err();
        clone.send("still here").await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some("still here".into()));
        drop(clone);
        assert!(error.read.reunite(error.write).is_ok());
    });
}

#[cfg(feature = "futures")]
#[test]
fn a_sink_in_the_middle_of_a_call_keeps_the_halves_apart() {
    use std::{
        pin::Pin,
        task::{Context, Waker},
    };

    use futures_sink::Sink;

    let world = World::default();
    let (client, _server) = pair(&world, 16, config());
    let (reader, mut writer) = client.split();
    let cx = &mut Context::from_waker(Waker::noop());
    let mut sink = Pin::new(&mut writer);
    assert!(sink.as_mut().poll_ready(cx).is_ready());
    sink.as_mut().start_send(vec![0; 1000].into()).unwrap();
    assert!(sink.poll_flush(cx).is_pending());
    assert!(reader.reunite(writer).is_err());
}
