//! The laws of the driver, with one or more tests each.

use std::{cell::RefCell, rc::Rc, task::Poll, time::Duration};

use bowline_bind::{
    Error, TrySendError,
    proto::{
        Chunk, CloseCode, CloseFrame, Config, ControlPayload, Deadline, Event, Initiator, Kind,
        Message, Negotiated, ProtocolError, Role, SendError, State,
    },
};
use testing::world::*;

fn big(len: usize) -> Message {
    Message::from((0..len).map(|i| (i * 7) as u8).collect::<Vec<u8>>())
}

fn goodbye(code: CloseCode) -> Option<CloseFrame> {
    Some(CloseFrame::from(code))
}

#[test]
fn messages_go_both_ways_and_close_ends_cleanly() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        while let Some(message) = server.recv().await.unwrap() {
            server.send(message).await.unwrap();
        }
        let closed = server.closed().unwrap();
        assert_eq!(
            (closed.code, closed.clean, closed.initiator),
            (1000, true, Initiator::Peer)
        );
    });
    world.block_on(async move {
        for message in ["", "hello", "κόσμε"]
            .map(Message::from)
            .into_iter()
            .chain([big(1 << 20)])
        {
            client.send(message.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(message));
        }
        client.close(goodbye(CloseCode::NORMAL)).await.unwrap();
        assert_eq!(client.state(), State::Closed);
        assert!(client.get_ref().is_none(), "the transport is dropped");
        let closed = client.closed().unwrap();
        assert_eq!(
            (closed.code, closed.clean, closed.initiator),
            (1000, true, Initiator::Local)
        );
        client.close(None).await.unwrap();
        assert!(client.recv().await.unwrap().is_none());
        assert!(matches!(
            client.send("late").await,
            Err(Error::Send(SendError::Closed))
        ));
    });
    assert_eq!(world.now(), Duration::ZERO, "no deadline was waited for");
}

#[test]
fn law_1_try_send_gives_a_message_back_when_full() {
    let world = World::default();
    let (mut client, _server) = pair(&world, 10, config());
    for _ in 0..2 {
        client.try_send(big(60_000)).unwrap();
    }
    match client.try_send("more") {
        Err(TrySendError::Full(message)) => {
            assert_eq!(message.message(), &Message::from("more"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn law_2_two_ends_that_send_before_they_receive_do_not_deadlock() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        server.send(big(1 << 20)).await.unwrap();
        assert!(server.recv().await.unwrap() == Some(big(1 << 20)));
        assert!(server.recv().await.unwrap().is_none());
    });
    world.block_on(async move {
        client.send(big(1 << 20)).await.unwrap();
        assert!(client.recv().await.unwrap() == Some(big(1 << 20)));
        client.close(None).await.unwrap();
    });
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn law_2_a_pending_recv_writes_what_was_fed() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        client.feed("fed").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("answer".into()));
    });
    world.block_on(async move {
        assert_eq!(server.recv().await.unwrap(), Some("fed".into()));
        server.send("answer").await.unwrap();
    });
}

#[test]
fn law_2_a_pong_leaves_although_recv_has_returned_a_message() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing
        .borrow_mut()
        .push(&[0x89, 1, b'p', 0x81, 1, b'm']);
    world.block_on(async move {
        assert_eq!(client.recv().await.unwrap(), Some("m".into()));
        let sent = peer.incoming.borrow_mut().drain();
        assert_eq!(sent[0], 0x8A, "the Pong is out");
        drop(client);
    });
}

