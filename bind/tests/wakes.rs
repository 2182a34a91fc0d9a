//! A call that changes what others wait for wakes them, even if the transport does not.

use std::{cell::Cell, rc::Rc, time::Duration};

use bowline_bind::{
    Error, TrySendError,
    proto::{CloseCode, Deadline, Initiator, Kind, Role, SendError},
};
use testing::world::*;

type Reader = bowline_bind::ReadHalf<End>;
type Writer = bowline_bind::WriteHalf<End>;

/// A split client over a pipe that takes `capacity` bytes. The test holds the other end.
fn split(world: &World, capacity: usize) -> (Reader, Writer, End) {
    let (end, peer) = pipe(world, capacity);
    let mut patient = config();
    patient.write_timeout = None; // No deadline may stand in for a wake-up.
    patient.keep_alive = None;
    let (reader, writer) = socket(end, Role::Client, patient).split();
    (reader, writer, peer)
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_writer_whose_message_another_wrote() {
    let world = World::default();
    let (_reader, writer, peer) = split(&world, 0);
    let other = writer.clone();
    let done = Rc::new(Cell::new(false));
    let sent = done.clone();
    world.spawn(async move {
        writer.send("small").await.unwrap();
        sent.set(true);
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(SECOND).await;
        peer.incoming.borrow_mut().set_capacity_silently(50);
        let mut send = Box::pin(other.send(vec![0; 1000]));
        assert!(poll_once(&mut send).await.is_pending());
        clock.sleep(SECOND).await;
        assert!(done.get(), "its message is sent, the other's is not");
        drop((send, peer));
    });
}

#[test]
fn a_writer_that_waits_for_room_another_made() {
    let world = World::default();
    let (_reader, writer, peer) = split(&world, 0);
    let other = writer.clone();
    let done = Rc::new(Cell::new(false));
    let fed = done.clone();
    world.spawn(async move {
        writer.feed(vec![0; 100_000]).await.unwrap();
        writer.feed("more").await.unwrap();
        fed.set(true);
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(SECOND).await;
        peer.incoming.borrow_mut().set_capacity_silently(50_000);
        let mut flush = Box::pin(other.flush());
        assert!(poll_once(&mut flush).await.is_pending());
        clock.sleep(SECOND).await;
        assert!(done.get());
        drop((flush, peer));
    });
}

#[test]
fn the_next_in_turn_when_the_first_gives_up() {
    let world = World::default();
    let (_reader, writer, peer) = split(&world, 0);
    let other = writer.clone();
    let done = Rc::new(Cell::new(false));
    let fed = done.clone();
    let clock = world.clone();
    world.spawn(async move {
        clock.sleep(SECOND).await;
        other.feed("second").await.unwrap();
        fed.set(true);
    });
    let clock = world.clone();
    world.block_on(async move {
        writer.feed(vec![0; 100_000]).await.unwrap();
        let mut first = Box::pin(writer.feed("first"));
        assert!(poll_once(&mut first).await.is_pending());
        clock.sleep(2 * SECOND).await;
        peer.incoming.borrow_mut().set_capacity_silently(200_000);
        assert!(matches!(
            writer.try_send("out of turn"),
            Err(TrySendError::Full(_))
        ));
        clock.sleep(SECOND).await;
        assert!(!done.get(), "the first in turn is slow");
        drop(first);
        clock.sleep(SECOND).await;
        assert!(done.get());
        drop(peer);
    });
}

#[test]
fn those_who_wait_for_the_end_of_a_guard() {
    let world = World::default();
    let (_reader, writer, peer) = split(&world, 1000);
    let (second, third) = (writer.clone(), writer.clone());
    let (clock, now) = (world.clone(), world.clone());
    world.spawn(async move {
        let stream = writer.stream(Kind::Text).await.unwrap();
        clock.sleep(2 * SECOND).await;
        drop(stream); // Nothing was written, so nothing fails.
    });
    let clock = world.clone();
    world.spawn(async move {
        clock.sleep(SECOND).await;
        let stream = second.stream(Kind::Text).await.unwrap();
        assert_eq!(now.now(), 2 * SECOND);
        clock.sleep(SECOND).await;
        stream.finish().await.unwrap();
    });
    let (clock, now) = (world.clone(), world.clone());
    world.block_on(async move {
        clock.sleep(SECOND).await;
        third.send("after").await.unwrap();
        assert_eq!(now.now(), 3 * SECOND);
        drop(peer);
    });
}

#[test]
fn those_who_wait_for_a_guard_when_the_connection_closes() {
    let world = World::default();
    let (_reader, writer, peer) = split(&world, 1000);
    let other = writer.clone();
    let (clock, now) = (world.clone(), world.clone());
    world.spawn(async move {
        let stream = writer.stream(Kind::Text).await.unwrap();
        clock.sleep(2 * SECOND).await;
        let _ = writer.finish(None).await;
        clock.sleep(2 * SECOND).await;
        drop(stream);
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(SECOND).await;
        let error = other.send("never").await.unwrap_err();
        assert!(matches!(error, Error::Send(SendError::Closed)), "{error:?}");
        assert_eq!(now.now(), 2 * SECOND);
        drop(peer);
    });
}

#[test]
fn a_writer_that_closes_when_the_reader_has_seen_the_end() {
    let world = World::default();
    let (mut reader, writer, peer) = split(&world, 1000);
    let (clock, later, now) = (world.clone(), world.clone(), world.clone());
    // The writer runs first: a wake of both reaches it before the reader has seen the end.
    world.spawn(async move {
        writer.close(Some(CloseCode::NORMAL.into())).await.unwrap();
        assert_eq!(now.now(), 2 * SECOND);
        assert_eq!(writer.closed().unwrap().initiator, Initiator::Local);
    });
    world.spawn(async move {
        assert!(reader.recv().await.unwrap().is_none());
        later.sleep(SECOND).await; // It is not dropped at once.
    });
    world.block_on(async move {
        clock.sleep(SECOND).await;
        peer.outgoing.borrow_mut().push(&[0x88, 0]);
        clock.sleep(SECOND).await;
        peer.outgoing.borrow_mut().close();
        clock.sleep(SECOND).await;
        drop(peer);
    });
}

#[test]
fn a_writer_that_closes_goes_on_when_the_reader_is_dropped() {
    let world = World::default();
    let (reader, writer, peer) = split(&world, 1000);
    let (clock, now) = (world.clone(), world.clone());
    world.spawn(async move {
        clock.sleep(SECOND).await;
        drop(reader);
        clock.sleep(SECOND).await;
        assert!(
            !peer.incoming.borrow().closed,
            "the peer's Close has not arrived"
        );
        peer.outgoing.borrow_mut().push(&[0x88, 0]);
        peer.outgoing.borrow_mut().close();
        clock.sleep(SECOND).await;
        drop(peer);
    });
    world.block_on(async move {
        writer.close(None).await.unwrap();
        assert_eq!(now.now(), 2 * SECOND);
    });
}

#[test]
fn a_reader_begins_the_close_deadline_of_a_writer_that_only_finished() {
    let world = World::default();
    let (mut reader, writer, peer) = split(&world, 1000);
    let now = world.clone();
    world.spawn(async move { writer.finish(None).await.unwrap() });
    world.block_on(async move {
        let error = reader.recv().await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Close)),
            "{error:?}"
        );
        assert_eq!(now.now(), 5 * SECOND);
        drop(peer);
    });
}

