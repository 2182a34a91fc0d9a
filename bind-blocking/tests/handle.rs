//! Handles, and a thread that writes what they have queued.

use std::time::Duration;

use bowline_blocking::{BlockingTransport, CloseCode, Message, Outgoing, QueueError};
use testing::threads::{World, config, pair};

#[test]
fn what_a_handle_queues_is_written_by_a_thread_that_drives() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    let handle = writer.handle();
    // This thread is blocked in a read, so it does not write what others queue.
    let reading = world.spawn(move || reader.recv());
    let driving = world.spawn(move || writer.drive());
    let began = world.now();
    for number in 0..3_u8 {
        world.sleep(Duration::from_millis(10));
        handle.queue(vec![number]).unwrap();
        assert_eq!(server.recv().unwrap(), Some(vec![number].into()));
    }
    assert!(world.now() - began < Duration::from_millis(100));
    handle.close(CloseCode::NORMAL);
    assert_eq!(server.recv().unwrap(), None);
    driving.join().unwrap();
    assert_eq!(reading.join().unwrap(), None);
    assert!(handle.closed().unwrap().clean);
}

/// A peer that reads nothing does not delay a thread that queues.
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

/// One thread may write for many sockets, because no peer can delay it.
#[test]
fn an_outlet_never_blocks_and_goes_on_when_there_is_room() {
    let world = World::default();
    let (client, mut server) = pair(&world, 100, config());
    let (reader, writer) = client.split();
    let outlet = writer.into_outlet();
    let messages = [10, 1000, 30_000].map(|len| vec![7; len]);
    let mut offered = messages.iter().cloned().map(Outgoing::from);
    outlet.offer_all(&mut offered).unwrap();
    let began = world.now();
    assert!(outlet.write().is_pending());
    assert!(outlet.write().is_pending());
    assert_eq!(world.now(), began);
    let waits = outlet.queued_bytes();
    assert!(waits > 30_000, "{waits}");

    let serving = world.spawn(move || {
        let received = [0; 3].map(|_| server.recv().unwrap().unwrap());
        assert_eq!(server.recv().unwrap(), None);
        received
    });
    while outlet.write().is_pending() {
        world.sleep(Duration::from_millis(1));
    }
    assert_eq!(outlet.queued_bytes(), 0);
    outlet.close(CloseCode::NORMAL);
    assert!(outlet.write().is_ready());
    // Another thread receives.
    let reading = world.spawn(move || reader.drain());
    reading.join().unwrap();
    assert_eq!(serving.join(), messages.map(Message::from));
    assert!(outlet.closed().unwrap().clean);
}

#[test]
fn a_socket_of_the_system_is_tried_without_waiting() {
    use std::{io, net};

    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (_far, _) = listener.accept().unwrap();
    let full = loop {
        match near.try_write(&[0; 1 << 16]) {
            Ok(len) => assert!(len > 0),
            Err(error) => break error,
        }
    };
    assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
}
