//! The driver when several things happen at once.

use std::{cell::Cell, io, rc::Rc, time::Duration};

use bowline_bind::{
    Error,
    proto::{
        Chunk, CloseCode, CloseFrame, ControlPayload, Deadline, Event, Initiator, Kind, Message,
        ProtocolError, Role, State,
    },
};
use testing::{frames, world::*};

/// A frame from a server.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frames::encode(first, payload, None)
}

/// A client over a pipe that takes no output. The test holds the other end.
fn blocked(world: &World) -> (Socket, End) {
    let (end, peer) = pipe(world, 0);
    (socket(end, Role::Client, config()), peer)
}

#[test]
fn an_event_that_came_while_send_waited_is_the_next_that_is_received() {
    let world = World::default();
    let (mut client, peer) = blocked(&world);
    peer.outgoing
        .borrow_mut()
        .push(&[frame(0x81, b"one"), frame(0x89, b"p"), frame(0x81, b"two")].concat());
    world.block_on(async move {
        let send = Box::pin(client.send("blocked"));
        assert!(poll_once(send).await.is_pending());
        assert_eq!(peer.outgoing.borrow().waiting(), 0, "send has read");
        assert_eq!(client.recv().await.unwrap(), Some("one".into()));
        let p = ControlPayload::new(&b"p"[..]).unwrap();
        assert_eq!(client.recv_event().await.unwrap(), Some(Event::Ping(p)));
        assert_eq!(client.recv().await.unwrap(), Some("two".into()));
        drop(peer);
    });
}

#[test]
fn a_kept_chunk_belongs_to_recv_chunk() {
    for whole in [false, true] {
        let world = World::default();
        let (mut client, peer) = blocked(&world);
        peer.outgoing.borrow_mut().push(&frame(0x01, b"be"));
        world.block_on(async move {
            assert_eq!(
                client.recv_chunk().await.unwrap(),
                Some(Chunk {
                    data: "be".into(),
                    fin: false
                })
            );
            let more = if whole {
                frame(0x80, b"gun")
            } else {
                frame(0x00, b"gun")
            };
            peer.outgoing.borrow_mut().push(&more);
            let send = Box::pin(client.send("blocked"));
            assert!(poll_once(send).await.is_pending());
            if !whole {
                peer.outgoing.borrow_mut().push(&frame(0x80, b"!"));
            }
            peer.outgoing.borrow_mut().push(&frame(0x81, b"next"));
            assert_eq!(
                client.recv().await.unwrap(),
                Some("next".into()),
                "the remainder is skipped"
            );
            drop(peer);
        });
    }
}

#[test]
fn a_kept_message_is_one_chunk_for_recv_chunk() {
    let world = World::default();
    let (mut client, peer) = blocked(&world);
    peer.outgoing
        .borrow_mut()
        .push(&[frame(0x82, b"all"), frame(0x82, b"more")].concat());
    world.block_on(async move {
        let send = Box::pin(client.send("blocked"));
        assert!(poll_once(send).await.is_pending());
        for data in [&b"all"[..], b"more"] {
            let chunk = Chunk {
                data: Message::from(data.to_vec()),
                fin: true,
            };
            assert_eq!(client.recv_chunk().await.unwrap(), Some(chunk));
        }
        drop(peer);
    });
}

#[test]
fn no_pong_deadline_is_judged_while_an_event_is_kept() {
    let world = World::default();
    let mut patient = config();
    patient.write_timeout = None;
    let (end, peer) = pipe(&world, 100);
    let mut client = socket(end, Role::Client, patient);
    let (clock, now) = (world.clone(), world.clone());
    world.block_on(async move {
        let mut send = Box::pin(client.send(vec![0; 1000]));
        assert!(poll_once(&mut send).await.is_pending());
        peer.outgoing.borrow_mut().push(&frame(0x81, b"unread"));
        let mut sleep = Box::pin(clock.sleep(Duration::from_secs(1000)));
        std::future::poll_fn(|cx| {
            assert!(send.as_mut().poll(cx).is_pending());
            sleep.as_mut().poll(cx)
        })
        .await;
        assert_eq!(now.now(), Duration::from_secs(1000));
        drop(send);
        assert_eq!(client.recv().await.unwrap(), Some("unread".into()));
        assert_eq!(client.state(), State::Open);
        drop(peer);
    });
}