#[test]
fn a_write_deadline_ends_the_transport() {
    let world = World::default();
    let (end, peer) = pipe(&world, 0);
    let (_reader, writer) = socket(end, Role::Client, config()).split();
    world.block_on(async move {
        assert!(writer.send("never").await.is_err());
        assert!(peer.incoming.borrow().closed);
    });
}

#[test]
fn the_close_deadline_ends_a_finish_although_an_event_is_kept() {
    let world = World::default();
    let (end, peer) = pipe(&world, 0);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing.borrow_mut().push(&[0x81, 1, b'x']);
    let now = world.clone();
    world.block_on(async move {
        let error = client.finish(None).await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Close)),
            "{error:?}"
        );
        assert_eq!(now.now(), 5 * SECOND);
        drop(peer);
    });
}

#[test]
fn a_peer_that_has_ended_its_direction_still_gets_our_close() {
    let world = World::default();
    let (end, peer) = pipe(&world, 0);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing.borrow_mut().push(&[0x88, 0]);
    peer.outgoing.borrow_mut().close();
    let clock = world.clone();
    world.spawn(async move {
        clock.sleep(SECOND).await;
        peer.incoming.borrow_mut().set_capacity(100);
        clock.sleep(SECOND).await;
        assert_eq!(peer.incoming.borrow_mut().drain()[0], 0x88);
    });
    world.block_on(async move {
        assert!(client.recv().await.unwrap().is_none());
        assert!(client.closed().unwrap().clean);
    });
}

#[test]
fn a_broken_writer_does_not_overtake_what_takes_several_reads() {
    let world = World::default();
    let (mut end, peer) = pipe(&world, 100);
    end.step = 1;
    let mut client = socket(end, Role::Client, config());
    peer.outgoing
        .borrow_mut()
        .push(&[0x81, 3, b'a', b'b', b'c', 0x88, 0]);
    peer.incoming.borrow_mut().reset();
    world.block_on(async move {
        assert!(client.send("lost").await.is_err());
        assert_eq!(client.recv().await.unwrap(), Some("abc".into()));
        assert!(client.recv().await.unwrap().is_none());
        drop(peer);
    });
}

/// A transport that has room at every other attempt, and wakes no task.
#[test]
fn room_that_appears_while_send_reads() {
    let world = World::default();
    let (mut end, peer) = pipe(&world, 1000);
    end.refuses = true;
    let mut client = socket(end, Role::Client, config());
    world.block_on(async move {
        client.send("through").await.unwrap();
        drop(peer);
    });
    assert_eq!(world.now(), Duration::ZERO);
}