#[test]
fn law_2_recv_event_tells_of_everything() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing
        .borrow_mut()
        .push(&[0x89, 0, 0x8A, 1, 7, 0x82, 1, 9, 0x88, 2, 3, 232]);
    peer.outgoing.borrow_mut().close();
    world.block_on(async move {
        let empty = ControlPayload::default();
        let seven = ControlPayload::new(&[7u8][..]).unwrap();
        assert_eq!(client.recv_event().await.unwrap(), Some(Event::Ping(empty)));
        assert_eq!(client.recv_event().await.unwrap(), Some(Event::Pong(seven)));
        assert_eq!(
            client.recv_event().await.unwrap(),
            Some(Event::Data(Message::from(vec![9])))
        );
        assert_eq!(
            client.recv_event().await.unwrap(),
            Some(Event::Close(goodbye(CloseCode::NORMAL)))
        );
        assert_eq!(client.recv_event().await.unwrap(), None);
        assert!(client.closed().unwrap().clean);
        drop(peer);
    });
}

#[test]
fn law_3_nobody_holds_the_lock_while_waiting() {
    let world = World::default();
    let (client, server) = pair(&world, 10, config());
    let (mut reader, writer) = client.split();
    world.block_on(async move {
        let mut recv = Box::pin(reader.recv());
        assert!(poll_once(&mut recv).await.is_pending());
        let mut send = Box::pin(writer.send(big(1000)));
        assert!(poll_once(&mut send).await.is_pending());
        // If one of the calls held a lock, a call on this very thread would never get it.
        writer.try_send("more").unwrap();
        assert!(poll_once(&mut recv).await.is_pending());
        assert!(poll_once(&mut send).await.is_pending());
        drop(server);
    });
}

#[test]
fn law_4_a_writer_is_woken_for_each_clone() {
    let world = World::default();
    let (client, mut server) = pair(&world, 64, config());
    let (mut reader, writer) = client.split();
    let done = Rc::new(RefCell::new(0));
    for sender in 0..10u8 {
        let (writer, done) = (writer.clone(), done.clone());
        world.spawn(async move {
            for number in 0..100u8 {
                writer.send(vec![sender, number]).await.unwrap();
            }
            *done.borrow_mut() += 1;
            if *done.borrow() == 10 {
                writer.close(None).await.unwrap();
            }
        });
    }
    world.spawn(async move { assert!(reader.recv().await.unwrap().is_none()) });
    world.block_on(async move {
        let mut next = [0u8; 10];
        while let Some(message) = server.recv().await.unwrap() {
            let bytes = message.into_bytes();
            assert_eq!(
                bytes[1], next[bytes[0] as usize],
                "the order of each sender is kept"
            );
            next[bytes[0] as usize] += 1;
        }
        assert_eq!(next, [100; 10]);
    });
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn law_4_a_feed_while_the_reader_waits_is_written_by_the_reader() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    world.spawn_daemon(async move {
        let _ = reader.recv().await;
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(Duration::from_millis(1)).await;
        writer.feed("fed").await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some("fed".into()));
    });
    assert_eq!(world.now(), Duration::from_millis(1));
}

#[test]
fn law_5_send_resolves_when_its_own_message_has_left() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (_reader, writer) = client.split();
    let other = writer.clone();
    world.spawn_daemon(async move { while server.recv().await.is_ok() {} });
    world.spawn_daemon(async move {
        // The queue is never empty.
        loop {
            other.feed(big(60_000)).await.unwrap();
        }
    });
    world.block_on(async move {
        for _ in 0..20 {
            writer.send("mine").await.unwrap();
        }
    });
}

#[test]
fn law_6_a_blocked_writer_is_cut_although_nobody_receives() {
    let world = World::default();
    let (client, _server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    let now = world.clone();
    world.block_on(async move {
        let error = writer.send(big(1 << 20)).await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Write)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(20));
        assert!(matches!(
            writer.send("more").await,
            Err(Error::TimedOut(Deadline::Write))
        ));
        assert!(matches!(
            reader.recv().await,
            Err(Error::TimedOut(Deadline::Write))
        ));
        assert!(matches!(reader.recv().await, Ok(None)));
    });
}

