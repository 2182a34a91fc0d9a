//! Plays a scenario, and records what each end has seen.

use std::sync::Arc;

use bind::{
    Connect, Error,
    proto::{
        Chunk, CloseCode, CloseFrame, Closed, Config, ControlPayload, Event, Message, Outgoing,
        handshake::{Headers, Response},
    },
};

use crate::{
    bench::Bench,
    binding::{Incoming, ReadHalf, Socket, WriteHalf},
    cutter::{Cut, Cutter, Cutting},
    plan::Plan,
    script::{Act, Answer, PIECES, Scenario, Script},
};

/// The trouble that is planned for one end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubled {
    pub(crate) plan: Plan,
    pub(crate) cutter: Cutter,
}

/// The part of a game that one end has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) opened: bool,
    pub(crate) received: Vec<Message>,
    /// The received part of an incomplete message in chunks.
    pub(crate) part: Vec<u8>,
    /// The number of messages of each writer that were accepted by the calls that send.
    pub(crate) sent: Vec<usize>,
    /// The number of receiving calls that have failed.
    pub(crate) errors: usize,
    pub(crate) closed: Option<Closed>,
    /// Whether this end closed or ended the connection on purpose.
    pub(crate) ended: bool,
    /// The first failure.
    pub(crate) failed: Option<String>,
}

/// How the script goes on after an act.
#[derive(PartialEq)]
enum Then {
    On,
    /// There is nothing more to receive, or an act has failed.
    Over,
    Gone,
}

/// Plays a scenario, and returns what client and server have seen.
pub(crate) async fn play<B: Bench>(
    bench: B,
    scenario: &'static Scenario,
    ends: [Troubled; 2],
) -> [Seen; 2] {
    let (mut near, mut far) = (Config::default(), Config::default());
    (scenario.configure)(&mut near, &mut far, B::UNIT);
    let [client, server] = ends;
    // TLS alone takes some thousand bytes.
    let least = if bench.url().starts_with("wss") {
        600
    } else {
        0
    };
    let capacity = scenario.capacity.max(least);
    let (a, b) = bench.pipe(capacity, client.plan.clone(), server.plan.clone());
    let connecting = Box::pin(connect(bench.clone(), scenario, a, client, near));
    let accepting = Box::pin(accept(bench.clone(), scenario, b, server, Arc::new(far)));
    let (near, far) = bench.both(connecting, accepting).await;
    [near, far]
}

async fn connect<B: Bench>(
    bench: B,
    scenario: &'static Scenario,
    end: B::End,
    troubled: Troubled,
    config: Config,
) -> Seen {
    let mut to = Connect::new(bench.url()).config(config);
    for name in scenario.offers {
        to = to.subprotocol(*name);
    }
    let connected = troubled
        .cutter
        .run(Cut::Opening, bench.connect(end, to))
        .await;
    match connected {
        Some(Ok(socket)) => run(bench, scenario.client, socket, troubled).await,
        Some(Err(error)) => Seen {
            failed: Some(error.to_string()),
            ..Seen::default()
        },
        None => Seen::default(),
    }
}

async fn accept<B: Bench>(
    bench: B,
    scenario: &'static Scenario,
    end: B::End,
    troubled: Troubled,
    config: Arc<Config>,
) -> Seen {
    let cutter = troubled.cutter.clone();
    let accepted = cutter.run(Cut::Opening, bench.accept(end, &config)).await;
    let incoming = match accepted {
        Some(Ok(incoming)) => incoming,
        Some(Err(error)) => {
            return Seen {
                failed: Some(error),
                ..Seen::default()
            };
        }
        None => return Seen::default(),
    };
    let answered = cutter
        .run(Cut::Opening, answer::<B>(scenario, incoming))
        .await;
    match answered.flatten() {
        Some(socket) => run(bench, scenario.server, socket, troubled).await,
        None => Seen::default(),
    }
}

async fn answer<B: Bench>(scenario: &Scenario, incoming: B::Incoming) -> Option<B::Server> {
    match scenario.answer {
        Answer::Open => Some(incoming.open().await),
        Answer::Speaks(name) => Some(incoming.accept(Some(name), Headers::new()).await.unwrap()),
        Answer::Corrects(name) => {
            let Err(refused) = incoming.accept(Some("other"), Headers::new()).await else {
                panic!("it was not offered");
            };
            let (_, incoming) = B::Incoming::again(refused);
            Some(incoming.accept(Some(name), Headers::new()).await.unwrap())
        }
        Answer::Refuses(status, body) => {
            incoming.refuse(Response::new(status, body)).await;
            None
        }
        Answer::Drops => None,
    }
}

