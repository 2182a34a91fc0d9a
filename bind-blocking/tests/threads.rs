//! Several threads on one socket, and one thread that sends while its peer sends too.

use std::{io, sync::Arc, time::Duration};

use bowline_blocking::{
    BlockingTransport, CloseCode, ControlPayload, Error, Kind, Message, Outgoing, Role,
    TrySendError,
};
use testing::threads::{Fault, World, config, pair, socket};

const SECOND: Duration = Duration::from_secs(1);

fn payload(len: usize, seed: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31 + seed * 7) as u8).collect()
}

#[test]
fn both_ends_send_before_they_receive() {
    for capacity in [1000, 16 << 10, 1 << 20] {
        let world = World::default();
        let began = world.now();
        let (mut client, mut server) = pair(&world, capacity, config());
        let other = world.spawn(move || {
            server.send(payload(1 << 20, 1)).unwrap();
            let received = server.recv().unwrap().unwrap();
            assert!(received == Message::from(payload(1 << 20, 2)));
            assert_eq!(server.recv().unwrap(), None);
        });
        client.send(payload(1 << 20, 2)).unwrap();
        let received = client.recv().unwrap().unwrap();
        assert!(received == Message::from(payload(1 << 20, 1)));
        client.close(None).unwrap();
        other.join();
        // The number of waits depends on which thread is first. Waiting once per read would take 36 s.
        assert!(
            world.now() - began < 10 * SECOND,
            "{:?}",
            world.now() - began
        );
    }
}

#[test]
fn both_ends_split_and_send_at_once() {
    let world = World::default();
    let (client, server) = pair(&world, 50_000, config());
    let ends: Vec<_> = [(client, 1), (server, 2)]
        .into_iter()
        .map(|(socket, seed)| {
            let (mut receiver, sender) = socket.split();
            let sending = world.spawn(move || {
                for _ in 0..16 {
                    sender.send(payload(1 << 20, seed)).unwrap();
                }
                sender
            });
            let receiving = world.spawn(move || {
                let expected = Message::from(payload(1 << 20, 3 - seed));
                for _ in 0..16 {
                    assert!(receiver.recv().unwrap().unwrap() == expected);
                }
                receiver
            });
            (sending, receiving)
        })
        .collect();
    let ends: Vec<_> = ends
        .into_iter()
        .map(|(sending, receiving)| (sending.join(), receiving.join()))
        .collect();
    let ends: Vec<_> = ends
        .into_iter()
        .map(|(sender, mut receiver)| {
            let receiving = world.spawn(move || receiver.recv().unwrap());
            (world.spawn(move || sender.close(None)), receiving)
        })
        .collect();
    for (closing, receiving) in ends {
        closing.join().unwrap();
        assert_eq!(receiving.join(), None);
    }
}

#[test]
fn many_writers_of_one_socket() {
    const WRITERS: usize = 8;
    const EACH: usize = 100;
    let world = World::default();
    let (client, mut server) = pair(&world, 3000, config());
    let (mut receiver, sender) = client.split();
    let reading = world.spawn(move || receiver.recv());
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let sender = sender.clone();
            world.spawn(move || {
                for number in 0..EACH {
                    let text = format!("{writer} {number} {}", "x".repeat(number * 37 % 5000));
                    // Some messages are left to other threads to write.
                    match number % 3 {
                        0 => sender.feed(text).unwrap(),
                        1 => sender.send(text).unwrap(),
                        _ => {
                            let mut message = Outgoing::from(text);
                            while let Err(TrySendError::Full(back)) = sender.try_send(message) {
                                message = back;
                                sender.flush().unwrap();
                            }
                        }
                    }
                }
            })
        })
        .collect();
    let slowly = world.clone();
    let receiving = world.spawn(move || {
        let mut next = [0; WRITERS];
        while let Some(message) = server.recv().unwrap() {
            // This is slow enough for a write to be interrupted in the middle.
            slowly.sleep(SECOND / 50);
            let Message::Text(text) = message else {
                panic!("not text");
            };
            let mut words = text.split(' ');
            let mut number = || words.next().unwrap().parse::<usize>().unwrap();
            let (writer, number) = (number(), number());
            assert_eq!(next[writer], number);
            assert_eq!(words.next().unwrap().len(), number * 37 % 5000);
            next[writer] += 1;
        }
        next
    });
    for writer in writers {
        writer.join();
    }
    sender.close(None).unwrap();
    assert_eq!(receiving.join(), [EACH; WRITERS]);
    assert_eq!(reading.join().unwrap(), None);
}