#[test]
fn law_6_an_unsplit_writer_is_cut_as_well() {
    let world = World::default();
    let (mut client, _server) = pair(&world, 4096, config());
    let now = world.clone();
    world.block_on(async move {
        let error = client.send(big(1 << 20)).await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Write)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(20));
        assert!(matches!(
            client.recv().await,
            Err(Error::TimedOut(Deadline::Write))
        ));
        assert!(matches!(client.recv().await, Ok(None)));
        assert_eq!(client.closed().unwrap().code, 1006);
    });
}

/// Some sockets try to write whenever they are asked, and the kernel may take a little although it has not announced
/// room. At the deadline that does not count as progress.
#[test]
fn law_6_what_a_transport_takes_because_the_deadline_asks_is_no_progress() {
    for (split, receives) in [(false, false), (true, false), (true, true)] {
        let world = World::default();
        let (client, server) = pair(&world, 10, config());
        let lane = client.get_ref().unwrap().outgoing.clone();
        let clock = world.clone();
        world.spawn(async move {
            clock.sleep(Duration::from_millis(19_999)).await;
            lane.borrow_mut().set_capacity_silently(100);
            clock.sleep(Duration::from_secs(10)).await;
            drop(server);
        });
        let now = world.clone();
        let check = move |error: Error| {
            assert!(
                matches!(error, Error::TimedOut(Deadline::Write)),
                "{error:?}"
            );
            assert_eq!(now.now(), Duration::from_secs(20), "split: {split}");
        };
        if !split {
            let mut client = client;
            world.spawn(async move { check(client.send(big(1000)).await.unwrap_err()) });
            world.run();
            continue;
        }
        let (mut reader, writer) = client.split();
        world.spawn(async move {
            if receives {
                let error = reader.recv().await.unwrap_err();
                assert!(
                    matches!(error, Error::TimedOut(Deadline::Write)),
                    "{error:?}"
                );
            }
            std::mem::forget(reader);
        });
        world.spawn(async move { check(writer.send(big(1000)).await.unwrap_err()) });
        world.run();
    }
}

/// If the process was stopped for longer than the deadline, what the peer has taken meanwhile counts.
#[test]
fn law_6_a_writer_that_was_not_run_asks_before_the_deadline_is_judged() {
    for split in [false, true] {
        let world = World::default();
        let (mut client, server) = pair(&world, 10, config());
        let lane = client.get_ref().unwrap().outgoing.clone();
        let clock = world.clone();
        world.spawn(async move {
            clock.sleep(Duration::from_secs(1)).await;
            // Nothing runs here for a minute. The peer, which runs elsewhere, has read everything by then.
            clock.pass(Duration::from_secs(60));
            lane.borrow_mut().set_capacity(10_000);
            clock.sleep(Duration::from_secs(1)).await;
            drop(server);
        });
        world.block_on(async move {
            if split {
                let (_reader, writer) = client.split();
                writer.send(big(1000)).await.unwrap();
            } else {
                client.send(big(1000)).await.unwrap();
            }
        });
    }
}

#[test]
fn law_6_progress_keeps_a_slow_writer_alive() {
    let world = World::default();
    let (mut client, server) = pair(&world, 1000, config());
    let (clock, now) = (world.clone(), world.clone());
    let lane = server.get_ref().unwrap().incoming.clone();
    world.spawn_daemon(async move {
        loop {
            clock.sleep(Duration::from_secs(15)).await;
            lane.borrow_mut().drain();
        }
    });
    world.block_on(async move {
        client.send(big(10_000)).await.unwrap();
        assert!(now.now() > Duration::from_secs(100));
        drop(server);
    });
}

