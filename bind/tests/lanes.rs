//! One unsplit socket that two tasks poll: one as a `Stream`, the other as a `Sink`.
#![cfg(feature = "futures")]

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bowline_bind::{
    Error,
    proto::{Config, ControlPayload, Deadline, Message, Role},
};
use futures_core::Stream;
use futures_sink::Sink;
use testing::world::*;

const SECOND: Duration = Duration::from_secs(1);

/// A socket in a lock that tasks can wait for.
#[derive(Clone)]
struct Locked(Rc<(RefCell<Socket>, RefCell<Vec<Waker>>)>);

impl Locked {
    fn new(socket: Socket) -> Self {
        Self(Rc::new((RefCell::new(socket), RefCell::default())))
    }

    /// Polls a trait, and holds the lock for this poll only.
    fn poll<U>(
        &self,
        cx: &mut Context<'_>,
        f: impl FnOnce(Pin<&mut Socket>, &mut Context<'_>) -> Poll<U>,
    ) -> Poll<U> {
        let Ok(mut socket) = self.0.0.try_borrow_mut() else {
            self.0.1.borrow_mut().push(cx.waker().clone());
            return Poll::Pending;
        };
        f(Pin::new(&mut socket), cx)
    }

    /// Calls a method, and holds the lock until it has returned.
    #[expect(
        clippy::await_holding_refcell_ref,
        reason = "it is the lock, and the others ask by `try_borrow_mut`"
    )]
    async fn method<U>(&self, call: impl AsyncFnOnce(&mut Socket) -> U) -> U {
        let mut socket = self.0.0.borrow_mut();
        let value = call(&mut socket).await;
        drop(socket);
        self.0.1.take().into_iter().for_each(Waker::wake);
        value
    }

    async fn next(&self) -> Option<Result<Message, Error>> {
        poll_fn(|cx| self.poll(cx, |socket, cx| socket.poll_next(cx))).await
    }

    async fn ready(&self) -> Result<(), Error> {
        poll_fn(|cx| self.poll(cx, |socket, cx| socket.poll_ready(cx))).await
    }

    async fn flush(&self) -> Result<(), Error> {
        poll_fn(|cx| self.poll(cx, |socket, cx| socket.poll_flush(cx))).await
    }

    async fn close(&self) -> Result<(), Error> {
        poll_fn(|cx| self.poll(cx, |socket, cx| socket.poll_close(cx))).await
    }

    fn start_send(&self, message: Message) -> Result<(), Error> {
        Pin::new(&mut *self.0.0.borrow_mut()).start_send(message)
    }
}

/// Turns off the deadlines, so that none can stand in for a wake-up.
fn patient() -> Config {
    let mut config = config();
    (config.write_timeout, config.keep_alive) = (None, None);
    config
}

/// An echo as it is often written: `StreamExt::split`, and a channel between both halves.
#[test]
fn an_echo_by_a_stream_and_a_sink_in_two_tasks() {
    const COUNT: usize = 300;
    let world = World::default();
    let (client, server) = pair(&world, 4096, patient());
    let socket = Locked::new(server);
    let queue = Rc::new(RefCell::new((VecDeque::new(), None::<Waker>)));
    let (receiving, received) = (socket.clone(), queue.clone());
    world.spawn(async move {
        for _ in 0..COUNT {
            let message = receiving.next().await.unwrap().unwrap();
            let mut queue = received.borrow_mut();
            queue.0.push_back(message);
            queue.1.take().into_iter().for_each(Waker::wake);
        }
    });
    world.spawn(async move {
        for _ in 0..COUNT {
            let message = poll_fn(|cx| {
                let mut queue = queue.borrow_mut();
                queue.1 = Some(cx.waker().clone());
                queue.0.pop_front().map_or(Poll::Pending, Poll::Ready)
            });
            let message = message.await;
            socket.ready().await.unwrap();
            socket.start_send(message).unwrap();
            socket.flush().await.unwrap();
        }
    });
    let (mut reader, writer) = client.split();
    world.spawn(async move {
        for number in 0..COUNT {
            writer.send(vec![number as u8; 64 << 10]).await.unwrap();
        }
    });
    world.block_on(async move {
        for number in 0..COUNT {
            let message = reader.recv().await.unwrap().unwrap();
            assert!(**message.as_bytes() == vec![number as u8; 64 << 10]);
        }
    });
    assert_eq!(world.now(), Duration::ZERO);
}

