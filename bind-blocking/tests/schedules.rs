//! The halves of a socket in several threads, in any order that their locks allow.
//!
//! With `--cfg shuttle`, both crates and this world use shuttle's locks. Shuttle may switch threads
//! wherever one takes or releases a lock, and runs each test in many orders. When every thread is
//! blocked, the clock jumps to the next deadline, so a lost wake-up shows as time that has passed.
//!
//! ```sh
//! RUSTFLAGS='--cfg shuttle' cargo test -p bowline-blocking --test schedules --target-dir target/shuttle
//! SCHEDULES=1000000 SEED=1 RUSTFLAGS='--cfg shuttle' cargo test …
//! ```
#![cfg(shuttle)]

use std::{env, sync::Arc, time::Duration};

use bowline_blocking::{
    CloseCode, CloseFrame, ControlPayload, Event, Io, Kind, Message, ReadHalf, Role, WebSocket,
    WriteHalf,
};
use shuttle::{
    rand::{Rng, thread_rng},
    scheduler::{PctScheduler, RandomScheduler},
};
use testing::threads::{End, Fault, Handle, World, config, socket};

/// Runs `test` in many orders, the same ones in each run: half are random, and half let one thread
/// overtake another only rarely.
fn schedules(test: fn(&World)) {
    let count = env::var("SCHEDULES").map_or(600, |count| count.parse().unwrap());
    let test = move || {
        let world = World::default();
        let before = world.now();
        test(&world);
        // A few slices of time may pass while a thread tries again, but no deadline.
        let took = world.now() - before;
        assert!(
            took < Duration::from_secs(1),
            "a thread was not woken: {took:?}"
        );
    };
    let seed = env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    let random = RandomScheduler::new_from_seed(seed, count / 2);
    shuttle::Runner::new(random, shuttle::Config::default()).run(test);
    let few = PctScheduler::new_from_seed(seed, 3, count / 2);
    shuttle::Runner::new(few, shuttle::Config::default()).run(test);
}

fn sockets(world: &World, capacity: usize) -> (WebSocket<Io<End>>, WebSocket<Io<End>>) {
    let mut config = config();
    config.send_high_water = 20;
    let config = Arc::new(config);
    let (a, b) = world.pipe(capacity);
    // A read or write may time out at any moment.
    for end in [&a, &b] {
        let number = thread_rng().gen_range(1..40);
        end.calls.lock().unwrap().fault = Some((number, Fault::Late));
    }
    (
        socket(a, Role::Client, &config),
        socket(b, Role::Server, &config),
    )
}

fn message(writer: u8, number: u8) -> Message {
    vec![writer, number, 7, 7, 7, 7].into()
}

/// Receives to the end, and answers each message.
fn echo(world: &World, mut socket: WebSocket<Io<End>>) -> Handle<Vec<Message>> {
    world.spawn(move || {
        let mut received = Vec::new();
        while let Ok(Some(message)) = socket.recv() {
            received.push(message.clone());
            // If the connection has closed meanwhile, the next `recv` reports it.
            let _ = socket.feed(message);
        }
        received
    })
}

/// Receives to the end.
fn drain(world: &World, mut reader: ReadHalf<Io<End>>) -> Handle<usize> {
    world.spawn(move || {
        let mut count = 0;
        while let Ok(Some(_)) = reader.recv() {
            count += 1;
        }
        count
    })
}

fn sending(world: &World, writer: &WriteHalf<Io<End>>, number: u8) -> Handle<()> {
    let writer = writer.clone();
    world.spawn(move || {
        writer.send(message(number, 0)).unwrap();
        writer.send(message(number, 1)).unwrap();
    })
}

/// Sends a few messages, and stops if the connection ends.
fn sends_to_the_end(writer: &WriteHalf<Io<End>>, number: u8) {
    (0..4).all(|count| writer.send(message(number, count)).is_ok());
}

fn bye() -> CloseFrame {
    CloseCode::NORMAL.into()
}

/// Checks that each of these writers has sent the messages `sent`, in that order.
fn check(received: &[Message], writers: &[u8], sent: &[u8]) {
    for writer in writers {
        let of_writer = received
            .iter()
            .filter(|message| message.as_bytes()[0] == *writer);
        let numbers: Vec<u8> = of_writer.map(|message| message.as_bytes()[1]).collect();
        assert_eq!(numbers, sent, "of writer {writer}");
    }
}

#[test]
fn a_reader_and_three_writers() {
    schedules(|world| {
        let (client, server) = sockets(world, 100);
        let peer = echo(world, server);
        let (reader, writer) = client.split();
        let reading = drain(world, reader);
        let writing = [1, 2, 3].map(|number| sending(world, &writer, number));
        writing.into_iter().for_each(Handle::join);
        writer.close(bye()).unwrap();
        check(&peer.join(), &[1, 2, 3], &[0, 1]);
        assert!(reading.join() <= 6);
    });
}