#[test]
fn law_7_a_streamed_message_holds_back_other_data_and_lets_control_pass() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (_reader, writer) = client.split();
    let other = writer.clone();
    let clock = world.clone();
    world.spawn(async move {
        let mut stream = writer.stream(Kind::Text).await.unwrap();
        stream.write("one ").await.unwrap();
        clock.sleep(Duration::from_secs(1)).await;
        stream.write("two").await.unwrap();
        assert!(matches!(
            stream.write(vec![1]).await,
            Err(Error::Send(SendError::KindChanged))
        ));
        stream.finish().await.unwrap();
    });
    world.spawn(async move {
        other.ping(ControlPayload::default()).await.unwrap();
        assert!(matches!(other.try_send("no"), Err(TrySendError::Full(_))));
        other.send("after").await.unwrap();
    });
    world.block_on(async move {
        assert_eq!(
            server.recv_event().await.unwrap(),
            Some(Event::Ping(ControlPayload::default()))
        );
        assert_eq!(server.recv().await.unwrap(), Some("one two".into()));
        assert_eq!(server.recv().await.unwrap(), Some("after".into()));
    });
}

#[test]
fn law_7_a_streamed_message_that_is_dropped_fails_the_connection_with_1011() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        let mut stream = client.stream(Kind::Binary).await.unwrap();
        stream.write(vec![1]).await.unwrap();
        drop(stream);
        // The message can no longer be finished.
        let closed = |error| matches!(error, Some(Error::Send(SendError::Closed)));
        assert!(closed(client.send("next").await.err()));
        assert!(closed(client.stream(Kind::Text).await.err()));
        assert!(client.recv().await.unwrap().is_none());
    });
    world.block_on(async move {
        let chunk = server.recv_chunk().await.unwrap().unwrap();
        assert_eq!(
            chunk,
            Chunk {
                data: vec![1].into(),
                fin: false
            }
        );
        assert!(server.recv_chunk().await.unwrap().is_none());
        assert_eq!(server.closed().unwrap().code, 1011);
    });
}

#[test]
fn law_8_a_protocol_error_is_reported_after_the_peer_was_told() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let mut server = socket(end, Role::Server, config());
    peer.outgoing.borrow_mut().push(&[0x81, 1, b'x']); // This frame is not masked.
    let (clock, now) = (world.clone(), world.clone());
    world.spawn(async move {
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(peer.incoming.borrow_mut().drain()[..4], [0x88, 35, 3, 234]);
        assert!(peer.incoming.borrow().closed, "our direction is shut down");
        peer.outgoing.borrow_mut().push(&[0; 3000]); // Junk is discarded.
        clock.sleep(Duration::from_secs(1)).await;
        assert_eq!(peer.outgoing.borrow().waiting(), 0);
        peer.outgoing.borrow_mut().close();
    });
    world.block_on(async move {
        let error = server.recv().await.unwrap_err();
        assert!(
            matches!(error, Error::Protocol(ProtocolError::Unmasked)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(2));
        assert!(matches!(server.recv().await, Ok(None)));
        assert_eq!(server.closed().unwrap().code, 1006);
    });
}

#[test]
fn law_8_a_pong_timeout_ends_the_transport_at_once() {
    let world = World::default();
    let (mut client, server) = pair(&world, 4096, config());
    let now = world.clone();
    world.block_on(async move {
        let error = client.recv().await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Pong)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(40));
        assert!(client.get_ref().is_none());
        assert!(matches!(client.recv().await, Ok(None)));
        drop(server);
    });
}

#[test]
fn keep_alive_and_latency_without_any_message() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn_daemon(async move {
        let _ = server.recv().await;
    });
    let clock = world.clone();
    world.block_on(async move {
        let mut recv = Box::pin(client.recv());
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(1000)));
        std::future::poll_fn(|cx| {
            assert!(recv.as_mut().poll(cx).is_pending());
            sleep.as_mut().poll(cx)
        })
        .await;
        drop(recv);
        assert_eq!(client.latency(), Some(Duration::ZERO));
        assert_eq!(client.state(), State::Open);
    });
}