/// The reader is blocked, so it cannot write the message.
#[test]
fn what_is_fed_leaves_while_the_reader_waits() {
    let world = World::default();
    let (client, mut server) = pair(&world, 1000, config());
    let (mut receiver, sender) = client.split();
    let reading = world.spawn(move || receiver.recv());
    world.sleep(SECOND);
    let before = world.now();
    let received = world.spawn(move || {
        let len = server.recv().unwrap().unwrap().len();
        (server, len)
    });
    sender.feed(vec![1; 5000]).unwrap();
    let (mut server, len) = received.join();
    assert_eq!(len, 5000);
    sender.try_send("small").unwrap();
    assert_eq!(server.recv().unwrap(), Some("small".into()));
    assert_eq!(world.now(), before);
    sender.abort();
    assert_eq!(reading.join().unwrap(), None);
    assert_eq!(world.now(), before);
}

#[test]
fn a_message_that_a_thread_leaves_is_written_by_the_one_that_writes() {
    let world = World::default();
    let (a, b) = world.pipe(1000);
    let (_receiver, sender) = socket(a, Role::Client, &Arc::new(config())).split();
    let writing = {
        let sender = sender.clone();
        world.spawn(move || sender.send(vec![1; 50_000]).unwrap())
    };
    world.sleep(SECOND);
    // This would block if it waited for the end of the other write.
    let before = world.now();
    sender.feed(vec![2; 3000]).unwrap();
    assert_eq!(world.now(), before);
    let mut taken = 0;
    while taken < 8 + 50_000 {
        taken += b.read(&mut [0; 1000]).unwrap();
    }
    // The first message is written by now, and its thread goes on with the second.
    world.sleep(SECOND);
    while taken < 8 + 50_000 + 8 + 3000 {
        taken += b.read(&mut [0; 1000]).unwrap();
    }
    assert!(world.now() - before < 2 * SECOND);
    writing.join();
}

#[test]
fn a_flush_waits_for_what_another_thread_is_writing() {
    let world = World::default();
    let (a, b) = world.pipe(1000);
    let (_receiver, sender) = socket(a, Role::Client, &Arc::new(config())).split();
    let writing = {
        let sender = sender.clone();
        world.spawn(move || sender.send(vec![1; 5000]).unwrap())
    };
    // The other thread is now in its first write.
    world.sleep(SECOND / 250);
    let inside = world.clone();
    let flushing = world.spawn(move || {
        sender.flush().unwrap();
        inside.now()
    });
    world.sleep(SECOND);
    let before = world.now();
    let mut taken = 0;
    while taken < 5008 {
        taken += b.read(&mut [0; 5008]).unwrap();
    }
    writing.join();
    assert!(flushing.join() >= before);
}