#[test]
fn a_protocol_error_while_send_waits_fails_the_send_and_is_told_by_recv() {
    let world = World::default();
    let (mut client, peer) = blocked(&world);
    peer.outgoing.borrow_mut().push(&[0x83]);
    let clock = world.clone();
    let lane = peer.incoming.clone();
    world.spawn(async move {
        clock.sleep(Duration::from_secs(1)).await;
        lane.borrow_mut().set_capacity(100_000);
        clock.sleep(Duration::from_secs(1)).await;
        drop(peer);
    });
    world.block_on(async move {
        let error = client.send(vec![0; 200_000]).await.unwrap_err();
        assert!(
            matches!(error, Error::Protocol(ProtocolError::Opcode(3))),
            "{error:?}"
        );
        let error = client.recv().await.unwrap_err();
        assert!(
            matches!(error, Error::Protocol(ProtocolError::Opcode(3))),
            "{error:?}"
        );
        assert!(matches!(client.recv().await, Ok(None)));
    });
}

#[test]
fn without_reply_to_close_the_application_finishes_what_it_sends() {
    let world = World::default();
    let mut slow = config();
    slow.reply_to_close = false;
    let (mut client, mut server) = pair(&world, 4096, slow);
    world.spawn(async move {
        let close = Event::Close(Some(CloseCode::NORMAL.into()));
        assert_eq!(server.recv_event().await.unwrap(), Some(close));
        server.send("one more").await.unwrap();
        server
            .close(Some(CloseCode::GOING_AWAY.into()))
            .await
            .unwrap();
        let closed = server.closed().unwrap();
        assert_eq!(
            (closed.code, closed.initiator, closed.clean),
            (1000, Initiator::Peer, true)
        );
    });
    world.block_on(async move {
        client
            .finish(Some(CloseFrame::from(CloseCode::NORMAL)))
            .await
            .unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("one more".into()));
        let close = Event::Close(Some(CloseCode::GOING_AWAY.into()));
        assert_eq!(client.recv_event().await.unwrap(), Some(close));
        assert!(client.recv().await.unwrap().is_none());
    });
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn both_ends_close_at_once() {
    let world = World::default();
    let (client, server) = pair(&world, 4096, config());
    for mut socket in [client, server] {
        world.spawn(async move {
            socket.close(Some(CloseCode::NORMAL.into())).await.unwrap();
            let closed = socket.closed().unwrap();
            assert_eq!(
                (closed.code, closed.initiator, closed.clean),
                (1000, Initiator::Local, true)
            );
        });
    }
    world.run();
    assert_eq!(world.now(), Duration::ZERO);
}

/// CL-038: the close deadline is absolute, whatever the peer sends.
#[test]
fn a_peer_that_streams_for_ever_does_not_hold_off_the_close_deadline() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    let clock = world.clone();
    world.spawn_daemon(async move {
        loop {
            let _ = server.try_send(vec![1; 1000]);
            clock.sleep(Duration::from_millis(10)).await;
        }
    });
    let now = world.clone();
    world.block_on(async move {
        let error = client.close(None).await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Close)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(5));
    });
}

/// The peer waits for the end, and sees it only when the transport is dropped.
#[test]
fn a_transport_that_does_not_half_close_is_dropped_after_both_closes() {
    for (split, receives) in [(false, true), (true, true), (true, false)] {
        let world = World::default();
        let (mut a, mut b) = pipe(&world, 4096);
        (a.half_closes, b.half_closes) = (false, false);
        let mut client = socket(a, Role::Client, config());
        let mut server = socket(b, Role::Server, config());
        world.spawn(async move {
            server.send("to be read before the end").await.unwrap();
            if split {
                let (mut read, write) = server.split();
                if !receives {
                    drop(read);
                    return write.close(None).await.unwrap();
                }
                write.finish(None).await.unwrap();
                assert_eq!(read.recv().await.unwrap(), None);
                assert!(read.closed().unwrap().clean);
            } else {
                server.close(None).await.unwrap();
                assert!(server.closed().unwrap().clean);
            }
        });
        world.block_on(async move {
            assert!(client.recv().await.unwrap().is_some());
            assert_eq!(client.recv().await.unwrap(), None);
            let closed = client.closed().unwrap();
            assert_eq!(closed.code, 1005, "the Close has come");
            assert!(closed.clean || !receives);
        });
        assert_eq!(world.now(), Duration::ZERO);
    }
}