/// The next Ping is sent after each Pong, before the driver has passed the time to the core.
#[test]
fn law_4_latency_is_measured_though_each_pong_is_followed_by_a_ping() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    let clock = world.clone();
    world.spawn_daemon(async move {
        while let Ok(Some(Event::Ping(_))) = server.recv_event().await {
            clock.sleep(Duration::from_secs(2)).await;
        }
    });
    world.block_on(async move {
        for i in 0..10 {
            let payload = ControlPayload::new(vec![i]).unwrap();
            client.ping(payload.clone()).await.unwrap();
            let event = client.recv_event().await.unwrap();
            assert_eq!(event, Some(Event::Pong(payload)));
        }
        assert_eq!(client.latency(), Some(Duration::from_secs(2)));
    });
}

#[test]
fn law_8_eof_and_write_errors_do_not_overtake_what_was_received() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing
        .borrow_mut()
        .push(&[0x81, 1, b'a', 0x81, 1, b'b', 0x88, 2, 3, 232]);
    peer.outgoing.borrow_mut().close();
    peer.incoming.borrow_mut().reset();
    world.block_on(async move {
        let _ = client.send("cannot leave").await;
        assert_eq!(client.recv().await.unwrap(), Some("a".into()));
        assert_eq!(client.recv().await.unwrap(), Some("b".into()));
        assert!(client.recv().await.unwrap().is_none());
        assert_eq!(client.closed().unwrap().code, 1000);
        drop(peer);
    });
}

#[test]
fn law_8_the_end_without_a_close_is_exactly_one_error() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing
        .borrow_mut()
        .push(&[0x81, 1, b'a', 0x81, 5, b'b']);
    peer.outgoing.borrow_mut().close();
    world.block_on(async move {
        assert_eq!(client.recv().await.unwrap(), Some("a".into()));
        match client.recv().await {
            Err(Error::Lost(error)) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof),
            other => panic!("{other:?}"),
        }
        assert!(matches!(client.recv().await, Ok(None)));
        drop(peer);
    });
}

#[test]
fn law_9_close_is_bounded_when_the_peer_does_not_answer() {
    let world = World::default();
    let (mut client, server) = pair(&world, 4096, config());
    let now = world.clone();
    world.block_on(async move {
        let error = client
            .close(goodbye(CloseCode::GOING_AWAY))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Close)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(5));
        assert!(client.get_ref().is_none());
        assert_eq!(client.closed().unwrap().code, 1006);
        drop(server);
    });
}

#[test]
fn law_9_close_is_bounded_when_the_peer_does_not_read() {
    let world = World::default();
    let (mut client, server) = pair(&world, 100, config());
    let now = world.clone();
    world.block_on(async move {
        client.feed(big(10_000)).await.unwrap();
        assert!(client.close(None).await.is_err());
        assert_eq!(now.now(), Duration::from_secs(5));
        drop(server);
    });
}

#[test]
fn law_9_finish_sends_a_close_and_goes_on_receiving() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        server.send("one").await.unwrap();
        server.send("two").await.unwrap();
        assert!(server.recv().await.unwrap().is_none());
    });
    world.block_on(async move {
        client.finish(goodbye(CloseCode::NORMAL)).await.unwrap();
        assert!(matches!(
            client.send("late").await,
            Err(Error::Send(SendError::Closed))
        ));
        assert_eq!(client.recv().await.unwrap(), Some("one".into()));
        assert_eq!(client.recv().await.unwrap(), Some("two".into()));
        assert!(client.recv().await.unwrap().is_none());
        assert!(client.closed().unwrap().clean);
    });
}

#[test]
fn law_9_a_write_half_closes_whether_or_not_somebody_receives() {
    for receives in [true, false] {
        let world = World::default();
        let (client, mut server) = pair(&world, 4096, config());
        let (mut reader, writer) = client.split();
        if receives {
            world.spawn(async move { assert!(reader.recv().await.unwrap().is_none()) });
        } else {
            drop(reader);
        }
        world.spawn(async move {
            assert!(server.recv().await.unwrap().is_none());
            assert!(server.closed().unwrap().clean);
        });
        world.block_on(async move { writer.close(goodbye(CloseCode::NORMAL)).await.unwrap() });
        assert_eq!(world.now(), Duration::ZERO);
    }
}

