//! The halves of a socket in several threads, in any order that their locks allow.
//!
//! With `--cfg shuttle`, the locks of the driver are those of shuttle, which may switch to another thread whenever a
//! lock is taken or released, and runs each test in many orders. A lost wake-up leaves every thread blocked, which
//! fails the test. No deadline here could hide that.
//!
//! ```sh
//! RUSTFLAGS='--cfg shuttle' cargo test -p bowline-bind --features futures --test schedules --target-dir target/shuttle
//! SCHEDULES=1000000 SEED=1 RUSTFLAGS='--cfg shuttle' cargo test …
//! ```
#![cfg(shuttle)]

mod server;

use std::{
    collections::VecDeque,
    env,
    io::{self, IoSlice},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use bowline_bind::{
    ReadHalf, Timer, Transport, WebSocket, WriteHalf, drive,
    proto::{
        CloseCode, CloseFrame, Config, Connection, ControlPayload, EntropyError, Instant, Kind,
        Message, Negotiated, Role,
    },
};
use shuttle::{
    future::block_on,
    scheduler::{PctScheduler, RandomScheduler},
    sync::Mutex,
    thread,
};

/// Runs `test` in many orders, which are the same each time. Some are random; in the others, threads seldom overtake
/// each other.
fn schedules(test: fn()) {
    let count = env::var("SCHEDULES").map_or(600, |count| count.parse().unwrap());
    let seed = env::var("SEED").map_or(0, |seed| seed.parse().unwrap());
    let random = RandomScheduler::new_from_seed(seed, count / 2);
    shuttle::Runner::new(random, shuttle::Config::default()).run(test);
    let few = PctScheduler::new_from_seed(seed, 3, count / 2);
    shuttle::Runner::new(few, shuttle::Config::default()).run(test);
}

/// A clock that stands still.
#[derive(Clone)]
struct Stopped;

impl Timer for Stopped {
    fn now(&self) -> Instant {
        Instant::from_epoch(std::time::Duration::from_secs(1000))
    }

    fn poll_until(&mut self, _: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        if deadline <= self.now() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

#[derive(Default)]
struct Lane {
    bytes: VecDeque<u8>,
    capacity: usize,
    ended: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// One end of a pipe. It remembers one waker for each direction, as sockets do.
struct End {
    incoming: Arc<Mutex<Lane>>,
    outgoing: Arc<Mutex<Lane>>,
}

fn pipe(capacity: usize) -> (End, End) {
    let lane = || {
        Arc::new(Mutex::new(Lane {
            capacity,
            ..Lane::default()
        }))
    };
    let (x, y) = (lane(), lane());
    let end = |incoming: &Arc<_>, outgoing: &Arc<_>| End {
        incoming: Arc::clone(incoming),
        outgoing: Arc::clone(outgoing),
    };
    (end(&x, &y), end(&y, &x))
}

impl Transport for End {
    type Clock = Stopped;

    fn clock(&self) -> Stopped {
        Stopped
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut lane = self.incoming.lock().unwrap();
        let len = lane.bytes.len().min(buf.len());
        if len == 0 && !lane.ended {
            lane.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        for (to, from) in buf.iter_mut().zip(lane.bytes.drain(..len)) {
            *to = from;
        }
        let writer = lane.writer.take();
        drop(lane);
        writer.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut lane = self.outgoing.lock().unwrap();
        if lane.ended {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let len = buf.len().min(lane.capacity - lane.bytes.len());
        if len == 0 {
            lane.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        lane.bytes.extend(&buf[..len]);
        let reader = lane.reader.take();
        drop(lane);
        reader.into_iter().for_each(Waker::wake);
        Poll::Ready(Ok(len))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_write(cx, &bufs[0])
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        end(&self.outgoing);
        Poll::Ready(Ok(()))
    }

    fn half_closes(&self) -> bool {
        true
    }
}

impl Drop for End {
    fn drop(&mut self) {
        end(&self.outgoing);
        end(&self.incoming);
    }
}

fn end(lane: &Mutex<Lane>) {
    let mut lane = lane.lock().unwrap();
    lane.ended = true;
    let wakers = [lane.reader.take(), lane.writer.take()];
    drop(lane);
    wakers.into_iter().flatten().for_each(Waker::wake);
}

type Socket = WebSocket<End>;
type Writer = WriteHalf<End>;
type Reader = ReadHalf<End>;

fn pair(capacity: usize) -> (Socket, Socket) {
    fn entropy(bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.fill(0x5A);
        Ok(())
    }
    let mut config = Config::new(entropy);
    config.keep_alive = None;
    config.send_high_water = 20;
    let config = Arc::new(config);
    let (a, b) = pipe(capacity);
    let socket = |end, role| {
        let connection = Connection::new(role, Negotiated::default(), config.clone());
        drive(connection, end)
    };
    (socket(a, Role::Client), socket(b, Role::Server))
}

/// Returns a message of a writer.
fn message(writer: u8, number: u8) -> Message {
    vec![writer, number, 7, 7, 7, 7].into()
}

/// Receives to the end, and answers each message.
fn echo(mut socket: Socket) -> Vec<Message> {
    block_on(async {
        let mut received = Vec::new();
        while let Ok(Some(message)) = socket.recv().await {
            received.push(message.clone());
            // If the connection has closed meanwhile, the next `recv` shows that.
            let _ = socket.feed(message).await;
        }
        received
    })
}

fn drain(mut reader: Reader) -> usize {
    block_on(async {
        let mut count = 0;
        while let Ok(Some(_)) = reader.recv().await {
            count += 1;
        }
        count
    })
}

fn bye() -> CloseFrame {
    CloseCode::NORMAL.into()
}

/// Checks that the messages received from each writer are those in `sent`, in order.
fn check(received: &[Message], writers: &[u8], sent: &[u8]) {
    for writer in writers {
        let of_writer = received
            .iter()
            .filter(|message| message.as_bytes()[0] == *writer);
        let numbers: Vec<u8> = of_writer.map(|message| message.as_bytes()[1]).collect();
        assert_eq!(numbers, sent, "of writer {writer}");
    }
}

/// Polls `future` at most this often, and drops it. Returns whether it was ready.
fn give_up<F: Future>(future: F, times: usize) -> bool {
    let mut future = pin!(future);
    let mut remaining = times;
    block_on(std::future::poll_fn(|cx| {
        if remaining == 0 {
            return Poll::Ready(false);
        }
        remaining -= 1;
        future.as_mut().poll(cx).map(|_| true)
    }))
}

fn sending(writer: &Writer, number: u8) -> thread::JoinHandle<()> {
    let writer = writer.clone();
    thread::spawn(move || {
        block_on(async {
            writer.send(message(number, 0)).await.unwrap();
            writer.send(message(number, 1)).await.unwrap();
        });
    })
}

#[test]
fn a_reader_and_three_writers() {
    schedules(|| {
        let (client, server) = pair(16);
        let peer = thread::spawn(move || echo(server));
        let (reader, writer) = client.split();
        let reading = thread::spawn(move || drain(reader));
        let writing = [1, 2, 3].map(|number| sending(&writer, number));
        writing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        block_on(writer.finish(bye())).unwrap();
        let received = peer.join().unwrap();
        check(&received, &[1, 2, 3], &[0, 1]);
        assert!(reading.join().unwrap() <= 6);
    });
}

#[test]
fn three_writers_and_no_reader() {
    schedules(|| {
        let (client, mut server) = pair(16);
        let peer = thread::spawn(move || {
            block_on(async {
                let mut received = Vec::new();
                while let Ok(Some(message)) = server.recv().await {
                    received.push(message);
                }
                received
            })
        });
        let (reader, writer) = client.split();
        let writing = [1, 2, 3].map(|number| sending(&writer, number));
        // While they wait.
        drop(reader);
        writing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        block_on(writer.close(bye())).unwrap();
        let received = peer.join().unwrap();
        check(&received, &[1, 2, 3], &[0, 1]);
    });
}

/// A call that is dropped while it waits for room, or to be sent, does not hold up the others.
#[test]
fn a_future_that_is_dropped() {
    for times in [1, 2] {
        schedules(if times == 1 {
            || given_up(1)
        } else {
            || given_up(2)
        });
    }
}

fn given_up(times: usize) {
    let (client, server) = pair(16);
    let peer = thread::spawn(move || echo(server));
    let (reader, writer) = client.split();
    let reading = thread::spawn(move || drain(reader));
    let writing = [1, 2].map(|number| sending(&writer, number));
    let dropping = {
        let writer = writer.clone();
        thread::spawn(move || {
            let done = give_up(writer.send(message(3, 0)), times);
            block_on(writer.send(message(3, 1))).unwrap();
            done
        })
    };
    let done = dropping.join().unwrap();
    writing
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    block_on(writer.finish(bye())).unwrap();
    let received = peer.join().unwrap();
    check(&received, &[1, 2], &[0, 1]);
    if done || received.contains(&message(3, 0)) {
        check(&received, &[3], &[0, 1]);
    } else {
        check(&received, &[3], &[1]);
    }
    reading.join().unwrap();
}

/// The future of the reader is dropped and remade at each wait, and writes what others feed.
#[test]
fn a_feed_is_written_by_the_reader() {
    schedules(|| {
        let (client, server) = pair(16);
        let peer = thread::spawn(move || echo(server));
        let (mut reader, writer) = client.split();
        let reading = thread::spawn(move || {
            give_up(reader.recv(), 1);
            give_up(reader.recv(), 2);
            assert!(block_on(reader.recv()).unwrap().is_some());
            reader
        });
        let feeding = [1, 2, 3].map(|number| {
            let writer = writer.clone();
            thread::spawn(move || block_on(writer.feed(message(number, 0))).unwrap())
        });
        feeding
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        let reader = reading.join().unwrap();
        let draining = thread::spawn(move || drain(reader));
        block_on(writer.finish(bye())).unwrap();
        let received = peer.join().unwrap();
        check(&received, &[1, 2, 3], &[0]);
        draining.join().unwrap();
    });
}

/// While a guard owns the outgoing message, the others wait. They go on when it is finished or dropped.
#[test]
fn a_stream_and_two_writers() {
    schedules(|| {
        let (client, server) = pair(16);
        let peer = thread::spawn(move || echo(server));
        let (reader, writer) = client.split();
        let reading = thread::spawn(move || drain(reader));
        let streaming = {
            let writer = writer.clone();
            thread::spawn(move || {
                block_on(async {
                    let mut stream = writer.stream(Kind::Binary).await.unwrap();
                    stream.write(vec![3, 0]).await.unwrap();
                    stream.write(vec![7; 9]).await.unwrap();
                    stream.finish().await.unwrap();
                    // Nothing of this message was sent.
                    drop(writer.stream(Kind::Binary).await.unwrap());
                });
            })
        };
        let writing = [1, 2].map(|number| sending(&writer, number));
        block_on(writer.ping(ControlPayload::default())).unwrap();
        writing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        streaming.join().unwrap();
        block_on(writer.finish(bye())).unwrap();
        let received = peer.join().unwrap();
        check(&received, &[1, 2], &[0, 1]);
        check(&received, &[3], &[0]);
        reading.join().unwrap();
    });
}

/// Every call that waits when the connection ends learns of the end.
#[test]
fn a_close_and_an_abort_free_all_who_wait() {
    fn ended(abort: bool) {
        // The peer reads nothing before the end.
        let (client, server) = pair(16);
        let (reader, writer) = client.split();
        let reading = thread::spawn(move || drain(reader));
        let writing = [1, 2].map(|number| {
            let writer = writer.clone();
            thread::spawn(move || {
                block_on(async {
                    for count in 0..4 {
                        if writer.send(message(number, count)).await.is_err() {
                            break;
                        }
                    }
                });
            })
        });
        if abort {
            writer.abort();
            drop(server);
        } else {
            let peer = thread::spawn(move || echo(server));
            block_on(writer.close(bye())).unwrap();
            peer.join().unwrap();
        }
        writing
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        reading.join().unwrap();
    }
    schedules(|| ended(false));
    schedules(|| ended(true));
}

/// A writer that left receiving to the reader takes over once the reader has its message.
#[test]
fn a_writer_goes_on_when_the_reader_has_left() {
    schedules(|| {
        let (client, mut server) = pair(16);
        let long = |number: u8| Message::from(vec![number; 40]);
        let peer = thread::spawn(move || {
            block_on(async {
                server.send(long(1)).await.unwrap();
                // The reader does not receive while this is sent.
                server.send(long(2)).await.unwrap();
                let mut received = Vec::new();
                while let Ok(Some(message)) = server.recv().await {
                    received.push(message);
                }
                received
            })
        });
        let (mut reader, writer) = client.split();
        let reading = thread::spawn(move || {
            assert_eq!(block_on(reader.recv()).unwrap(), Some(long(1)));
            reader
        });
        let writing = sending(&writer, 1);
        writing.join().unwrap();
        let reader = reading.join().unwrap();
        block_on(writer.finish(bye())).unwrap();
        assert_eq!(drain(reader), 1);
        check(&peer.join().unwrap(), &[1], &[0, 1]);
    });
}

/// The thread that comes first reads the answer, and the messages before it reach the reader in order.
#[test]
fn a_close_beside_a_reader() {
    fn closed(leaves: bool) {
        let (client, server) = pair(16);
        let peer = thread::spawn(move || echo(server));
        let (mut reader, writer) = client.split();
        sending(&writer, 1).join().unwrap();
        let reading = thread::spawn(move || {
            block_on(async {
                let mut received = Vec::new();
                while let Ok(Some(message)) = reader.recv().await {
                    received.push(message);
                    if leaves {
                        break;
                    }
                }
                (received, reader)
            })
        });
        block_on(writer.close(bye())).unwrap();
        let (mut received, mut reader) = reading.join().unwrap();
        while let Ok(Some(message)) = block_on(reader.recv()) {
            received.push(message);
        }
        let sent = [message(1, 0), message(1, 1)];
        assert!(sent.starts_with(&received), "{received:?}");
        peer.join().unwrap();
    }
    schedules(|| closed(true));
    schedules(|| closed(false));
}

/// Two threads poll one socket through its traits. Neither replaces the waker of the other at the transport.
#[cfg(feature = "futures")]
#[test]
fn a_stream_and_a_sink_of_one_socket() {
    use std::{future::poll_fn, pin::Pin};

    use futures_core::Stream;
    use futures_sink::Sink;

    schedules(|| {
        let (client, server) = pair(16);
        let peer = thread::spawn(move || echo(server));
        let client = Arc::new(Mutex::new(client));
        let receiving = client.clone();
        let reading = thread::spawn(move || {
            block_on(async {
                let mut count = 0;
                loop {
                    let next =
                        poll_fn(|cx| Pin::new(&mut *receiving.lock().unwrap()).poll_next(cx)).await;
                    match next {
                        Some(Ok(_)) => count += 1,
                        _ => return count,
                    }
                }
            })
        });
        block_on(async {
            for number in 0..3 {
                poll_fn(|cx| Pin::new(&mut *client.lock().unwrap()).poll_ready(cx))
                    .await
                    .unwrap();
                Pin::new(&mut *client.lock().unwrap())
                    .start_send(message(1, number))
                    .unwrap();
                poll_fn(|cx| Pin::new(&mut *client.lock().unwrap()).poll_flush(cx))
                    .await
                    .unwrap();
            }
            poll_fn(|cx| Sink::poll_close(Pin::new(&mut *client.lock().unwrap()), cx))
                .await
                .unwrap();
        });
        assert!(reading.join().unwrap() <= 3);
        check(&peer.join().unwrap(), &[1], &[0, 1, 2]);
    });
}
