//! Writers that receive, because they close, wait for output, or have no read half.

use std::{cell::Cell, rc::Rc, task::Poll, time::Duration};

use bowline_bind::{
    Error, TrySendError,
    proto::{
        Chunk, CloseCode, CloseFrame, Config, ControlPayload, Deadline, Event, Initiator, Kind,
        Message, Role, SendError, State,
    },
};
use testing::world::*;

type Reader = bowline_bind::ReadHalf<End>;
type Writer = bowline_bind::WriteHalf<End>;

const SECOND: Duration = Duration::from_secs(1);

fn normal() -> Option<CloseFrame> {
    Some(CloseCode::NORMAL.into())
}

/// Turns off the deadlines, so that none can stand in for a wake-up.
fn patient() -> Config {
    let mut config = config();
    (config.write_timeout, config.keep_alive) = (None, None);
    config
}

/// Returns both halves of a client. Its server runs in a task that sends `messages` and then receives until the end.
fn served(world: &World, messages: Vec<Message>) -> (Reader, Writer) {
    let (client, mut server) = pair(world, 64 << 10, patient());
    world.spawn(async move {
        for message in messages {
            if server.send(message).await.is_err() {
                break;
            }
        }
        while let Ok(Some(_)) = server.recv().await {}
        assert!(server.closed().unwrap().clean);
    });
    client.split()
}

fn texts(count: usize) -> Vec<Message> {
    (0..count).map(|number| number.to_string().into()).collect()
}

fn check_closed(writer: &Writer) {
    let closed = writer.closed().unwrap();
    assert!(closed.clean, "{closed}");
    assert_eq!((closed.code, closed.initiator), (1000, Initiator::Local));
    assert_eq!(writer.state(), State::Closed);
}

/// A reader that closes in the middle: `while let Some(m) = rx.recv().await? { if bad(&m) { tx.close(frame).await?; }
/// }`
#[test]
fn close_inside_the_loop_that_receives() {
    let world = World::default();
    let (mut reader, writer) = served(&world, texts(6));
    world.block_on(async move {
        let mut received = Vec::new();
        while let Some(message) = reader.recv().await.unwrap() {
            if received.is_empty() {
                writer.close(normal()).await.unwrap();
                check_closed(&writer);
            }
            received.push(message);
        }
        assert_eq!(received, texts(6), "few messages are kept");
        assert_eq!(reader.closed(), writer.closed());
    });
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn close_while_the_read_half_is_kept_and_idle() {
    for reads_later in [true, false] {
        let world = World::default();
        let (mut reader, writer) = served(&world, texts(5));
        let now = world.clone();
        world.block_on(async move {
            writer.close(normal()).await.unwrap();
            check_closed(&writer);
            assert_eq!(now.now(), Duration::ZERO);
            if reads_later {
                for message in texts(5) {
                    assert_eq!(reader.recv().await.unwrap(), Some(message));
                }
                assert_eq!(reader.recv().await.unwrap(), None);
            }
        });
    }
}

/// The reader was in `recv` when the close began, takes one message, and does not call again.
#[test]
fn close_when_the_reader_takes_one_message_and_leaves() {
    let world = World::default();
    let (end, peer) = pipe(&world, 1000);
    let (mut reader, writer) = socket(end, Role::Client, patient()).split();
    world.spawn_daemon(async move {
        assert_eq!(reader.recv().await.unwrap(), Some("late".into()));
        std::future::pending::<()>().await;
        drop(reader);
    });
    let clock = world.clone();
    world.spawn_daemon(async move {
        clock.sleep(SECOND).await;
        peer.outgoing
            .borrow_mut()
            .push(&[0x81, 4, b'l', b'a', b't', b'e']);
        clock.sleep(SECOND).await;
        peer.outgoing.borrow_mut().push(&[0x88, 2, 3, 0xE8]);
        peer.outgoing.borrow_mut().close();
        clock.sleep(SECOND).await;
        drop(peer);
    });
    let now = world.clone();
    world.block_on(async move {
        writer.close(normal()).await.unwrap();
        check_closed(&writer);
        assert_eq!(now.now(), 2 * SECOND);
    });
}

/// The reader gets the first messages of the peer without a gap, and then the end.
#[test]
fn a_closer_keeps_64_kib_or_128_events_and_discards_the_rest() {
    for (size, kept) in [(1, 128), (1000, 66), (40_000, 2), (200_000, 1)] {
        let world = World::default();
        let message = move |number: u8| Message::from(vec![number; size]);
        let (mut reader, writer) = served(&world, (0..200).map(message).collect());
        world.block_on(async move {
            writer.close(normal()).await.unwrap();
            check_closed(&writer);
            for number in 0..kept {
                let received = reader.recv().await.unwrap();
                assert!(received == Some(message(number)), "{number} of {size}");
            }
            assert_eq!(reader.recv().await.unwrap(), None);
            assert_eq!(reader.recv().await.unwrap(), None);
        });
        assert_eq!(world.now(), Duration::ZERO);
    }
}

#[test]
fn finish_and_then_receiving_loses_nothing() {
    let world = World::default();
    let (mut reader, writer) = served(&world, (0..200).map(|i| vec![i; 1000].into()).collect());
    world.block_on(async move {
        writer.finish(normal()).await.unwrap();
        for number in 0..200 {
            assert!(reader.recv().await.unwrap() == Some(vec![number; 1000].into()));
        }
        assert_eq!(reader.recv().await.unwrap(), None);
        check_closed(&writer);
    });
}

/// Messages that a closing call has kept belong to the method that the application calls next.
#[test]
fn kept_chunks_belong_to_the_method_that_sees_them_first() {
    let piece = move |data: &'static str, fin| {
        let mut frame = vec![if fin { 0x80 } else { 0 }, data.len() as u8];
        frame.extend_from_slice(data.as_bytes());
        frame
    };
    let begin = move |data: &'static str| {
        let mut frame = piece(data, false);
        frame[0] = 1;
        frame
    };
    let chunk = |data: &'static str, fin| {
        Some(Chunk {
            data: Message::from(data),
            fin,
        })
    };
    for whole in [true, false] {
        let world = World::default();
        let (end, peer) = pipe(&world, 1000);
        let (mut reader, writer) = socket(end, Role::Client, patient()).split();
        let lane = peer.outgoing.clone();
        lane.borrow_mut().push(&begin("first,"));
        world.block_on(async move {
            assert_eq!(reader.recv_chunk().await.unwrap(), chunk("first,", false));
            let mut close = Box::pin(writer.close(None));
            for frames in [
                piece(" seen", true),
                begin("sec"),
                vec![0x89, 0],
                piece("ond", true),
                begin("th"),
                piece("i", false),
            ] {
                lane.borrow_mut().push(&frames);
                assert!(poll_once(&mut close).await.is_pending());
            }
            drop(close);
            lane.borrow_mut().push(&piece("rd", true));
            if whole {
                // The remainder of the message that was seen in chunks is skipped.
                assert_eq!(reader.recv().await.unwrap(), Some("second".into()));
                assert_eq!(reader.recv().await.unwrap(), Some("third".into()));
            } else {
                for (data, fin) in [
                    (" seen", true),
                    ("sec", false),
                    ("ond", true),
                    ("th", false),
                    ("i", false),
                    ("rd", true),
                ] {
                    assert_eq!(reader.recv_chunk().await.unwrap(), chunk(data, fin));
                }
            }
            drop(peer);
        });
    }
}