#[test]
fn law_9_a_write_half_keeps_the_close_deadline_itself() {
    let world = World::default();
    let (client, server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    let now = world.clone();
    world.block_on(async move {
        let error = writer.close(None).await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Close)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(5));
        assert!(matches!(
            reader.recv().await,
            Err(Error::TimedOut(Deadline::Close))
        ));
        assert!(matches!(reader.recv().await, Ok(None)));
        drop(server);
    });
}

#[test]
fn law_9_abort_ends_at_once() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    let clock = world.clone();
    world.spawn(async move {
        assert!(reader.recv().await.unwrap().is_none());
        let closed = reader.closed().unwrap();
        assert_eq!(
            (closed.code, closed.clean, closed.initiator),
            (1006, false, Initiator::Local)
        );
    });
    world.block_on(async move {
        clock.sleep(Duration::from_secs(1)).await;
        writer.abort();
        assert!(matches!(server.recv().await, Err(Error::Lost(_))));
    });
    assert_eq!(world.now(), Duration::from_secs(1));
}

#[test]
fn law_9_abort_ends_a_socket_that_is_not_split_at_once() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.block_on(async move {
        client.abort();
        assert_eq!(client.state(), State::Closed);
        assert!(client.get_ref().is_none(), "the transport is dropped");
        let closed = client.closed().unwrap();
        assert_eq!(
            (closed.code, closed.clean, closed.initiator),
            (1006, false, Initiator::Local)
        );
        assert!(client.recv().await.unwrap().is_none());
        assert!(matches!(server.recv().await, Err(Error::Lost(_))));
    });
}

#[test]
fn law_10_dropping_halves() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (reader, writer) = client.split();
    drop(reader);
    world.block_on(async move {
        writer.send("the write half goes on").await.unwrap();
        assert!(server.recv().await.unwrap().is_some());
        drop(writer);
        assert!(
            matches!(server.recv().await, Err(Error::Lost(_))),
            "both are gone: no Close"
        );
    });

    let (client, mut server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    drop(writer);
    world.spawn(async move {
        assert!(reader.recv().await.unwrap().is_some());
        assert!(reader.recv().await.unwrap().is_none());
    });
    world.block_on(async move {
        server.send("the read half goes on").await.unwrap();
        server.close(None).await.unwrap();
    });
}

#[test]
fn law_11_the_driver_yields_after_many_events() {
    let world = World::default();
    let (end, peer) = pipe(&world, 1 << 20);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing
        .borrow_mut()
        .push(&[0x81, 1, b'x'].repeat(1000));
    world.block_on(async move {
        let mut waits = 0;
        for _ in 0..1000 {
            let mut recv = Box::pin(client.recv());
            std::future::poll_fn(|cx| {
                let polled = recv.as_mut().poll(cx);
                waits += usize::from(polled.is_pending());
                polled.map(|message| assert!(message.unwrap().is_some()))
            })
            .await;
        }
        assert_eq!(waits, 1000 / 128);
        drop(peer);
    });
}

/// With a transport that takes everything, no call would ever wait.
#[test]
fn law_11_the_driver_yields_after_many_sends() {
    for split in [false, true] {
        let world = World::default();
        let (end, peer) = pipe(&world, 1 << 20);
        let mut client = socket(end, Role::Client, config());
        world.block_on(async move {
            let mut waits = 0;
            let mut count = |sent: Poll<Result<(), Error>>| {
                waits += usize::from(sent.is_pending());
                sent.map(Result::unwrap)
            };
            if split {
                let (_read, write) = client.split();
                for _ in 0..1000 {
                    let mut send = Box::pin(write.send("x"));
                    std::future::poll_fn(|cx| count(send.as_mut().poll(cx))).await;
                }
            } else {
                for _ in 0..1000 {
                    let mut send = Box::pin(client.send("x"));
                    std::future::poll_fn(|cx| count(send.as_mut().poll(cx))).await;
                }
            }
            assert!((1000 / 128..=2 * 1000 / 100).contains(&waits), "{waits}");
            drop(peer);
        });
    }
}