/// The reader writes, and returns when a message comes. A waiting writer then goes on.
#[test]
fn a_reader_hands_over_what_it_could_not_write() {
    let world = World::default();
    let (a, b) = world.pipe(100);
    let (mut receiver, sender) = socket(a, Role::Client, &Arc::new(config())).split();
    let reading = world.spawn(move || {
        let received = receiver.recv().unwrap();
        (received, receiver)
    });
    let mut ping = vec![0x89, 120];
    ping.extend([7; 120]);
    for part in ping.chunks(100) {
        b.write(part).unwrap();
    }
    // The reader is now in its second try to write the remainder of the Pong.
    let step = SECOND / 1000;
    world.sleep(10 * step);
    let inside = world.clone();
    let writer = sender.clone();
    let writing = world.spawn(move || {
        writer.send("x").unwrap();
        inside.now()
    });
    world.sleep(step);
    b.write(&[0x81, 2, b'h', b'i']).unwrap();
    let (received, _receiver) = reading.join();
    assert_eq!(received, Some("hi".into()));
    let before = world.now();
    let mut taken = 0;
    b.set_read_timeout(Some(SECOND)).unwrap();
    while taken < 6 + 120 + 7 {
        taken += b.read(&mut [0; 200]).unwrap();
    }
    assert!(writing.join() - before < SECOND / 10);
    // No thread waits now, so this one has to write everything by itself.
    let inside = world.clone();
    let feeding = world.spawn(move || {
        sender.feed(vec![1; 300]).unwrap();
        inside.now()
    });
    world.sleep(SECOND);
    let before = world.now();
    taken = 0;
    while taken < 8 + 300 {
        taken += b.read(&mut [0; 400]).unwrap();
    }
    assert!(feeding.join() >= before);
}

#[test]
fn a_direction_is_ended_once() {
    let world = World::default();
    let (a, b) = world.pipe(4096);
    let calls = a.calls.clone();
    let mut client = socket(a, Role::Client, &Arc::new(config()));
    // This is not a frame. The peer does not close, so the deadline ends the connection.
    b.write(&[0xFF, 0xFF]).unwrap();
    let before = world.now();
    assert!(matches!(client.recv(), Err(Error::Protocol(_))));
    assert!(world.now() - before >= 5 * SECOND);
    // First our direction was shut down, and at the end both.
    assert_eq!(calls.lock().unwrap().shutdowns, 2);
}

#[test]
fn try_send_does_not_wait() {
    let world = World::default();
    let (client, _server) = pair(&world, 1000, config());
    let (_receiver, sender) = client.split();
    let before = world.now();
    let mut count = 0;
    loop {
        match sender.try_send(vec![1; 10_000]) {
            Ok(()) => count += 1,
            Err(TrySendError::Full(message)) => {
                assert_eq!(message.message().len(), 10_000);
                break;
            }
            Err(error) => panic!("{error}"),
        }
        assert!(count < 100);
    }
    // The high-water mark, and the bytes on their way.
    assert!(count >= 6, "{count}");
    assert!(world.now() - before < SECOND);
}

/// A Pong is sent before the call returns, not by the next call.
#[test]
fn an_answer_has_left_when_a_call_returns() {
    for split in [false, true] {
        let world = World::default();
        let (a, b) = world.pipe(4096);
        let config = Arc::new(config());
        let client = socket(a, Role::Client, &config);
        // A Ping and a message arrive in one read.
        b.write(&[0x89, 1, b'p', 0x81, 2, b'h', b'i']).unwrap();
        let received = if split {
            let (mut receiver, _sender) = client.split();
            let received = receiver.recv();
            assert_eq!(b.waiting(), 7);
            received
        } else {
            let mut client = client;
            let received = client.recv();
            assert_eq!(b.waiting(), 7);
            received
        };
        assert_eq!(received.unwrap(), Some("hi".into()));
        let mut pong = [0; 7];
        b.read(&mut pong).unwrap();
        assert_eq!(pong[..2], [0x8A, 0x81]);
    }
}

/// Every Ping is answered, not only the last one, as long as the transport takes the Pongs.
#[test]
fn pings_that_come_together_are_all_answered() {
    let world = World::default();
    let (a, b) = world.pipe(4096);
    let mut client = socket(a, Role::Client, &Arc::new(config()));
    let pings: Vec<u8> = (0..10).flat_map(|ping| [0x89, 1, ping]).collect();
    b.write(&pings).unwrap();
    b.write(&[0x81, 0]).unwrap();
    assert_eq!(client.recv().unwrap(), Some("".into()));
    assert_eq!(b.waiting(), 10 * 7);
}

