//! One thread closes, or sends without a read half, while another one does or does not receive.

use std::{sync::Arc, time::Duration};

use bowline_blocking::{
    BlockingTransport, CloseCode, CloseFrame, Config, ControlPayload, Error, Event, Initiator, Io,
    Message, ReadHalf, Role, SendError, WriteHalf,
};
use testing::threads::{End, World, config, pair, socket};

const SECOND: Duration = Duration::from_secs(1);
/// How late a call may be, because it looks at what others do only between slices of waiting.
const LATE: Duration = Duration::from_millis(50);

fn normal() -> Option<CloseFrame> {
    Some(CloseCode::NORMAL.into())
}

fn patient() -> Config {
    let mut config = config();
    (config.keep_alive, config.write_timeout) = (None, None);
    config
}

fn texts(count: usize) -> Vec<Message> {
    (0..count).map(|it| it.to_string().into()).collect()
}

/// Returns both halves of a client. A server in another thread sends `messages` and then receives until
/// the end.
fn served(world: &World, messages: Vec<Message>) -> (ReadHalf<Io<End>>, WriteHalf<Io<End>>) {
    let (client, mut server) = pair(world, 64 << 10, patient());
    world.spawn(move || {
        for message in messages {
            if server.send(message).is_err() {
                break;
            }
        }
        while let Ok(Some(_)) = server.recv() {}
    });
    client.split()
}

fn check_closed(writer: &WriteHalf<Io<End>>) {
    let closed = writer.closed().unwrap();
    assert!(closed.clean, "{closed}");
    assert_eq!((closed.code, closed.initiator), (1000, Initiator::Local));
}

#[test]
fn close_inside_the_loop_that_receives() {
    let world = World::default();
    let began = world.now();
    let (mut reader, writer) = served(&world, texts(5));
    let mut received = Vec::new();
    while let Some(message) = reader.recv().unwrap() {
        if received.is_empty() {
            writer.close(normal()).unwrap();
            check_closed(&writer);
        }
        received.push(message);
    }
    assert_eq!(received, texts(received.len()));
    assert!(world.now() - began < LATE);
}

#[test]
fn close_while_the_reader_is_blocked_or_asleep() {
    for asleep in [false, true] {
        let world = World::default();
        let began = world.now();
        let (mut reader, writer) = served(&world, Vec::new());
        let inside = world.clone();
        let reading = world.spawn(move || {
            if asleep {
                inside.sleep(60 * SECOND);
            }
            assert_eq!(reader.recv().unwrap(), None);
        });
        world.sleep(SECOND);
        writer.close(normal()).unwrap();
        check_closed(&writer);
        assert!(world.now() - began < SECOND + LATE, "asleep: {asleep}");
        reading.join();
    }
}

/// The reader is blocked in `recv` when the close begins. It takes one late message and does not call
/// again.
#[test]
fn close_when_the_reader_takes_one_message_and_leaves() {
    let world = World::default();
    let (a, b) = world.pipe(1000);
    let (mut reader, writer) = socket(a, Role::Client, &Arc::new(patient())).split();
    let inside = world.clone();
    let reading = world.spawn(move || {
        assert_eq!(reader.recv().unwrap(), Some("x".into()));
        inside.sleep(60 * SECOND);
        assert_eq!(reader.recv().unwrap(), None);
    });
    let inside = world.clone();
    world.spawn(move || {
        inside.sleep(2 * SECOND);
        b.write(&[0x81, 1, b'x']).unwrap();
        inside.sleep(SECOND);
        b.write(&[0x88, 2, 3, 0xE8]).unwrap();
        drop(b);
    });
    let began = world.now();
    world.sleep(SECOND);
    writer.close(normal()).unwrap();
    check_closed(&writer);
    let took = world.now() - began;
    assert!((3 * SECOND..3 * SECOND + LATE).contains(&took), "{took:?}");
    reading.join();
}

#[test]
fn two_split_ends_in_one_thread_each_that_send_before_they_receive() {
    let world = World::default();
    let began = world.now();
    let (client, server) = pair(&world, 4096, config());
    let ends = [client, server].map(|socket| {
        let (mut reader, writer) = socket.split();
        world.spawn(move || {
            for _ in 0..3 {
                writer.send(vec![7; 1 << 18]).unwrap();
                assert!(reader.recv().unwrap() == Some(vec![7; 1 << 18].into()));
            }
        })
    });
    ends.into_iter().for_each(|end| end.join());
    assert!(world.now() - began < 10 * SECOND);
}

#[test]
fn a_writer_without_a_read_half_answers_and_learns_of_the_end() {
    for drains in [false, true] {
        let world = World::default();
        let (client, mut server) = pair(&world, 64 << 10, patient());
        let (reader, writer) = client.split();
        if drains {
            world.spawn(move || reader.drain().unwrap());
        } else {
            drop(reader);
        }
        let inside = world.clone();
        let serving = world.spawn(move || {
            let mut pongs = 0;
            for _ in 0..10 {
                server.ping(ControlPayload::default()).unwrap();
                inside.sleep(3 * SECOND / 10);
                while let Some(event) = server.recv_event().unwrap() {
                    if matches!(event, Event::Pong(_)) {
                        pongs += 1;
                        break;
                    }
                }
            }
            let going = CloseFrame::from(CloseCode::GOING_AWAY);
            server.close(going).unwrap();
            pongs
        });
        let began = world.now();
        let error = loop {
            match writer.send("news") {
                Ok(()) => world.sleep(SECOND / 20),
                Err(error) => break error,
            }
            assert!(world.now() - began < 5 * SECOND);
        };
        assert!(matches!(error, Error::Send(SendError::Closed)), "{error:?}");
        assert_eq!(writer.closed().unwrap().code, 1001);
        let _ = writer.close(None);
        assert_eq!(serving.join(), 10);
    }
}

#[test]
fn halves_become_one_socket_again() {
    let world = World::default();
    let (mut reader, writer) = served(&world, texts(3));
    assert_eq!(reader.recv().unwrap(), texts(1).pop());
    let clone = writer.clone();
    let apart = reader.reunite(writer).unwrap_err();
    drop(clone);
    let (reader, writer) = (apart.read, apart.write);
    writer.send("from a half").unwrap();
    let mut client = reader.reunite(writer).unwrap();
    client.send("from the whole").unwrap();
    for message in texts(3).drain(1..) {
        assert_eq!(client.recv().unwrap(), Some(message));
    }
    // The reader reads by itself again, although its half was dropped before.
    let (mut reader, writer) = client.split();
    writer.send("from a half again").unwrap();
    writer.finish(normal()).unwrap();
    assert_eq!(reader.recv().unwrap(), None);
    check_closed(&writer);
}
