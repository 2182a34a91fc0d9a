//! Two sockets of the driver, over a pipe in memory that accepts and returns bytes at random, with a virtual clock
//! and with futures dropped at any wait.
//!
//! A queued message arrives whole, once and in order. A message of a dropped call arrives whole or not at all. No
//! task waits forever. Each end reports one end, and then nothing. If that was a Close, nothing was lost.

use std::{cell::RefCell, future::Future, pin::Pin, rc::Rc, sync::Arc, time::Duration};

use arbitrary::{Result, Unstructured};
use bowline_bind::{
    Connect, Error, Owner, ReadHalf, Streaming, Transport, TrySendError, WebSocket, WriteHalf,
    accept, connect_over, drive,
};
use proto::{
    Config, Connection, ControlPayload, Event, Message, Negotiated, Role,
    deflate::{Agreed, Deflate, Window},
    handshake::Headers,
};

use crate::world::{self, World, poll_times};

use self::{
    fickle::Fickle,
    truth::{Sent, Truth},
};

mod fickle;
mod truth;

/// Runs one input.
pub fn run(data: &[u8]) {
    let _ = talk(&mut Unstructured::new(data));
}

fn talk(input: &mut Unstructured<'_>) -> Result<()> {
    let world = World::default();
    let mut config = Config::new(crate::bodies::transport::entropy);
    config.send_high_water = *input.choose(&[64 << 10, 0, 100])?;
    config.send_frame_size = *input.choose(&[None, Some(50)])?;
    config.reply_to_close = input.int_in_range(0..=7)? != 7;
    let handshake = input.arbitrary::<bool>()?;
    let agreed = input.arbitrary::<bool>()?;
    config.deflate = (agreed && handshake).then(Deflate::low_memory);
    let mut negotiated = Negotiated::default();
    if agreed {
        let window = Window {
            bits: 9,
            takeover: input.arbitrary()?,
        };
        negotiated.deflate = Some(Agreed {
            send: window,
            recv: window,
        });
    }
    let config = Arc::new(config);

    let (mut a, mut b) = world::pipe(&world, *input.choose(&[1 << 16, 16, 100, 1000])?);
    (a.vectored, b.vectored) = (input.arbitrary()?, input.arbitrary()?);
    (a.half_closes, b.half_closes) = (input.arbitrary()?, input.arbitrary()?);
    let lanes = [a.incoming.clone(), a.outgoing.clone()];
    let (client_plan, server_plan) = (Plan::read(input)?, Plan::read(input)?);
    let breaks = input.int_in_range(0..=9)? == 9;
    let breaks_at = Duration::from_millis(input.arbitrary::<u8>()?.into());
    let client = Fickle::new(a, script(input)?);
    let server = Fickle::new(b, script(input)?);
    let plans = [client_plan, server_plan];
    let sides = [Role::Client, Role::Server].map(|_| Rc::new(RefCell::new(Side::default())));

    for ((role, plan), (io, [side, other])) in [Role::Client, Role::Server]
        .into_iter()
        .zip(plans)
        .zip([client, server].into_iter().zip([
            [sides[0].clone(), sides[1].clone()],
            [sides[1].clone(), sides[0].clone()],
        ]))
    {
        let (world, config, negotiated) = (world.clone(), config.clone(), negotiated.clone());
        world.clone().spawn(async move {
            let sides = (side, other);
            if !handshake {
                let connection = Connection::new(role, negotiated, config.clone());
                let socket = drive(connection, io);
                converse(&world, Some(socket), plan, sides).await;
            } else if role == Role::Server {
                let incoming = accept(io, config.clone()).await.ok();
                let socket = match incoming {
                    Some(incoming) => incoming.accept(None, Headers::new()).await.ok(),
                    None => None,
                };
                converse(&world, socket, plan, sides).await;
            } else {
                let to = Connect::new("ws://a.test/").config(config.clone());
                let connected = connect_over(&world, |_| io, to).await.ok();
                let socket = connected.map(|(socket, _)| socket);
                converse(&world, socket, plan, sides).await;
            }
        });
    }
    if breaks {
        let timer = world.clone();
        world.spawn(async move {
            timer.sleep(breaks_at).await;
            lanes.iter().for_each(|lane| lane.borrow_mut().reset());
        });
    }
    let (timer, watched) = (world.clone(), sides.clone());
    world.spawn(async move {
        timer.sleep(Duration::from_secs(3600)).await;
        let over = watched.iter().all(|side| side.borrow().ends == 1);
        assert!(over, "a call waits although every deadline has passed");
    });
    world.run();
    for (side, other) in [(&sides[0], &sides[1]), (&sides[1], &sides[0])] {
        let (side, other) = (side.borrow(), other.borrow());
        assert_eq!(side.ends, 1, "one end, and then nothing");
        if other.clean {
            let complete = side.truths.iter().all(Truth::is_complete);
            assert!(
                complete,
                "lost, although it was sent and everything ended well"
            );
        }
    }
    Ok(())
}

