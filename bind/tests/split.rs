//! Two halves and their clones, under load and over difficult transports.

use std::{
    cell::Cell,
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll, Waker, ready},
    time::Duration,
};
#[cfg(feature = "futures")]
use std::{future::poll_fn, pin::Pin};

use bowline_bind::{
    Error, Transport, drive,
    proto::{Connection, ControlPayload, Deadline, Kind, Message, Negotiated, Role},
};
use testing::world::*;

/// Ten clones send 1,000 messages each over a pipe of 4 KiB whose reader pauses, while messages of 1 MiB are echoed.
#[test]
fn ten_senders_and_an_echo() {
    let world = World::default();
    let (client, mut server) = pair(&world, 4096, config());
    let (mut reader, writer) = client.split();
    let left = Rc::new(Cell::new(11));
    for sender in 0..10u8 {
        let (writer, left) = (writer.clone(), left.clone());
        world.spawn(async move {
            for number in 0..1000u16 {
                let mut bytes = vec![sender];
                bytes.extend(number.to_be_bytes());
                writer.send(bytes).await.unwrap();
            }
            left.set(left.get() - 1);
        });
    }
    let (echoed, remaining) = (writer.clone(), left.clone());
    world.spawn(async move {
        for round in 0..3u8 {
            echoed.send(vec![round + 100; 1 << 20]).await.unwrap();
            let echo = reader.recv().await.unwrap().unwrap();
            assert!(**echo.as_bytes() == vec![round + 100; 1 << 20]);
        }
        remaining.set(remaining.get() - 1);
        while remaining.get() > 0 {
            echoed.flush().await.unwrap();
            if remaining.get() > 0 {
                echoed.ping(ControlPayload::default()).await.unwrap();
            }
        }
        echoed.finish(None).await.unwrap();
        assert!(reader.recv().await.unwrap().is_none());
    });
    let clock = world.clone();
    world.block_on(async move {
        let mut next = [0u16; 10];
        let mut count = 0;
        while let Some(message) = server.recv().await.unwrap() {
            count += 1;
            if count % 500 == 0 {
                clock.sleep(Duration::from_secs(1)).await;
            }
            let bytes = message.as_bytes();
            if bytes.len() > 3 {
                server.send(message).await.unwrap();
                continue;
            }
            let number = u16::from_be_bytes([bytes[1], bytes[2]]);
            assert_eq!(
                number, next[bytes[0] as usize],
                "the order of each sender is kept"
            );
            next[bytes[0] as usize] += 1;
        }
        assert_eq!(next, [1000; 10]);
    });
}

#[test]
fn both_ends_split_and_both_send_much_at_once() {
    let world = World::default();
    let (client, server) = pair(&world, 4096, config());
    for socket in [client, server] {
        let (mut reader, writer) = socket.split();
        world.spawn(async move {
            for _ in 0..4 {
                writer.send(vec![7; 1 << 20]).await.unwrap();
            }
        });
        world.spawn(async move {
            for _ in 0..4 {
                assert!(reader.recv().await.unwrap() == Some(vec![7; 1 << 20].into()));
            }
        });
    }
    world.run();
    assert_eq!(world.now(), Duration::ZERO);
}

#[test]
fn a_writer_that_is_dropped_while_it_waits_does_not_hold_up_the_others() {
    let world = World::default();
    let (client, mut server) = pair(&world, 10, config());
    let (_reader, writer) = client.split();
    let other = writer.clone();
    let clock = world.clone();
    world.spawn(async move {
        writer.feed(vec![1; 100_000]).await.unwrap();
        let waiting = Box::pin(writer.send("dropped"));
        assert!(poll_times(waiting, 2).await.is_err());
    });
    world.spawn(async move { other.send("second").await.unwrap() });
    world.block_on(async move {
        clock.sleep(Duration::from_secs(1)).await;
        let mut last = None;
        for _ in 0..2 {
            last = server.recv().await.unwrap();
        }
        assert_eq!(last, Some("second".into()));
    });
}

/// A call that waits for the end of a stream does not also wait for room, so that it holds up no other call.
#[test]
fn a_stream_passes_those_who_waited_for_room_before_it() {
    let world = World::default();
    let mut small = config();
    small.send_high_water = 10;
    let (client, mut server) = pair(&world, 10, small);
    let (_reader, writer) = client.split();
    for number in [1, 2] {
        let writer = writer.clone();
        world.spawn(async move { writer.send(vec![number; 100]).await.unwrap() });
    }
    world.spawn(async move {
        let mut stream = writer.stream(Kind::Text).await.unwrap();
        stream.write("three").await.unwrap();
        writer.ping(ControlPayload::default()).await.unwrap();
        stream.finish().await.unwrap();
    });
    world.block_on(async move {
        let expected = [vec![1; 100].into(), "three".into(), vec![2; 100].into()];
        for message in expected {
            assert_eq!(server.recv().await.unwrap(), Some(message));
        }
    });
}

