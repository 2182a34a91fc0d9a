//! Two sockets that are connected in memory, in a world with its own clock.

use std::time::Duration;

use bowline_bind::{
    Error, pair,
    proto::{CloseCode, Deadline, Message},
};
use testing::world::*;

#[test]
fn both_ends_talk_under_back_pressure() {
    let world = World::default();
    let (mut client, mut server) = pair(world.clock(), config());
    world.spawn(async move {
        for number in 0..50 {
            let message = server.recv().await.unwrap().unwrap();
            assert_eq!(message.len(), number * 10_000);
            server.send(message).await.unwrap();
        }
        assert!(server.recv().await.unwrap().is_none());
        assert!(server.closed().unwrap().clean);
    });
    world.block_on(async move {
        for number in 0..50 {
            let sent = Message::from(vec![7; number * 10_000]);
            client.send(sent.clone()).await.unwrap();
            assert_eq!(client.recv().await.unwrap(), Some(sent));
        }
        client.close(CloseCode::NORMAL).await.unwrap();
        assert!(client.closed().unwrap().clean);
    });
}

/// Both send more than a lane holds before either receives.
#[test]
fn two_split_ends_send_at_once() {
    let world = World::default();
    let (client, server) = pair(world.clock(), config());
    for socket in [client, server] {
        let (mut read, write) = socket.split();
        world.spawn(async move {
            for _ in 0..20 {
                write.send(vec![0; 50_000]).await.unwrap();
            }
        });
        world.spawn(async move {
            for _ in 0..20 {
                assert_eq!(read.recv().await.unwrap().unwrap().len(), 50_000);
            }
        });
    }
    world.run();
}

#[test]
fn an_end_that_is_dropped_or_silent_is_noticed() {
    let world = World::default();
    let (client, mut server) = pair(world.clock(), config());
    drop(client);
    world.block_on(async move {
        assert!(matches!(server.recv().await, Err(Error::Lost(_))));
        assert!(server.send("x").await.is_err());
    });

    let (mut client, _silent) = pair(world.clock(), config());
    let began = world.now();
    let silent = world.clone();
    world.block_on(async move {
        let closed = client.close(None).await;
        assert!(matches!(closed, Err(Error::TimedOut(Deadline::Close))));
        assert_eq!(silent.now() - began, Duration::from_secs(5));
    });

    // Nothing is read, so a lane fills up.
    let (mut client, _silent) = pair(world.clock(), config());
    world.block_on(async move {
        let sent = client.send(vec![0; 1 << 20]).await;
        assert!(matches!(sent, Err(Error::TimedOut(Deadline::Write))));
    });
}