/// The messages of one end, and how the connection ended for it.
#[derive(Default)]
struct Side {
    /// One for each of its writers.
    truths: [Truth; 2],
    ends: u32,
    /// Whether it ended with a Close from each side.
    clean: bool,
    /// The number of writers that have not finished.
    writers: usize,
}

type Shared = Rc<RefCell<Side>>;

struct Plan {
    split: bool,
    writers: [Vec<Op>; 2],
    /// The numbers of waits after which a call to receive is dropped, used in turn.
    recv: Vec<u8>,
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Send {
        text: bool,
        len: usize,
        drop: Option<u8>,
    },
    Feed {
        text: bool,
        len: usize,
        drop: Option<u8>,
    },
    TrySend {
        text: bool,
        len: usize,
    },
    Stream {
        text: bool,
        len: usize,
        pieces: u8,
    },
    Flush {
        drop: Option<u8>,
    },
    Ping {
        drop: Option<u8>,
    },
    Pong {
        drop: Option<u8>,
    },
    Recv {
        count: u8,
        drop: Option<u8>,
    },
    Sleep(Duration),
    Abort,
}

impl Plan {
    fn read(input: &mut Unstructured<'_>) -> Result<Self> {
        let split = input.arbitrary()?;
        let mut writers = [Vec::new(), Vec::new()];
        for ops in &mut writers[..1 + usize::from(split)] {
            for _ in 0..input.int_in_range(0..=6)? {
                ops.push(Op::read(input)?);
            }
        }
        let recv = input.arbitrary::<[u8; 3]>()?.to_vec();
        Ok(Self {
            split,
            writers,
            recv,
        })
    }
}

impl Op {
    fn read(input: &mut Unstructured<'_>) -> Result<Self> {
        let [what, len, drop] = input.arbitrary::<[u8; 3]>()?;
        let text = what & 0x10 != 0;
        let len = usize::from(len) * if what & 0x20 != 0 { 9 } else { 1 };
        let drop = (drop < 128).then_some(drop % 8);
        Ok(match what % 16 {
            0..=3 => Self::Send { text, len, drop },
            4 | 5 => Self::Feed { text, len, drop },
            6 => Self::TrySend { text, len },
            7 => Self::Stream {
                text,
                len,
                pieces: drop.unwrap_or(3),
            },
            8 => Self::Flush { drop },
            9 => Self::Ping { drop },
            10 => Self::Pong { drop },
            11 | 12 => Self::Recv {
                count: len as u8 % 4,
                drop,
            },
            13 => Self::Sleep(Duration::from_millis(len as u64)),
            14 => Self::Sleep(Duration::from_secs(len as u64 % 32)),
            _ if len == 0 => Self::Abort,
            _ => Self::Flush { drop: None },
        })
    }
}

fn script(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = input.int_in_range(0..=40)?;
    Ok(input.bytes(len.min(input.len()))?.to_vec())
}

/// Runs one end, unless its opening handshake has failed.
async fn converse<S: Transport + 'static>(
    world: &World,
    socket: Option<WebSocket<S>>,
    plan: Plan,
    (side, other): (Shared, Shared),
) {
    match socket {
        None => side.borrow_mut().ends = 1,
        Some(socket) if plan.split => split(world, socket, plan, side, other),
        Some(socket) => whole(world, socket, plan, &side, &other).await,
    }
}