#[test]
fn a_transport_that_does_not_half_close_is_drained_after_a_failure() {
    let world = World::default();
    let (mut end, peer) = pipe(&world, 4096);
    end.half_closes = false;
    let mut server = socket(end, Role::Server, config());
    // RFC 6455 §5.1: the frame of this client is not masked.
    peer.outgoing.borrow_mut().push(&frame(0x82, b"plain"));
    let wire = world.clone();
    world.spawn(async move {
        wire.sleep(Duration::from_secs(1)).await;
        let sent = peer.incoming.borrow_mut().drain();
        assert_eq!(sent[..4], [0x88, sent[1], 3, 234]);
        wire.sleep(Duration::from_secs(1)).await;
        assert!(!peer.outgoing.borrow().reset);
        peer.outgoing.borrow_mut().close();
    });
    world.block_on(async move {
        let error = server.recv().await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{error:?}");
    });
    assert_eq!(world.now(), Duration::from_secs(2));
}

#[test]
fn a_transport_that_half_closes_is_read_until_the_peer_ends_it() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let mut server = socket(end, Role::Server, config());
    let wire = world.clone();
    world.spawn(async move {
        peer.outgoing.borrow_mut().push(b"\x88\x80\0\0\0\0");
        wire.sleep(Duration::from_secs(1)).await;
        let sent = peer.incoming.borrow_mut().drain();
        assert_eq!(sent, [0x88, 0]);
        assert!(peer.incoming.borrow().closed && !peer.outgoing.borrow().reset);
        peer.outgoing.borrow_mut().close();
    });
    world.block_on(async move {
        assert_eq!(server.recv().await.unwrap(), None);
        assert!(server.closed().unwrap().clean);
    });
    assert_eq!(world.now(), Duration::from_secs(1));
}

/// CL-043: a reset after the closing handshake does not turn success into an error. §7.1.1: a server ends the
/// transport, and reads only for as long as is needed so that no reset destroys that end.
#[test]
fn a_server_does_not_wait_for_a_client_that_leaves_the_transport_open() {
    let close = frame(0x88, &[]);
    for (input, timeout, waits) in [
        (vec![], Some(5000), 1000),
        (vec![], Some(300), 300),
        (vec![], None, 1000),
        (vec![0; 65_535], Some(5000), 1000),
        (vec![0; 300_000], Some(5000), 0),
    ] {
        for split in [false, true] {
            let world = World::default();
            let (end, peer) = pipe(&world, 1 << 20);
            let mut patient = config();
            patient.close_timeout = timeout.map(Duration::from_millis);
            let mut server = socket(end, Role::Server, patient);
            let mut masked = close.clone();
            masked[1] |= 0x80;
            masked.extend([0; 4]);
            peer.outgoing.borrow_mut().push(&masked);
            peer.outgoing.borrow_mut().push(&input);
            world.block_on(async move {
                if split {
                    let (_reader, writer) = server.split();
                    writer.close(None).await.unwrap();
                    assert!(writer.closed().unwrap().clean);
                } else {
                    assert_eq!(server.recv().await.unwrap(), None);
                    assert!(server.closed().unwrap().clean);
                }
                assert!(peer.incoming.borrow().shut_down, "ended in order");
                drop(peer);
            });
            assert_eq!(world.now(), Duration::from_millis(waits), "{}", input.len());
        }
    }
}

/// A transport that still works is ended in order, so that TLS announces the end (RFC 8446 §6.1).
#[test]
fn a_transport_that_works_is_shut_down_before_it_is_dropped() {
    for end in ["close_timeout", "abort", "abort of a half", "pong_timeout"] {
        let world = World::default();
        let (near, peer) = pipe(&world, 1 << 20);
        let mut client = socket(near, Role::Client, config());
        world.block_on(async move {
            match end {
                "close_timeout" => {
                    // The server answers, and does not end the transport.
                    peer.outgoing.borrow_mut().push(&frame(0x88, &[]));
                    client.close(None).await.unwrap();
                }
                "abort" => client.abort(),
                "abort of a half" => client.split().1.abort(),
                _ => assert!(client.recv().await.is_err()),
            }
            let lane = peer.incoming.borrow();
            assert!(lane.closed, "{end}: it was dropped");
            assert_eq!(lane.shut_down, end != "pong_timeout", "{end}");
        });
    }
}