async fn run<B: Bench>(
    bench: B,
    script: Script,
    socket: impl Socket + Sync,
    troubled: Troubled,
) -> Seen {
    let Troubled { plan, cutter } = troubled;
    plan.arm();
    let inner = socket;
    let socket = Cutting { inner, cutter };
    match script {
        Script::Whole(acts) => Box::pin(whole(bench, acts, socket, plan)).await,
        Script::Split(acts, writers) => Box::pin(split(bench, acts, writers, socket)).await,
    }
}

/// The acts that a socket and a write half have in common.
macro_rules! send {
    ($seen:ident, $socket:ident, $bench:ident, $act:expr, $writer:expr) => {{
        let number = $seen.sent[$writer];
        let message = $act.body().map(|body| body.message($writer, number));
        let message = || message.clone().expect("an act that sends");
        let done = match $act {
            Act::Send(_) => $socket.send(message()).await,
            Act::Feed(_) => $socket.feed(message()).await,
            Act::TrySend(_) => $socket.try_send(message()).map_err(|error| match error {
                bind::TrySendError::Failed(error) => error,
                full => panic!("{full}"),
            }),
            Act::Plain(_) => $socket.send(Outgoing::uncompressed(message())).await,
            Act::Prepared(_) => {
                let mut config = Config::default();
                config.deflate = Some(Default::default());
                let prepared = bind::proto::Prepared::new(message(), &config);
                $socket.send(&prepared).await
            }
            Act::Chunks(lens) => {
                let mut done = Ok(());
                for chunk in chunks(&message(), lens) {
                    if done.is_ok() {
                        done = $socket.send_chunk(chunk).await;
                    }
                }
                done
            }
            Act::Stream(lens) => {
                let pieces = chunks(&message(), lens).map(|chunk| chunk.data).collect();
                $socket.send_pieces(PIECES, pieces).await
            }
            Act::Leave(lens) => {
                $seen.ended = true;
                let pieces = lens.iter().map(|len| "?".repeat(*len).into()).collect();
                $socket.leave_pieces(PIECES, pieces).await
            }
            Act::Begin(len) => {
                let data = Message::from("?".repeat(len));
                $socket.send_chunk(Chunk { data, fin: false }).await
            }
            Act::Flush => $socket.flush().await,
            Act::Ping => $socket.ping(ControlPayload::new("ping").unwrap()).await,
            Act::Pong => $socket.pong(ControlPayload::new("pong").unwrap()).await,
            Act::Sleep(units) => {
                $bench.sleep(B::UNIT * units).await;
                Ok(())
            }
            Act::Finish => {
                $seen.ended = true;
                $socket.finish(bye()).await
            }
            Act::Abort => {
                $seen.ended = true;
                $socket.abort();
                Ok(())
            }
            act => panic!("{act:?} cannot be done by a write half"),
        };
        match done {
            Ok(()) => {
                $seen.sent[$writer] += usize::from($act.body().is_some());
                Then::On
            }
            Err(error) => {
                fail(&mut $seen, format!("{:?}: {error}", $act));
                Then::Over
            }
        }
    }};
}

/// The acts that a socket and a read half have in common.
macro_rules! receive {
    ($seen:ident, $socket:ident, $act:expr) => {
        match $act {
            Act::Recv(count) => {
                let mut then = Then::On;
                for _ in 0..count {
                    if then == Then::On {
                        then = match $socket.recv().await {
                            Ok(Some(message)) => {
                                $seen.received.push(message);
                                Then::On
                            }
                            end => over(&mut $seen, end),
                        };
                    }
                }
                then
            }
            Act::Chunked(count) => {
                let mut then = Then::On;
                let mut whole = 0;
                while then == Then::On && whole < count {
                    match $socket.recv_chunk().await {
                        Ok(Some(Chunk { data, fin })) => {
                            $seen.part.extend_from_slice(data.as_bytes());
                            if fin {
                                whole += 1;
                                let bytes = std::mem::take(&mut $seen.part);
                                $seen.received.push(match data {
                                    Message::Text(_) => String::from_utf8(bytes).unwrap().into(),
                                    Message::Binary(_) => bytes.into(),
                                });
                            }
                        }
                        end => then = over(&mut $seen, end),
                    }
                }
                then
            }
            Act::UntilPing | Act::UntilPong | Act::UntilClose => loop {
                match $socket.recv_event().await {
                    Ok(Some(event)) => {
                        let wanted = match &event {
                            Event::Ping(_) => matches!($act, Act::UntilPing),
                            Event::Pong(_) => matches!($act, Act::UntilPong),
                            Event::Close(_) => matches!($act, Act::UntilClose),
                            _ => false,
                        };
                        if let Event::Data(message) = event {
                            $seen.received.push(message);
                        }
                        if wanted {
                            break Then::On;
                        }
                    }
                    end => break over(&mut $seen, end),
                }
            },
            act => panic!("{act:?} cannot be done by a read half"),
        }
    };
}