/// Runs one end as one task: it sends its messages, closes, and receives the others.
async fn whole<S: Transport>(
    world: &World,
    socket: WebSocket<S>,
    plan: Plan,
    side: &Shared,
    other: &Shared,
) {
    let mut socket = Speaker::Whole(Box::new(socket));
    let mut drops = plan.recv.into_iter();
    for op in &plan.writers[0] {
        match op {
            Op::Recv { count, drop } => {
                let Speaker::Whole(socket) = &mut socket else {
                    unreachable!("it is not split");
                };
                for _ in 0..*count {
                    let heard = within(*drop, Box::pin(socket.recv_event())).await;
                    if let Some(heard) = heard
                        && hear(heard, side, other)
                    {
                        assert!(matches!(socket.recv().await, Ok(None)));
                        side.borrow_mut().clean = socket.closed().is_some_and(|end| end.clean);
                        return;
                    }
                }
            }
            op => say(world, &mut socket, *op, 0, side).await,
        }
    }
    let Speaker::Whole(mut socket) = socket else {
        unreachable!("it is not split");
    };
    let _ = socket.finish(None).await;
    loop {
        let heard = within(
            drops.next().map(|drop| drop % 8),
            Box::pin(socket.recv_event()),
        )
        .await;
        if let Some(heard) = heard
            && hear(heard, side, other)
        {
            break;
        }
    }
    assert!(matches!(socket.recv().await, Ok(None)));
    assert!(matches!(socket.recv_chunk().await, Ok(None)));
    side.borrow_mut().clean = socket.closed().expect("it has ended").clean;
}

/// Runs one end as three tasks: two that send, the last of which closes, and one that receives.
fn split<S: Transport + 'static>(
    world: &World,
    socket: WebSocket<S>,
    plan: Plan,
    side: Shared,
    other: Shared,
) {
    let (read, write) = socket.split();
    side.borrow_mut().writers = plan.writers.len();
    for (writer, ops) in plan.writers.into_iter().enumerate() {
        let (timer, side, write) = (world.clone(), side.clone(), write.clone());
        world.spawn(async move {
            let mut speaker = Speaker::Half(write);
            for op in ops {
                say(&timer, &mut speaker, op, writer, &side).await;
            }
            side.borrow_mut().writers -= 1;
            if side.borrow().writers == 0
                && let Speaker::Half(write) = &speaker
            {
                let _ = write.finish(None).await;
            }
        });
    }
    world.spawn(listen(read, plan.recv, side, other));
}

async fn listen<S: Transport>(mut read: ReadHalf<S>, drops: Vec<u8>, side: Shared, other: Shared) {
    let mut drops = drops.into_iter();
    loop {
        let heard = within(
            drops.next().map(|drop| drop % 8),
            Box::pin(read.recv_event()),
        )
        .await;
        if let Some(heard) = heard
            && hear(heard, &side, &other)
        {
            break;
        }
    }
    assert!(matches!(read.recv().await, Ok(None)));
    side.borrow_mut().clean = read.closed().expect("it has ended").clean;
}

/// Runs the future, and drops it after `drop` waits.
async fn within<F: Future + Unpin>(drop: Option<u8>, future: F) -> Option<F::Output> {
    match drop {
        None => Some(future.await),
        Some(count) => poll_times(future, usize::from(count)).await.ok(),
    }
}

/// Records what was received. Returns whether it was the end.
fn hear(heard: std::result::Result<Option<Event>, Error>, side: &Shared, other: &Shared) -> bool {
    match heard {
        Ok(Some(Event::Data(message))) => {
            let writer = usize::from(message.as_bytes()[0] - b'0');
            other.borrow_mut().truths[writer].heard(&message);
            false
        }
        Ok(Some(_)) => false,
        Ok(None) => {
            side.borrow_mut().ends += 1;
            true
        }
        Err(Error::Protocol(error)) => panic!("the peer is one of ours: {error}"),
        Err(_) => {
            side.borrow_mut().ends += 1;
            true
        }
    }
}

/// Either kind of handle that can send.
enum Speaker<S: Transport> {
    Whole(Box<WebSocket<S>>),
    Half(WriteHalf<S>),
}

/// Makes the same call on either.
macro_rules! on {
    ($speaker:expr, $socket:ident => $call:expr) => {
        match $speaker {
            Speaker::Whole($socket) => $call.await,
            Speaker::Half($socket) => $call.await,
        }
    };
}