#[test]
fn three_writers_and_no_reader() {
    schedules(|world| {
        let (client, mut server) = sockets(world, 100);
        let peer = world.spawn(move || {
            let mut received = Vec::new();
            while let Ok(Some(message)) = server.recv() {
                received.push(message);
            }
            received
        });
        let (reader, writer) = client.split();
        let writing = [1, 2, 3].map(|number| sending(world, &writer, number));
        // Drops the read half while they wait.
        drop(reader);
        writing.into_iter().for_each(Handle::join);
        writer.close(bye()).unwrap();
        check(&peer.join(), &[1, 2, 3], &[0, 1]);
    });
}

/// A thread that returns leaves nothing that no other thread will write.
#[test]
fn feeds_and_a_reader_that_is_blocked() {
    schedules(|world| {
        let (client, server) = sockets(world, 100);
        let peer = echo(world, server);
        let (mut reader, writer) = client.split();
        let reading = world.spawn(move || {
            let received = [
                reader.recv().unwrap(),
                reader.recv().unwrap(),
                reader.recv().unwrap(),
            ];
            assert!(received.iter().all(Option::is_some));
            reader
        });
        let feeding = [1, 2, 3].map(|number| {
            let writer = writer.clone();
            world.spawn(move || writer.feed(message(number, 0)).unwrap())
        });
        feeding.into_iter().for_each(Handle::join);
        let reader = reading.join();
        drop(reader);
        writer.close(bye()).unwrap();
        check(&peer.join(), &[1, 2, 3], &[0]);
    });
}

/// The reader's Pongs are written although it is blocked and the thread that writes for it returns.
#[test]
fn feeds_and_pings() {
    schedules(|world| {
        let (client, mut server) = sockets(world, 100);
        let peer = world.spawn(move || {
            let (mut messages, mut pongs) = (0, 0);
            server.ping(ControlPayload::default()).unwrap();
            while messages < 4 || pongs < 3 {
                match server.recv_event().unwrap().unwrap() {
                    Event::Pong(_) => {
                        pongs += 1;
                        server.ping(ControlPayload::default()).unwrap();
                    }
                    _ => messages += 1,
                }
            }
            server.close(bye()).unwrap();
        });
        let (reader, writer) = client.split();
        let reading = drain(world, reader);
        let feeding = [1, 2].map(|number| {
            let writer = writer.clone();
            world.spawn(move || {
                writer.feed(message(number, 0)).unwrap();
                writer.feed(message(number, 1)).unwrap();
            })
        });
        feeding.into_iter().for_each(Handle::join);
        reading.join();
        peer.join();
    });
}

/// The guard owns the outgoing message, and the other writers go on when it is finished.
#[test]
fn a_stream_and_two_writers() {
    schedules(|world| {
        let (client, server) = sockets(world, 100);
        let peer = echo(world, server);
        let (reader, writer) = client.split();
        let reading = drain(world, reader);
        let streaming = {
            let writer = writer.clone();
            world.spawn(move || {
                let mut stream = writer.stream(Kind::Binary).unwrap();
                stream.write(vec![3, 0]).unwrap();
                stream.write(vec![7; 9]).unwrap();
                stream.finish().unwrap();
                // This message is dropped before anything of it is sent.
                drop(writer.stream(Kind::Binary).unwrap());
            })
        };
        let writing = [1, 2].map(|number| sending(world, &writer, number));
        writer.ping(ControlPayload::default()).unwrap();
        writing.into_iter().for_each(Handle::join);
        streaming.join();
        writer.close(bye()).unwrap();
        let received = peer.join();
        check(&received, &[1, 2], &[0, 1]);
        check(&received, &[3], &[0]);
        reading.join();
    });
}

/// Any thread that can writes the Close, and the reader learns of the end.
#[test]
fn a_stream_that_is_dropped() {
    schedules(|world| {
        let (client, server) = sockets(world, 100);
        let peer = echo(world, server);
        let (reader, writer) = client.split();
        let reading = drain(world, reader);
        let other = {
            let writer = writer.clone();
            world.spawn(move || sends_to_the_end(&writer, 1))
        };
        let mut stream = writer.stream(Kind::Binary).unwrap();
        stream.write(vec![3, 0]).unwrap();
        drop(stream);
        other.join();
        reading.join();
        peer.join();
    });
}

/// Every thread that waits when the connection ends learns of the end.
#[test]
fn a_close_and_an_abort_free_all_who_wait() {
    fn ended(world: &World, abort: bool) {
        let (client, server) = sockets(world, 100);
        let peer = echo(world, server);
        let (reader, writer) = client.split();
        let reading = drain(world, reader);
        let writing = [1, 2].map(|number| {
            let writer = writer.clone();
            world.spawn(move || sends_to_the_end(&writer, number))
        });
        if abort {
            writer.abort();
        } else {
            writer.close(bye()).unwrap();
        }
        writing.into_iter().for_each(Handle::join);
        reading.join();
        peer.join();
    }
    schedules(|world| ended(world, false));
    schedules(|world| ended(world, true));
}