/// If a send waits after a message was received in chunks, it keeps the first chunk of the next message. `recv` still
/// returns that message whole.
#[test]
fn a_chunk_that_a_send_keeps_is_no_beginning_for_recv() {
    for split in [true, false] {
        let world = World::default();
        let (end, peer) = pipe(&world, 0);
        let mut client = socket(end, Role::Client, patient());
        let lane = peer.outgoing.clone();
        lane.borrow_mut().push(&[0x81, 1, b'1', 0x01, 1, b'2']);
        world.block_on(async move {
            assert!(client.recv_chunk().await.unwrap().unwrap().fin);
            if split {
                let (mut reader, writer) = client.split();
                let send = Box::pin(writer.send("blocked"));
                assert!(poll_once(send).await.is_pending());
                lane.borrow_mut().push(&[0x80, 1, b'3']);
                assert_eq!(reader.recv().await.unwrap(), Some("23".into()));
            } else {
                let send = Box::pin(client.send("blocked"));
                assert!(poll_once(send).await.is_pending());
                lane.borrow_mut().push(&[0x80, 1, b'3']);
                assert_eq!(client.recv().await.unwrap(), Some("23".into()));
            }
            drop(peer);
        });
    }
}

#[test]
fn two_split_ends_in_one_task_each_that_send_before_they_receive() {
    let world = World::default();
    let (client, server) = pair(&world, 4096, config());
    for socket in [client, server] {
        let (mut reader, writer) = socket.split();
        world.spawn(async move {
            // A dropped `recv` leaves its waker behind.
            let recv = Box::pin(reader.recv());
            assert!(poll_once(recv).await.is_pending());
            for _ in 0..3 {
                writer.send(vec![7; 1 << 20]).await.unwrap();
                assert!(reader.recv().await.unwrap() == Some(vec![7; 1 << 20].into()));
            }
        });
    }
    world.run();
    assert_eq!(world.now(), Duration::ZERO);
}

/// A peer that pings every 300 ms, and closes if no Pong arrives within a second.
async fn pings(world: World, mut server: Socket, until: Duration) -> usize {
    let mut pongs = 0;
    while world.now() < until {
        server.ping(ControlPayload::default()).await.unwrap();
        let next = world.now() + 3 * SECOND / 10;
        while world.now() < next {
            match poll_once(Box::pin(server.recv_event())).await {
                Poll::Ready(Ok(Some(Event::Pong(_)))) => pongs += 1,
                Poll::Ready(event) => assert!(matches!(event, Ok(Some(_))), "{event:?}"),
                Poll::Pending => world.sleep(SECOND / 20).await,
            }
        }
    }
    server
        .finish(Some(CloseFrame::from(CloseCode::GOING_AWAY)))
        .await
        .unwrap();
    pongs
}

