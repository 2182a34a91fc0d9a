//! Handles, and a thread that writes what they have queued.

use std::time::Duration;

use bowline_blocking::{CloseCode, CloseFrame, QueueError};
use testing::threads::{World, config, pair};

#[test]
fn what_a_handle_queues_is_written_by_a_thread_that_drives() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    let handle = writer.handle();
    // One thread is blocked in a read, and does not write what others queue.
    let reading = world.spawn(move || reader.recv());
    let driving = world.spawn(move || writer.drive());
    let began = world.now();
    for number in 0..3_u8 {
        world.sleep(Duration::from_millis(10));
        handle.queue(vec![number]).unwrap();
        assert_eq!(server.recv().unwrap(), Some(vec![number].into()));
    }
    assert!(world.now() - began < Duration::from_millis(100));
    handle.close(CloseFrame::from(CloseCode::NORMAL));
    assert_eq!(server.recv().unwrap(), None);
    driving.join().unwrap();
    assert_eq!(reading.join().unwrap(), None);
    assert!(handle.closed().unwrap().clean);
}

/// A peer that reads nothing does not hold up who queues.
#[test]
fn a_handle_never_blocks() {
    let world = World::default();
    let (client, server) = pair(&world, 100, config());
    let (_reader, writer) = client.split();
    let handle = writer.handle();
    let driving = world.spawn(move || {
        let _ = writer.drive();
    });
    let began = world.now();
    let full = loop {
        match handle.queue(vec![0; 10_000]) {
            Ok(()) => {}
            Err(QueueError::Full { bytes, .. }) => break bytes,
            Err(other) => panic!("{other:?}"),
        }
    };
    assert!(full >= 64 << 10, "{full}");
    assert_eq!(world.now(), began);
    drop(server);
    driving.join();
}