/// Receives to the end, which must be reported once and remain.
macro_rules! drain {
    ($seen:ident, $socket:ident) => {
        while let Then::On = receive!($seen, $socket, Act::Recv(1)) {}
        for _ in 0..2 {
            let again = $socket.recv().await;
            assert!(matches!(again, Ok(None)), "after the end: {again:?}");
        }
        $seen.closed = $socket.closed();
        assert!(
            $seen.closed.is_some(),
            "it has ended, and `closed` says nothing"
        );
    };
}

async fn whole<B: Bench>(
    bench: B,
    acts: &'static [Act],
    mut socket: impl Socket,
    plan: Plan,
) -> Seen {
    let mut seen = Seen {
        opened: true,
        sent: vec![0],
        ..Seen::default()
    };
    for act in acts.iter().copied() {
        let then = match act {
            Act::Recv(_) | Act::Chunked(_) | Act::UntilPing | Act::UntilPong | Act::UntilClose => {
                receive!(seen, socket, act)
            }
            Act::Close | Act::CloseBare => {
                seen.ended = true;
                match socket
                    .close(bye().filter(|_| matches!(act, Act::Close)))
                    .await
                {
                    Ok(()) => Then::On,
                    Err(error) => {
                        seen.errors += 1;
                        fail(&mut seen, format!("{act:?}: {error}"));
                        Then::Over
                    }
                }
            }
            Act::Drop => Then::Gone,
            act => send!(seen, socket, bench, act, 0),
        };
        match then {
            Then::On => {}
            Then::Over => {
                let _ = socket.finish(None).await;
                break;
            }
            Then::Gone => return seen,
        }
    }
    drain!(seen, socket);
    assert!(!plan.lives(), "the transport outlives the connection");
    seen
}

async fn split<B: Bench>(
    bench: B,
    acts: &'static [Act],
    writers: &'static [&'static [Act]],
    socket: impl Socket,
) -> Seen {
    let (read, write) = socket.split();
    let halves = writers.iter().enumerate();
    let halves: Vec<_> = halves
        .map(|(number, acts)| writing(bench.clone(), number, acts, write.clone()))
        .collect();
    drop(write);
    let (mut seen, others) = bench
        .both(reading(acts, read), bench.clone().all(halves))
        .await;
    for (number, other) in others.into_iter().enumerate() {
        seen.sent.push(other.sent[number]);
        seen.ended |= other.ended;
        seen.failed = seen.failed.or(other.failed);
    }
    seen
}

async fn reading(acts: &'static [Act], mut half: impl ReadHalf) -> Seen {
    let mut seen = Seen {
        opened: true,
        ..Seen::default()
    };
    for act in acts.iter().copied() {
        if matches!(act, Act::Drop) {
            return seen;
        }
        if receive!(seen, half, act) == Then::Over {
            break;
        }
    }
    drain!(seen, half);
    seen
}

async fn writing<B: Bench>(
    bench: B,
    number: usize,
    acts: &'static [Act],
    half: impl WriteHalf,
) -> Seen {
    let mut seen = Seen {
        sent: vec![0; number + 1],
        ..Seen::default()
    };
    for act in acts.iter().copied() {
        let then = match act {
            Act::Close => {
                seen.ended = true;
                match half.close(bye()).await {
                    Ok(()) => Then::On,
                    Err(error) => {
                        fail(&mut seen, format!("{act:?}: {error}"));
                        Then::Over
                    }
                }
            }
            act => send!(seen, half, bench, act, number),
        };
        if then != Then::On {
            let _ = half.finish(None).await;
            break;
        }
    }
    seen
}

fn fail(seen: &mut Seen, why: String) {
    seen.failed.get_or_insert(why);
}

fn over<T>(seen: &mut Seen, end: Result<Option<T>, Error>) -> Then {
    if let Err(error) = end {
        seen.errors += 1;
        fail(seen, error.to_string());
    }
    Then::Over
}

/// Returns the pieces of a message, and an empty piece that ends it.
fn chunks(message: &Message, lens: &'static [usize]) -> impl Iterator<Item = Chunk> {
    let mut text = String::from_utf8(message.as_bytes().to_vec()).unwrap();
    let mut pieces: Vec<Chunk> = Vec::new();
    for len in lens {
        let remainder = text.split_off(*len);
        let data = std::mem::replace(&mut text, remainder).into();
        pieces.push(Chunk { data, fin: false });
    }
    let data = text.into();
    pieces.push(Chunk { data, fin: true });
    pieces.into_iter()
}

fn bye() -> Option<CloseFrame> {
    Some(CloseCode::NORMAL.into())
}
