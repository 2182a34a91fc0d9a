//! Receiving for a limited time, and into the application's own memory.

use std::time::Duration;

use bowline_blocking::{Kind, Received, TryRecvError};
use testing::threads::{World, config, pair};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_receive_with_a_timeout_waits_for_that_long_and_loses_nothing() {
    for split in [false, true] {
        let world = World::default();
        let (mut client, mut server) = pair(&world, 4096, config());
        let began = world.now();
        let timer = world.clone();
        let serving = world.spawn(move || {
            timer.sleep(SECOND * 2 + SECOND / 2);
            server.send("late").unwrap();
            assert_eq!(server.recv().unwrap(), None);
        });
        let mut waits = Vec::new();
        let mut receive: Box<dyn FnMut() -> Result<_, TryRecvError>>;
        let writer;
        if split {
            let (mut read, write) = client.split();
            receive = Box::new(move || read.recv_timeout(SECOND));
            writer = Some(write);
        } else {
            receive = Box::new(move || client.recv_timeout(SECOND));
            writer = None;
        }
        let message = loop {
            match receive() {
                Err(TryRecvError::Empty) => waits.push((world.now() - began).as_secs_f64()),
                other => break other.unwrap(),
            }
        };
        assert_eq!(message, Some("late".into()));
        assert_eq!(waits.len(), 2, "{waits:?}");
        for (wait, second) in waits.iter().zip([1.0, 2.0]) {
            assert!((wait - second).abs() < 0.1, "{waits:?}");
        }
        drop((receive, writer));
        drop(serving);
    }
}

#[test]
fn a_receive_that_does_not_wait_returns_what_has_come() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    let began = world.now();
    assert!(matches!(client.try_recv(), Err(TryRecvError::Empty)));
    server.send("one").unwrap();
    server.send("two").unwrap();
    assert_eq!(client.try_recv().unwrap(), Some("one".into()));
    assert_eq!(client.try_recv().unwrap(), Some("two".into()));
    assert!(matches!(client.try_recv(), Err(TryRecvError::Empty)));
    assert!(world.now() - began < SECOND / 10);
    server.abort();
    assert!(matches!(client.try_recv(), Err(TryRecvError::Failed(_))));
    assert_eq!(client.try_recv().unwrap(), None);
}

/// Calls shorter than the deadlines still answer Pings and judge the deadlines.
#[test]
fn short_receives_keep_a_connection_alive() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    let serving = world.spawn(move || server.recv());
    // These calls last longer than keep_alive and pong_timeout together.
    for _ in 0..120 {
        assert!(matches!(
            client.recv_timeout(SECOND),
            Err(TryRecvError::Empty)
        ));
    }
    assert!(client.latency().is_some());
    client.close(None).unwrap();
    assert_eq!(serving.join().unwrap(), None);
}

#[test]
fn a_message_is_copied_into_a_buffer() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    server.send(vec![7; 1800]).unwrap();
    let mut buf = [0; 1024];
    for (len, fin) in [(1024, false), (776, true)] {
        let kind = Kind::Binary;
        assert_eq!(
            client.recv_into(&mut buf).unwrap(),
            Some(Received { len, kind, fin })
        );
        assert!(buf[..len].iter().all(|byte| *byte == 7));
    }
    let (mut reader, _writer) = client.split();
    server.send("x").unwrap();
    assert!(
        reader
            .recv_into(&mut buf)
            .unwrap()
            .is_some_and(|piece| piece.fin)
    );
}