#[test]
fn a_reset_behind_both_closes_is_a_clean_end() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let mut client = socket(end, Role::Client, config());
    peer.outgoing.borrow_mut().push(&frame(0x88, &[3, 232]));
    peer.outgoing.borrow_mut().reset();
    world.block_on(async move {
        assert!(client.recv().await.unwrap().is_none());
        assert!(client.closed().unwrap().clean);
        drop(peer);
    });
}

#[test]
fn the_error_of_the_transport_is_kept() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let client = socket(end, Role::Client, config());
    peer.outgoing.borrow_mut().reset();
    let (mut reader, writer) = client.split();
    world.block_on(async move {
        match reader.recv().await {
            Err(Error::Lost(error)) => {
                assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
                assert!(error.get_ref().is_none(), "it is the transport's own");
            }
            other => panic!("{other:?}"),
        }
        assert!(matches!(reader.recv().await, Ok(None)));
        assert_eq!(writer.closed(), reader.closed());
        match writer.send("late").await {
            Err(Error::Lost(error)) => assert_eq!(error.kind(), io::ErrorKind::ConnectionReset),
            other => panic!("{other:?}"),
        }
        assert_eq!(writer.state(), State::Closed);
        drop(peer);
    });
}

#[test]
fn a_reader_is_told_when_a_writer_finds_the_transport_broken() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let client = socket(end, Role::Client, config());
    let (mut reader, writer) = client.split();
    let done = Rc::new(Cell::new(false));
    let learned = done.clone();
    world.spawn(async move {
        assert!(matches!(reader.recv().await, Err(Error::Lost(_))));
        assert!(matches!(reader.recv().await, Ok(None)));
        learned.set(true);
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(Duration::from_secs(1)).await;
        peer.incoming.borrow_mut().reset();
        assert!(writer.send("nowhere").await.is_err());
        clock.sleep(Duration::from_millis(1)).await;
        assert!(done.get());
        drop(peer);
    });
}

/// A frame a little larger than the loan once filled it, and an empty read then looked like the end.
#[test]
fn messages_of_every_size_around_the_loan() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, usize::MAX, config());
    let sizes = || {
        (131_060..131_090)
            .chain((131_100..134_000).step_by(97))
            .chain(16_370..16_400)
    };
    world.spawn(async move {
        while let Some(message) = server.recv().await.unwrap() {
            server.send(message).await.unwrap();
        }
    });
    world.block_on(async move {
        for size in sizes() {
            let message = Message::from(vec![size as u8; size]);
            client.send(message.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(message), "{size}");
        }
        client.close(None).await.unwrap();
    });
}

#[test]
fn a_streamed_message_without_end_costs_one_read() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        let mut stream = client.stream(Kind::Binary).await.unwrap();
        for _ in 0..64 {
            stream.write(vec![9; 100_000]).await.unwrap();
        }
        stream.finish().await.unwrap();
        client.close(None).await.unwrap();
    });
    world.block_on(async move {
        let mut total = 0;
        while let Some(chunk) = server.recv_chunk().await.unwrap() {
            assert!(chunk.data.len() <= 128 << 10);
            total += chunk.data.len();
        }
        assert_eq!(total, 6_400_000, "more than max_message_size");
    });
}

/// A task is not woken for a `recv` that it dropped, but is for the next one.
#[test]
fn the_last_task_that_receives_is_the_one_that_is_woken() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let place = Rc::new(Cell::new(Some(client)));
    let first = place.clone();
    world.spawn(async move {
        let mut socket = first.take().unwrap();
        assert!(poll_once(Box::pin(socket.recv())).await.is_pending());
        first.set(Some(socket));
    });
    let clock = world.clone();
    world.spawn(async move {
        clock.sleep(Duration::from_secs(1)).await;
        let mut socket = place.take().unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some("hello".into()));
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(Duration::from_secs(2)).await;
        server.send("hello").await.unwrap();
    });
}