#[derive(Clone, Copy, Debug)]
enum Call {
    Ready,
    Flush,
    Close,
    Send,
    FlushMethod,
    Ping,
}

/// Each call that may run under back-pressure while a task waits in `poll_next`. Neither replaces the other's waker
/// at the transport, whichever is polled first.
#[test]
fn every_call_that_may_wait_beside_poll_next() {
    use Call::*;
    for call in [Ready, Flush, Close, Send, FlushMethod, Ping] {
        for next_first in [true, false] {
            beside_next(call, next_first);
        }
    }
}

fn beside_next(call: Call, next_first: bool) {
    use Call::*;
    let world = World::default();
    let (client, mut server) = pair(&world, 64, patient());
    let socket = Locked::new(client);
    socket
        .0
        .0
        .borrow_mut()
        .try_send(vec![0; 200_000])
        .expect("there is room");
    let (near, now) = (socket.clone(), world.clone());
    let next = async move {
        let message = near.next().await.unwrap().unwrap();
        assert_eq!(message, Message::from("hello"), "{call:?}");
        // A method holds the lock until it is done. The others do not hold back the message.
        assert!(now.now() <= 3 * SECOND, "{call:?}");
    };
    let (near, clock) = (socket.clone(), world.clone());
    let other = async move {
        // The stream waits when this call begins, or begins to wait a second later.
        if next_first {
            clock.sleep(SECOND / 2).await;
        }
        let done = match call {
            Ready => near.ready().await,
            Flush => near.flush().await,
            Close => near.close().await,
            Send => near.method(async |it| it.send("more").await).await,
            FlushMethod => near.method(async |it| it.flush().await).await,
            Ping => {
                near.method(async |it| it.ping(ControlPayload::default()).await)
                    .await
            }
        };
        done.unwrap();
        assert!(clock.now() >= 2 * SECOND, "{call:?} has waited");
    };
    let later = world.clone();
    if next_first {
        world.spawn(next);
        world.spawn(other);
    } else {
        world.spawn(other);
        world.spawn(async move {
            later.sleep(SECOND / 2).await;
            next.await;
        });
    }
    let clock = world.clone();
    world.spawn_daemon(async move {
        clock.sleep(SECOND).await;
        // Before the peer begins to read, its message can be received.
        server.try_send("hello").unwrap();
        clock.sleep(SECOND).await;
        while let Ok(Some(_)) = server.recv().await {}
    });
    world.run();
}

/// The clock remembers only one waker, too.
#[test]
fn a_deadline_wakes_both_tasks() {
    for next_last in [true, false] {
        let world = World::default();
        let (end, peer) = pipe(&world, 10);
        let socket = Locked::new(socket(end, Role::Client, config()));
        socket.start_send(vec![0; 1000].into()).unwrap();
        let (near, clock) = (socket.clone(), world.clone());
        world.spawn(async move {
            if next_last {
                clock.sleep(SECOND).await;
            }
            let error = near.next().await.unwrap().unwrap_err();
            assert!(
                matches!(error, Error::TimedOut(Deadline::Write)),
                "{error:?}"
            );
        });
        let clock = world.clone();
        world.block_on(async move {
            if !next_last {
                clock.sleep(SECOND).await;
            }
            let error = socket.flush().await.unwrap_err();
            assert!(
                matches!(error, Error::TimedOut(Deadline::Write)),
                "{error:?}"
            );
            drop(peer);
        });
        assert!(world.now() <= 21 * SECOND);
    }
}

/// A stream that is polled again after its task was busy elsewhere finds the event that the sink has kept.
#[test]
fn an_event_that_a_sink_keeps_wakes_the_stream() {
    let world = World::default();
    let (end, peer) = pipe(&world, 0);
    let socket = Locked::new(socket(end, Role::Client, patient()));
    socket.start_send(vec![0; 1000].into()).unwrap();
    let near = socket.clone();
    world.spawn(async move {
        for text in ["1", "2", "3"] {
            assert_eq!(near.next().await.unwrap().unwrap(), Message::from(text));
        }
    });
    let clock = world.clone();
    world.spawn_daemon(async move {
        clock.sleep(SECOND).await;
        let _ = socket.flush().await;
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(2 * SECOND).await;
        let three = [0x81, 1, b'1', 0x81, 1, b'2', 0x81, 1, b'3'];
        peer.outgoing.borrow_mut().push(&three);
        clock.sleep(SECOND).await;
        drop(peer);
    });
}