/// The same holds within one message, of which a client masks 64 KiB for each write.
#[test]
fn law_11_the_driver_yields_while_it_masks_a_large_message() {
    sends_a_large_message_in_turns(&Negotiated::default(), config());
}

/// The same holds for an end that compresses, which compresses that much for each write.
#[cfg(feature = "deflate")]
#[test]
fn law_11_the_driver_yields_while_it_compresses_a_large_message() {
    use bowline_bind::proto::deflate::{Agreed, Deflate};

    let options = Deflate::default();
    let (send, recv) = (options.send, options.recv);
    let mut negotiated = Negotiated::default();
    negotiated.deflate = Some(Agreed { send, recv });
    sends_a_large_message_in_turns(&negotiated, config());
}

/// A message that the application does not want is inflated in steps, and each step counts as an event.
#[cfg(feature = "deflate")]
#[test]
fn law_11_the_driver_yields_while_it_skips_a_compressed_message() {
    use bowline_bind::proto::deflate::{Agreed, Deflate};

    let options = Deflate::default();
    let (send, recv) = (options.send, options.recv);
    let mut negotiated = Negotiated::default();
    negotiated.deflate = Some(Agreed { send, recv });
    for closes in [false, true] {
        let world = World::default();
        let (near, far) = pipe(&world, 1 << 30);
        let mut settings = config();
        settings.max_send_size = 8 << 20;
        let new = |end, role| agreed(end, role, negotiated.clone(), settings.clone());
        let (mut client, mut server) = (new(near, Role::Client), new(far, Role::Server));
        world.spawn(async move {
            server.send(vec![0; 8 << 20]).await.unwrap();
            server.send("next").await.unwrap();
            assert!(server.recv().await.unwrap().is_none());
        });
        let timer = world.clone();
        world.block_on(async move {
            timer.sleep(Duration::from_secs(1)).await;
            let first = client.recv_chunk().await.unwrap().unwrap();
            assert!(!first.fin && first.data.len() <= 16 << 10);
            if closes {
                client.finish(None).await.unwrap();
            }
            let mut waits = 0;
            let mut recv = Box::pin(client.recv());
            std::future::poll_fn(|cx| {
                let polled = recv.as_mut().poll(cx);
                waits += usize::from(polled.is_pending());
                polled.map(|message| assert_eq!(message.unwrap(), Some("next".into())))
            })
            .await;
            // The message takes 511 steps of 16 KiB.
            assert!((3..=4).contains(&waits), "{waits}");
            drop(recv);
            client.close(None).await.unwrap();
        });
    }
}

fn sends_a_large_message_in_turns(negotiated: &Negotiated, mut config: Config) {
    config.max_message_size = 8 << 20;
    for call in ["send", "send of a half", "recv"] {
        let world = World::default();
        let (near, far) = pipe(&world, 1 << 30);
        let sent = near.outgoing.clone();
        let mut client = agreed(near, Role::Client, negotiated.clone(), config.clone());
        let mut server = agreed(far, Role::Server, negotiated.clone(), config.clone());
        world.spawn(async move {
            assert_eq!(server.recv().await.unwrap().unwrap().len(), 8 << 20);
            // A call that only sends does not wait for the message.
            let _ = server.send("all").await;
        });
        world.block_on(async move {
            let message = Message::from(vec![b'a'; 8 << 20]);
            let mut sending = Box::pin(async move {
                match call {
                    "send" => client.send(message).await.unwrap(),
                    "recv" => {
                        client.feed(message).await.unwrap();
                        assert!(client.recv().await.unwrap().is_some());
                    }
                    _ => client.split().1.send(message).await.unwrap(),
                }
            });
            let mut turns = 0;
            std::future::poll_fn(|cx| {
                let before = sent.borrow().writes.len();
                let polled = sending.as_mut().poll(cx);
                let writes = sent.borrow().writes.len() - before;
                assert!(writes <= 16, "{call}: {writes} writes in one turn");
                turns += 1;
                assert!(turns <= 64, "{call} makes no progress");
                polled
            })
            .await;
            assert!(turns >= 8, "{call}: {turns} turns");
        });
    }
}