#[cfg(feature = "futures")]
#[test]
fn a_stream_passes_a_sink_that_waited_for_room_before_it() {
    use futures_sink::Sink;

    let world = World::default();
    let mut small = config();
    small.send_high_water = 10;
    let (client, mut server) = pair(&world, 10, small);
    let (_reader, writer) = client.split();
    let mut sink = writer.clone();
    let first = writer.clone();
    world.spawn(async move { first.send(vec![1; 100]).await.unwrap() });
    world.spawn(async move {
        poll_fn(|cx| Pin::new(&mut sink).poll_ready(cx))
            .await
            .unwrap();
        Pin::new(&mut sink).start_send("two".into()).unwrap();
        poll_fn(|cx| Pin::new(&mut sink).poll_flush(cx))
            .await
            .unwrap();
    });
    world.spawn(async move {
        let mut stream = writer.stream(Kind::Text).await.unwrap();
        stream.write("three").await.unwrap();
        stream.finish().await.unwrap();
    });
    world.block_on(async move {
        for message in [vec![1; 100].into(), "three".into(), Message::from("two")] {
            assert_eq!(server.recv().await.unwrap(), Some(message));
        }
    });
}

#[test]
fn write_deadline_with_a_reader_that_waits() {
    let world = World::default();
    let (client, server) = pair(&world, 10, config());
    let (mut reader, writer) = client.split();
    world.spawn(async move {
        assert!(matches!(
            reader.recv().await,
            Err(Error::TimedOut(Deadline::Write))
        ));
        assert!(matches!(reader.recv().await, Ok(None)));
    });
    world.block_on(async move {
        let error = writer.send(vec![0; 1000]).await.unwrap_err();
        assert!(
            matches!(error, Error::TimedOut(Deadline::Write)),
            "{error:?}"
        );
        drop(server);
    });
    assert_eq!(world.now(), Duration::from_secs(20));
}

/// A transport that behaves like TLS: a read may have to write first, and a write to read. It remembers one waker for
/// each direction below.
struct Knotted {
    inner: End,
    /// Counts the polls: before some reads something has to be written, and before some writes something read.
    owes: Cell<u32>,
    flushed: bool,
}

impl Transport for Knotted {
    type Clock = Clock;

    fn clock(&self) -> Clock {
        self.inner.clock()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.owes.get() % 3 == 1 {
            // Nothing can be read before there is room to write one byte.
            ready!(self.inner.poll_room(cx));
        }
        self.owes.set(self.owes.get() + 1);
        self.inner.poll_read(cx, buf)
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.flushed = false;
        self.inner.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.flushed = false;
        self.inner.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Flushing is complete once the pipe is empty.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.inner.poll_empty(cx));
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_shutdown(cx)
    }

    fn half_closes(&self) -> bool {
        true
    }
}

#[test]
fn a_transport_whose_reads_wait_for_writes() {
    let world = World::default();
    let (a, b) = pipe(&world, 64);
    let knotted = |inner, role| {
        let connection = Connection::new(role, Negotiated::default(), config());
        drive(
            connection,
            Knotted {
                inner,
                owes: Cell::new(0),
                flushed: true,
            },
        )
    };
    let ends = [knotted(a, Role::Client), knotted(b, Role::Server)];
    for socket in ends {
        let (mut reader, writer) = socket.split();
        for sender in 0..3u8 {
            let writer = writer.clone();
            world.spawn(async move {
                for number in 0..100u8 {
                    writer.send(vec![sender, number]).await.unwrap();
                }
            });
        }
        world.spawn(async move {
            let mut next = [0; 3];
            for _ in 0..300 {
                let message: Message = reader.recv().await.unwrap().unwrap();
                let bytes = message.as_bytes();
                assert_eq!(bytes[1], next[bytes[0] as usize]);
                next[bytes[0] as usize] += 1;
            }
            drop(writer);
        });
    }
    world.run();
    assert_eq!(world.now(), Duration::ZERO);
}

/// An answer that is owed to a Ping does not hold up the reader while a write is blocked.
#[test]
fn a_hundred_thousand_pings_to_a_reader_whose_writes_are_blocked() {
    let world = World::default();
    let (end, peer) = pipe(&world, 0);
    let mut server = socket(end, Role::Server, config());
    peer.outgoing
        .borrow_mut()
        .push(&[0x89, 0x84, 0, 0, 0, 0, b'p', b'i', b'n', b'g'].repeat(100_000));
    world.block_on(async move {
        let mut recv = Box::pin(server.recv());
        for _ in 0..2000 {
            let mut cx = Context::from_waker(Waker::noop());
            assert!(recv.as_mut().poll(&mut cx).is_pending());
        }
        assert_eq!(peer.outgoing.borrow().waiting(), 0, "all were read");
        peer.incoming.borrow_mut().set_capacity(1 << 20);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(recv.as_mut().poll(&mut cx).is_pending());
        assert!(
            peer.incoming.borrow_mut().drain().len() <= 3 * 6,
            "three Pongs at the most"
        );
    });
}