#[test]
fn a_writer_without_a_read_half_answers_and_learns_of_the_end() {
    let world = World::default();
    let (client, server) = pair(&world, 64 << 10, config());
    let (reader, writer) = client.split();
    drop(reader);
    let pongs = Rc::new(Cell::new(0));
    let (count, peer) = (pongs.clone(), world.clone());
    world.spawn(async move { count.set(pings(peer, server, 3 * SECOND).await) });
    let clock = world.clone();
    world.block_on(async move {
        while clock.now() < 3 * SECOND {
            writer.send("news").await.unwrap();
            clock.sleep(SECOND / 20).await;
        }
        clock.sleep(SECOND).await;
        // The Close has arrived, so this call fails, and so does the next.
        for _ in 0..2 {
            let error = writer.send("late").await.unwrap_err();
            assert!(matches!(error, Error::Send(SendError::Closed)), "{error:?}");
        }
        let closed = writer.closed().unwrap();
        assert_eq!((closed.code, closed.initiator), (1001, Initiator::Peer));
        assert_ne!(writer.state(), State::Open);
    });
    assert!(pongs.get() >= 9, "{} Pongs", pongs.get());
}

/// Each call first reads what has arrived, even if it need not wait.
#[test]
fn every_call_of_a_writer_without_a_read_half_looks_first() {
    for call in 0..8 {
        let world = World::default();
        let (end, peer) = pipe(&world, 1 << 20);
        let (reader, writer) = socket(end, Role::Client, config()).split();
        drop(reader);
        peer.outgoing
            .borrow_mut()
            .push(&[0x82, 1, 0, 0x89, 1, b'p']);
        world.block_on(async move {
            match call {
                0 => writer.send("x").await.unwrap(),
                1 => writer.feed("x").await.unwrap(),
                2 => writer.try_send("x").unwrap(),
                3 => writer.flush().await.unwrap(),
                4 => writer.ping(ControlPayload::default()).await.unwrap(),
                5 => writer.pong(ControlPayload::default()).await.unwrap(),
                6 => drop(writer.stream(Kind::Text).await.unwrap()),
                _ => writer.finish(None).await.unwrap(),
            }
            let sent = peer.incoming.borrow_mut().drain();
            let pong = [0x8A, 0x81];
            assert!(
                sent.windows(2).any(|it| it == pong),
                "call {call}: {sent:?}"
            );
            peer.outgoing.borrow_mut().push(&[0x88, 0]);
            let refused = match writer.try_send("late") {
                Err(TrySendError::Failed(error)) => error,
                other => panic!("{other:?}"),
            };
            assert!(matches!(refused, Error::Send(SendError::Closed)));
            assert_eq!(writer.closed().unwrap().code, 1005);
            drop(peer);
        });
    }
}

/// A peer that sends without end does not hold up a call.
#[test]
fn a_writer_without_a_read_half_takes_no_more_than_its_share() {
    let world = World::default();
    let (end, peer) = pipe(&world, 1 << 20);
    let (reader, writer) = socket(end, Role::Client, config()).split();
    drop(reader);
    let flood = [0x82, 1, 0].repeat(100_000);
    peer.outgoing.borrow_mut().push(&flood);
    world.block_on(async move {
        let send = Box::pin(writer.send("x"));
        assert!(poll_once(send).await.is_ready());
        let remaining = peer.outgoing.borrow().waiting();
        assert!(remaining > 0, "not all was taken in one call");
        drop(peer);
    });
}

#[test]
fn a_drained_read_half_answers_and_keeps_time() {
    let world = World::default();
    let (client, server) = pair(&world, 64 << 10, config());
    let (reader, writer) = client.split();
    let pongs = Rc::new(Cell::new(0));
    let (count, peer) = (pongs.clone(), world.clone());
    world.spawn(async move { count.set(pings(peer, server, 3 * SECOND).await) });
    world.spawn(async move { reader.drain().await.unwrap() });
    let clock = world.clone();
    world.block_on(async move {
        writer.send("once").await.unwrap();
        clock.sleep(4 * SECOND).await;
        assert_eq!(writer.closed().unwrap().code, 1001);
    });
    assert!(pongs.get() >= 9, "{} Pongs", pongs.get());

    // A silent peer is noticed.
    let world = World::default();
    let (end, peer) = pipe(&world, 1 << 20);
    let (reader, writer) = socket(end, Role::Client, config()).split();
    world.block_on(async move {
        let error = reader.drain().await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Pong)),
            "{error:?}"
        );
        let error = writer.send("late").await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Pong)),
            "{error:?}"
        );
        drop(peer);
    });
    assert_eq!(world.now(), 40 * SECOND);
}
