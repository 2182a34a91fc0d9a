//! Dropping every future at every `Pending` loses, cuts and repeats nothing.

use std::{cell::RefCell, pin::Pin, rc::Rc, time::Duration};

use bowline_bind::{
    Error,
    proto::{Chunk, ControlPayload, Kind, Message},
};
use testing::world::*;

/// Runs the future that `call` makes, and drops and remakes it after every `count` waits.
macro_rules! dropping {
    ($count:expr, $call:expr) => {{
        loop {
            let call: Pin<Box<dyn Future<Output = _>>> = Box::pin($call);
            if let Ok(value) = poll_times(call, $count).await {
                break value;
            }
        }
    }};
}

fn messages() -> Vec<Message> {
    let mut messages: Vec<Message> = ["", "a", "κόσμε"].map(Message::from).into();
    messages.extend([125, 126, 300, 70_000].map(|len| Message::from(vec![len as u8; len])));
    messages
}

#[test]
fn a_recv_that_is_dropped_at_every_wait_loses_nothing() {
    for count in 1..4 {
        let world = World::default();
        let (mut client, mut server) = pair(&world, 3, config());
        world.spawn(async move {
            for message in messages() {
                client.send(message).await.unwrap();
                client.ping(ControlPayload::default()).await.unwrap();
            }
            client.close(None).await.unwrap();
        });
        world.block_on(async move {
            for message in messages() {
                assert!(dropping!(count, server.recv()).unwrap() == Some(message));
            }
            assert!(dropping!(count, server.recv()).unwrap().is_none());
        });
    }
}

#[test]
fn a_recv_chunk_that_is_dropped_at_every_wait_loses_nothing() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 3, config());
    world.spawn(async move {
        for message in messages() {
            client.send(message).await.unwrap();
        }
        client.close(None).await.unwrap();
    });
    world.block_on(async move {
        for message in messages() {
            let mut bytes = Vec::new();
            loop {
                let Chunk { data, fin } = dropping!(1, server.recv_chunk()).unwrap().unwrap();
                assert_eq!(data.kind(), message.kind());
                bytes.extend_from_slice(data.as_bytes());
                if fin {
                    break;
                }
            }
            assert!(bytes == *message.as_bytes());
        }
        assert!(dropping!(1, server.recv_chunk()).unwrap().is_none());
    });
}

#[test]
fn a_send_that_is_dropped_at_any_wait_was_not_queued_or_is_written_whole() {
    for count in 1..40 {
        for split in [false, true] {
            let world = World::default();
            let mut small = config();
            small.send_high_water = 64; // This makes some dropped sends wait for room.
            let (mut client, mut server) = pair(&world, 3, small);
            let sent = Rc::new(RefCell::new(Vec::new()));
            let record = sent.clone();
            world.spawn(async move {
                if split {
                    let (_reader, writer) = client.split();
                    for number in 0..20u8 {
                        let send = Box::pin(writer.send(vec![number; 30]));
                        let done = poll_times(send, count).await.is_ok();
                        record.borrow_mut().push((number, done));
                    }
                    writer.flush().await.unwrap();
                } else {
                    for number in 0..20u8 {
                        let send = Box::pin(client.send(vec![number; 30]));
                        let done = poll_times(send, count).await.is_ok();
                        record.borrow_mut().push((number, done));
                    }
                    client.flush().await.unwrap();
                }
            });
            world.block_on(async move {
                let mut received = Vec::new();
                loop {
                    match server.recv().await {
                        Ok(Some(message)) => received.push(message.into_bytes()),
                        Err(Error::Lost(_)) => break, // The sender is dropped at the end.
                        other => panic!("{other:?}"),
                    }
                }
                assert!(
                    received.iter().all(|bytes| **bytes == [bytes[0]; 30]),
                    "none is torn"
                );
                let numbers: Vec<u8> = received.iter().map(|bytes| bytes[0]).collect();
                assert!(
                    numbers.is_sorted_by(|a, b| a < b),
                    "none is sent twice, the order is kept"
                );
                for (number, done) in sent.borrow().iter() {
                    assert!(!done || numbers.contains(number), "what resolved was sent");
                }
            });
        }
    }
}

#[test]
fn a_feed_that_is_dropped_before_it_resolved_was_not_queued() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 3, config());
    world.spawn(async move {
        client.feed(vec![1; 70_000]).await.unwrap();
        let feed = Box::pin(client.feed(vec![2; 10]));
        assert!(poll_times(feed, 1).await.is_err());
        client.send(vec![3; 10]).await.unwrap();
        client.close(None).await.unwrap();
    });
    world.block_on(async move {
        assert_eq!(server.recv().await.unwrap().unwrap().len(), 70_000);
        assert_eq!(server.recv().await.unwrap(), Some(vec![3; 10].into()));
        assert!(server.recv().await.unwrap().is_none());
    });
}

#[test]
fn flush_close_ping_and_stream_can_be_dropped_at_every_wait() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 3, config());
    world.spawn(async move {
        client.feed("fed").await.unwrap();
        dropping!(1, client.flush()).unwrap();
        let mut stream = client.stream(Kind::Text).await.unwrap();
        let _ = poll_times(Box::pin(stream.write("strea")), 1).await;
        stream.write("med").await.unwrap();
        stream.finish().await.unwrap();
        dropping!(1, client.close(None)).unwrap();
        assert!(client.closed().unwrap().clean);
    });
    world.block_on(async move {
        assert_eq!(server.recv().await.unwrap(), Some("fed".into()));
        assert_eq!(server.recv().await.unwrap(), Some("streamed".into()));
        assert!(server.recv().await.unwrap().is_none());
    });
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn echo_with_recv_and_send_dropped_at_every_wait_keeps_the_transcript() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 3, config());
    world.spawn(async move {
        while let Some(message) = dropping!(1, server.recv()).unwrap() {
            server.feed(message).await.unwrap();
            dropping!(1, server.flush()).unwrap();
        }
    });
    world.block_on(async move {
        for message in messages() {
            client.feed(message.clone()).await.unwrap();
            dropping!(1, client.flush()).unwrap();
            assert!(dropping!(1, client.recv()).unwrap() == Some(message));
        }
        client.close(None).await.unwrap();
    });
}