#[test]
fn a_stream_that_is_dropped_fails_the_connection() {
    for split in [false, true] {
        let world = World::default();
        let (client, mut server) = pair(&world, 4096, config());
        let received = world.spawn(move || {
            let error = server.recv();
            (error, server.closed().cloned())
        });
        if split {
            let (mut receiver, sender) = client.split();
            let reading = world.spawn(move || receiver.recv());
            // The reader is blocked by then.
            world.sleep(SECOND);
            let before = world.now();
            let mut stream = sender.stream(Kind::Text).unwrap();
            stream.write("half of a").unwrap();
            drop(stream);
            assert_eq!(reading.join().unwrap(), None);
            assert_eq!(world.now(), before);
        } else {
            let mut client = client;
            let mut stream = client.stream(Kind::Text).unwrap();
            stream.write("half of a").unwrap();
            drop(stream);
            assert!(matches!(client.send("more"), Err(Error::Send(_))));
            assert_eq!(client.recv().unwrap(), None);
        }
        let (received, closed) = received.join();
        assert_eq!(received.unwrap(), None);
        assert_eq!(closed.unwrap().code, 1011);
    }
}

/// The Close is sent although the transport takes nothing at the first try and the reader is blocked.
#[test]
fn a_stream_that_is_dropped_tries_again() {
    let world = World::default();
    let (a, b) = world.pipe(4096);
    let calls = a.calls.clone();
    let config = Arc::new(config());
    let mut server = socket(b, Role::Server, &config);
    let received = world.spawn(move || server.recv().unwrap());
    let (mut receiver, sender) = socket(a, Role::Client, &config).split();
    let reading = world.spawn(move || receiver.recv().unwrap());
    world.sleep(SECOND);
    let before = world.now();
    let mut stream = sender.stream(Kind::Text).unwrap();
    stream.write("half of a").unwrap();
    let next = calls.lock().unwrap().all + 1;
    calls.lock().unwrap().fault = Some((next, Fault::Error(io::ErrorKind::WouldBlock)));
    drop(stream);
    assert_eq!(received.join(), None);
    assert_eq!(reading.join(), None);
    assert_eq!(world.now(), before);
}

#[test]
fn a_stream_holds_back_other_data_and_lets_control_pass() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (_receiver, sender) = client.split();
    let mut stream = sender.stream(Kind::Text).unwrap();
    stream.write("one ").unwrap();
    let other = {
        let sender = sender.clone();
        world.spawn(move || sender.send("three").unwrap())
    };
    world.sleep(SECOND);
    sender.ping(ControlPayload::new("x").unwrap()).unwrap();
    let receiving = world.spawn(move || [server.recv().unwrap(), server.recv().unwrap()]);
    stream.write("two").unwrap();
    stream.finish().unwrap();
    other.join();
    let expected = ["one two", "three"].map(|text| Some(Message::from(text)));
    assert_eq!(receiving.join(), expected);
}

#[test]
fn without_a_read_half_writers_go_on_and_close() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (receiver, sender) = client.split();
    drop(receiver);
    let receiving = world.spawn(move || {
        // A message that is not received does not delay the end.
        server.send(vec![1; 20_000]).unwrap();
        let received = server.recv().unwrap();
        (received, server.recv().unwrap())
    });
    sender.send("still").unwrap();
    // Two threads close at once, and one of them reads.
    let other = {
        let sender = sender.clone();
        world.spawn(move || sender.close(None))
    };
    sender.close(None).unwrap();
    other.join().unwrap();
    assert_eq!(receiving.join(), (Some("still".into()), None));
}

#[test]
fn without_write_halves_reading_goes_on() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (mut receiver, sender) = client.split();
    drop(sender);
    let reading = world.spawn(move || (receiver.recv().unwrap(), receiver.recv().unwrap()));
    world.sleep(10 * SECOND);
    server.send("still").unwrap();
    server.close(None).unwrap();
    assert_eq!(reading.join(), (Some("still".into()), None));
}

#[test]
fn a_socket_that_is_dropped_ends_its_transport() {
    for split in [false, true] {
        let world = World::default();
        let (client, mut server) = pair(&world, 4096, config());
        if split {
            drop(client.split());
        } else {
            drop(client);
        }
        match server.recv() {
            Err(Error::Lost(error)) => assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof),
            other => panic!("{other:?}"),
        }
    }
}