/// A call that does not wait counts as one run of the task.
#[test]
fn law_11_what_one_call_wrote_keeps_no_other_from_writing() {
    for split in [false, true] {
        let world = World::default();
        let (end, peer) = pipe(&world, 1 << 30);
        let sent = peer.incoming.clone();
        let mut client = socket(end, Role::Client, config());
        let large = Message::from(vec![b'a'; 4 << 20]);
        client.try_send(large.clone()).unwrap();
        let first = sent.borrow().writes.len();
        assert!(first < 16, "{first} writes in one turn");
        // The message is refused, and the call writes the remainder meanwhile.
        let calls = |mut call: Box<dyn FnMut() -> Result<(), TrySendError>>| {
            (0..64).take_while(|_| call().is_err()).count()
        };
        let calls = if split {
            let (_read, write) = client.split();
            calls(Box::new(move || write.try_send("x")))
        } else {
            calls(Box::new(move || client.try_send("x")))
        };
        assert!((4..64).contains(&calls), "{calls} calls");
    }
    // Each Ping is answered by the call that returns it.
    let world = World::default();
    let (end, peer) = pipe(&world, 1 << 20);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing.borrow_mut().push(&[0x89, 0].repeat(20));
    world.block_on(async move {
        for answers in 1..=20 {
            let event = client.recv_event().await.unwrap();
            assert!(matches!(event, Some(Event::Ping(_))));
            assert_eq!(peer.incoming.borrow().writes.len(), answers);
        }
    });
}

#[test]
fn law_11_the_driver_yields_after_many_bytes() {
    let world = World::default();
    let (end, peer) = pipe(&world, 1 << 20);
    let mut client = socket(end, Role::Client, config());
    let len = 1usize << 20;
    let mut frame = vec![0x82, 127];
    frame.extend((len as u64).to_be_bytes());
    frame.resize(frame.len() + len, 0);
    peer.outgoing.borrow_mut().push(&frame);
    world.block_on(async move {
        let mut waits = 0;
        let mut recv = Box::pin(client.recv());
        std::future::poll_fn(|cx| {
            let polled = recv.as_mut().poll(cx);
            waits += usize::from(polled.is_pending());
            polled.map(|message| assert_eq!(message.unwrap().unwrap().len(), len))
        })
        .await;
        assert!((2..=16).contains(&waits), "{waits}");
        drop((recv, peer));
    });
}

#[test]
fn a_transport_that_cannot_write_vectored_gets_gathered_writes() {
    let world = World::default();
    let (mut end, peer) = pipe(&world, 1 << 20);
    end.vectored = false;
    let mut server = socket(end, Role::Server, config());
    world.block_on(async move {
        server.send("small").await.unwrap();
        assert_eq!(
            peer.incoming.borrow().writes,
            [7],
            "header and payload together"
        );
        server.send(big(10_000)).await.unwrap();
        let writes = peer.incoming.borrow().writes.clone();
        assert_eq!(writes.iter().sum::<usize>(), 7 + 10_004);
        assert!(writes[1] > 4000, "no write of a header alone: {writes:?}");
        drop(server);
    });
}