async fn say<S: Transport>(
    world: &World,
    speaker: &mut Speaker<S>,
    op: Op,
    writer: usize,
    side: &Shared,
) {
    let message = |text, len| side.borrow_mut().truths[writer].message(writer as u8, text, len);
    let sent = |message, sent| side.borrow_mut().truths[writer].sent(message, sent);
    let flushed = |was_queued| {
        let truth = &mut side.borrow_mut().truths[writer];
        if was_queued {
            truth.was_queued();
        }
        truth.was_flushed();
    };
    let empty = ControlPayload::default();
    match op {
        Op::Send { text, len, drop } => {
            let message = message(text, len);
            // It may be received before `send` resolves.
            sent(message.clone(), Sent::Perhaps);
            let done = within(
                drop,
                boxed(async { on!(speaker, socket => socket.send(message)) }),
            );
            if let Some(Ok(())) = done.await {
                flushed(true);
            }
        }
        Op::Feed { text, len, drop } => {
            let message = message(text, len);
            let done = within(
                drop,
                boxed(async { on!(speaker, socket => socket.feed(message.clone())) }),
            );
            if let Some(Ok(())) = done.await {
                sent(message, Sent::Queued);
            }
        }
        Op::TrySend { text, len } => {
            let message = message(text, len);
            let tried = match speaker {
                Speaker::Whole(socket) => socket.try_send(message.clone()),
                Speaker::Half(socket) => socket.try_send(message.clone()),
            };
            match tried {
                Ok(()) => sent(message, Sent::Queued),
                Err(TrySendError::Full(_) | TrySendError::Failed(_)) => {}
            }
        }
        Op::Stream { text, len, pieces } => {
            let message = message(text, len);
            sent(message.clone(), Sent::Perhaps);
            let pieces = cut(&message, pieces);
            let streamed = match speaker {
                Speaker::Whole(socket) => stream(socket.stream(message.kind()).await, pieces).await,
                Speaker::Half(socket) => stream(socket.stream(message.kind()).await, pieces).await,
            };
            if streamed.is_ok() {
                flushed(true);
            }
        }
        Op::Flush { drop } => {
            let flush = boxed(async { on!(speaker, socket => socket.flush()) });
            if let Some(Ok(())) = within(drop, flush).await {
                flushed(false);
            }
        }
        Op::Ping { drop } => {
            let ping = boxed(async { on!(speaker, socket => socket.ping(empty)) });
            let _ = within(drop, ping).await;
        }
        Op::Pong { drop } => {
            let pong = boxed(async { on!(speaker, socket => socket.pong(empty)) });
            let _ = within(drop, pong).await;
        }
        Op::Sleep(after) => world.sleep(after).await,
        Op::Abort => match speaker {
            Speaker::Whole(socket) => socket.abort(),
            Speaker::Half(socket) => socket.abort(),
        },
        // A write half cannot do this.
        Op::Recv { .. } => {}
    }
}

fn boxed<'a, T>(future: impl Future<Output = T> + 'a) -> Pin<Box<dyn Future<Output = T> + 'a>> {
    Box::pin(future)
}

/// Sends the pieces of a message, and its end.
async fn stream<O: Owner>(
    guard: std::result::Result<Streaming<O>, Error>,
    pieces: Vec<Message>,
) -> std::result::Result<(), Error> {
    let mut guard = guard?;
    for piece in pieces {
        guard.write(piece).await?;
    }
    guard.finish().await
}

/// Cuts the message into pieces.
fn cut(message: &Message, pieces: u8) -> Vec<Message> {
    let mut cut = Vec::new();
    let size = message.len() / (1 + usize::from(pieces)) + 1;
    let mut rest = message.as_bytes().clone();
    while !rest.is_empty() {
        let mut at = size.min(rest.len());
        if let Some(text) = message.as_text() {
            let start = text.len() - rest.len();
            while !text.is_char_boundary(start + at) {
                at += 1;
            }
        }
        let piece = rest.split_to(at);
        cut.push(match message {
            Message::Text(_) => String::from_utf8(piece.into())
                .expect("whole characters")
                .into(),
            Message::Binary(_) => piece.into(),
        });
    }
    cut
}