/// If the timeouts of a transport cannot be set, no call could be bounded.
#[test]
fn a_transport_that_cannot_time_out_is_lost() {
    let world = World::default();
    let (a, _b) = world.pipe(4096);
    a.calls.lock().unwrap().fault = Some((1, Fault::Error(io::ErrorKind::Unsupported)));
    let mut client = socket(a, Role::Client, &Arc::new(config()));
    assert!(matches!(client.send("text"), Err(Error::Lost(_))));
    match client.recv() {
        Err(Error::Lost(error)) => assert_eq!(error.kind(), io::ErrorKind::Unsupported),
        other => panic!("{other:?}"),
    }
    assert_eq!(client.recv().unwrap(), None);
}

/// Each call of the transport fails in turn, with each fault.
#[test]
fn whatever_fails_the_truth_is_cut_off_and_not_changed() {
    const MESSAGES: usize = 6;
    let faults = [
        Fault::Error(io::ErrorKind::ConnectionReset),
        Fault::Error(io::ErrorKind::Interrupted),
        Fault::Error(io::ErrorKind::WouldBlock),
        Fault::Error(io::ErrorKind::Other),
        Fault::Short,
        Fault::Zero,
    ];
    for split in [false, true] {
        for fault in faults {
            for number in 1.. {
                let world = World::default();
                let (a, b) = world.pipe(700);
                let calls = b.calls.clone();
                let config = Arc::new(config());
                let mut client = socket(a, Role::Client, &config);
                let server = socket(b, Role::Server, &config);
                // The calls that set the first timeouts are not counted.
                let before = calls.lock().unwrap().all;
                calls.lock().unwrap().fault = Some((before + number, fault));
                let began = world.now();

                let serving = world.spawn(move || {
                    let mut received = Vec::new();
                    let mut ends = 0;
                    if split {
                        let (mut receiver, sender) = server.split();
                        loop {
                            match receiver.recv() {
                                Ok(Some(message)) => {
                                    let _ = sender.send(message.clone());
                                    received.push(message);
                                }
                                end => {
                                    ends += usize::from(end.is_err());
                                    assert_eq!(receiver.recv().unwrap(), None);
                                    break;
                                }
                            }
                        }
                    } else {
                        let mut server = server;
                        loop {
                            match server.recv() {
                                Ok(Some(message)) => {
                                    let _ = server.send(message.clone());
                                    received.push(message);
                                }
                                end => {
                                    ends += usize::from(end.is_err());
                                    assert_eq!(server.recv().unwrap(), None);
                                    break;
                                }
                            }
                        }
                    }
                    (received, ends)
                });
                let (mut sent, mut echoed) = (Vec::new(), Vec::new());
                for seed in 0..MESSAGES {
                    let message = Message::from(payload(100 << seed, seed));
                    sent.push(message.clone());
                    if client.send(message).is_err() {
                        break;
                    }
                    match client.recv() {
                        Ok(Some(message)) => echoed.push(message),
                        _ => break,
                    }
                }
                let _ = client.finish(CloseCode::NORMAL);
                while let Ok(Some(message)) = client.recv() {
                    echoed.push(message);
                }
                let (received, ends) = serving.join();
                let case = format!("{fault:?} at call {number}, split: {split}");
                assert!(sent.starts_with(&received), "{case}");
                assert!(received.starts_with(&echoed), "{case}");
                let harmless = matches!(
                    fault,
                    Fault::Short
                        | Fault::Error(io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock)
                );
                // A fault that only interrupts loses nothing and delays nothing.
                if harmless && calls.lock().unwrap().moved_bytes {
                    assert_eq!((ends, echoed.len()), (0, MESSAGES), "{case}");
                    assert!(world.now() - began < 2 * SECOND, "{case}");
                }
                if ends == 0 {
                    assert_eq!(received.len(), MESSAGES, "{case}");
                }
                if calls.lock().unwrap().all < before + number {
                    assert_eq!(echoed.len(), MESSAGES, "{case}");
                    assert!(number > 20, "{number}");
                    break;
                }
            }
        }
    }
}
