//! The result of every call after every end, compared with the table in the documentation of the socket.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use bowline_bind::{
    Error, TrySendError,
    proto::{
        Chunk, CloseCode, CloseFrame, Closed, Config, ControlPayload, Event, Initiator, Kind,
        Message, Role, SendError, State,
    },
};
use testing::world::*;

const TABLE: &str = include_str!("../src/ends.md");

type Reader = bowline_bind::ReadHalf<End>;
type Writer = bowline_bind::WriteHalf<End>;

/// A socket, or both its halves.
enum Client {
    Whole(Box<Socket>),
    Halves(Reader, Writer),
}

macro_rules! read {
    ($client:expr, $socket:ident => $call:expr) => {
        match $client {
            Client::Whole($socket) => $call.await,
            Client::Halves($socket, _) => $call.await,
        }
    };
}

macro_rules! write {
    ($client:expr, $socket:ident => $call:expr) => {
        match $client {
            Client::Whole($socket) => $call,
            Client::Halves(_, $socket) => $call,
        }
    };
}

fn name(error: &Error) -> String {
    match error {
        Error::Lost(_) => "Lost".into(),
        Error::Protocol(_) => "Protocol".into(),
        Error::TimedOut(deadline) => {
            let deadline = format!("{deadline:?}");
            format!("TimedOut({deadline})")
        }
        Error::Send(SendError::Closed) => "Closed".into(),
        other => format!("{other:?}"),
    }
}

fn done(result: &Result<(), Error>) -> String {
    result.as_ref().map_or_else(name, |()| "Ok".into())
}

impl Client {
    fn new(socket: Socket, split: bool) -> Self {
        if split {
            let (reader, writer) = socket.split();
            Self::Halves(reader, writer)
        } else {
            Self::Whole(Box::new(socket))
        }
    }

    async fn recv(&mut self, call: usize) -> String {
        let received = match call % 3 {
            0 => read!(self, it => it.recv()).map(|it| it.is_some()),
            1 => loop {
                match read!(self, it => it.recv_event()) {
                    Ok(Some(Event::Close(_))) => {}
                    received => break received.map(|it| it.is_some()),
                }
            },
            _ => read!(self, it => it.recv_chunk()).map(|it| it.is_some()),
        };
        match received {
            Ok(true) => "a message".into(),
            Ok(false) => "None".into(),
            Err(error) => name(&error),
        }
    }

    async fn send(&mut self, call: usize) -> String {
        let payload = ControlPayload::default();
        let chunk = Chunk {
            data: Message::from("x"),
            fin: true,
        };
        let sent = match call {
            0 => write!(self, it => it.send("x").await),
            1 => write!(self, it => it.feed("x").await),
            2 => match write!(self, it => it.try_send("x")) {
                Ok(()) => Ok(()),
                Err(TrySendError::Failed(error)) => Err(error),
                Err(full) => panic!("{full}"),
            },
            3 => write!(self, it => it.send_chunk(chunk).await),
            4 => write!(self, it => it.stream(Kind::Text).await.map(drop)),
            5 => write!(self, it => it.ping(payload).await),
            _ => write!(self, it => it.pong(payload).await),
        };
        done(&sent)
    }

    async fn finish(&mut self, code: CloseCode) -> Result<(), Error> {
        write!(self, it => it.finish(Some(CloseFrame::from(code))).await)
    }

    fn closed(&self) -> Option<Closed> {
        match self {
            Self::Whole(socket) => socket.closed().cloned(),
            Self::Halves(reader, writer) => {
                assert_eq!(reader.closed(), writer.closed());
                writer.closed()
            }
        }
    }
}

const ENDS: [&str; 12] = [
    "this end closed, and the peer answered",
    "the peer closed",
    "a streamed message was dropped unfinished",
    "the transport ended without a Close",
    "the transport was reset",
    "the peer broke the protocol",
    "`write_timeout`",
    "`pong_timeout`",
    "`close_timeout`",
    "`idle_timeout`",
    "`message_timeout`",
    "`abort`",
];

/// Brings a client to the point where it is about to end in this way, and makes its peer do what that needs.
async fn prepare(end: &str, client: &mut Client, peer: &End) {
    let (sent, lane) = (&peer.incoming, &peer.outgoing);
    match end {
        "this end closed, and the peer answered" => {
            client.finish(CloseCode::NORMAL).await.unwrap();
            lane.borrow_mut().push(&[0x88, 2, 3, 0xE8]);
            lane.borrow_mut().close();
        }
        "the peer closed" => {
            lane.borrow_mut().push(&[0x88, 2, 3, 0xE9]);
            lane.borrow_mut().close();
        }
        "a streamed message was dropped unfinished" => {
            write!(client, it => {
                let mut stream = it.stream(Kind::Text).await.unwrap();
                stream.write("half").await.unwrap();
            });
            lane.borrow_mut().push(&[0x88, 0]);
            lane.borrow_mut().close();
        }
        "the transport ended without a Close" => lane.borrow_mut().close(),
        "the transport was reset" => {
            lane.borrow_mut().reset();
            sent.borrow_mut().reset();
        }
        "the peer broke the protocol" => {
            lane.borrow_mut().push(&[0x83, 0]);
            lane.borrow_mut().close();
        }
        "`write_timeout`" => {
            sent.borrow_mut().set_capacity(0);
            write!(client, it => it.feed("stuck").await).unwrap();
        }
        "`pong_timeout`" | "`idle_timeout`" => {}
        "`message_timeout`" => lane.borrow_mut().push(&[0x01, 0]),
        "`close_timeout`" => client.finish(CloseCode::NORMAL).await.unwrap(),
        "`abort`" => write!(client, it => it.abort()),
        other => panic!("{other}"),
    }
}

/// Returns the cells of the row.
fn row(end: &'static str, split: bool) -> Vec<String> {
    let run = |call: Box<dyn AsyncCall>| {
        let world = World::default();
        let (near, peer) = pipe(&world, 1 << 20);
        let client = socket(near, Role::Client, patient(end));
        world.block_on(async move {
            let mut client = Client::new(client, split);
            prepare(end, &mut client, &peer).await;
            let cell = call.call(&mut client).await;
            drop(peer);
            cell
        })
    };
    let same = |cells: Vec<String>| {
        assert!(
            cells.iter().all(|cell| *cell == cells[0]),
            "{end}: {cells:?}"
        );
        cells[0].clone()
    };
    let meets = same((0..3).map(|call| run(Box::new(Meets(call)))).collect());
    let after = same((0..3).map(|call| run(Box::new(Recv(call)))).collect());
    let sends = same((0..7).map(|call| run(Box::new(Sends(call)))).collect());
    vec![
        meets,
        after,
        sends,
        run(Box::new(Flush)),
        run(Box::new(Finish)),
        run(Box::new(Close)),
        run(Box::new(IsClosed)),
    ]
}

fn patient(end: &str) -> Config {
    let mut config = config();
    if end != "`pong_timeout`" {
        config.keep_alive = None;
    }
    match end {
        "`idle_timeout`" => config.idle_timeout = Some(Duration::from_secs(10)),
        "`message_timeout`" => config.message_timeout = Some(Duration::from_secs(10)),
        _ => {}
    }
    config
}

/// One cell: a call of a client that has met its end.
trait AsyncCall {
    fn call<'a>(
        &self,
        client: &'a mut Client,
    ) -> std::pin::Pin<Box<dyn Future<Output = String> + 'a>>;
}

macro_rules! cell {
    ($name:ident $(($call:ident))?, $client:ident => $value:expr) => {
        struct $name $((cell!(@ $call)))?;

        impl AsyncCall for $name {
            fn call<'a>(
                &self,
                $client: &'a mut Client,
            ) -> std::pin::Pin<Box<dyn Future<Output = String> + 'a>> {
                $(let Self($call) = *self;)?
                Box::pin(async move { $value })
            }
        }
    };
    (@ $call:ident) => { usize };
}

cell!(Meets(call), client => client.recv(call).await);
cell!(Recv(call), client => {
    meet(client).await;
    client.recv(call).await
});
cell!(Sends(call), client => {
    meet(client).await;
    let sent = client.send(call).await;
    assert_eq!(client.send(call).await, sent, "and again");
    sent
});
cell!(Flush, client => {
    meet(client).await;
    done(&write!(client, it => it.flush().await))
});
cell!(Finish, client => {
    meet(client).await;
    done(&client.finish(CloseCode::NORMAL).await)
});
cell!(Close, client => {
    meet(client).await;
    done(&write!(client, it => it.close(None).await))
});
cell!(IsClosed, client => {
    meet(client).await;
    assert_eq!(write!(client, it => it.state()), State::Closed);
    let closed = client.closed().unwrap();
    let by = match closed.initiator {
        Initiator::Local => "this end",
        Initiator::Peer => "the peer",
    };
    let how = if closed.clean { "clean" } else { "not clean" };
    let cause = closed.cause.map_or(String::new(), |cause| {
        format!(", {}", name(&Error::from(cause)))
    });
    format!("{}, {how}, by {by}{cause}", closed.code)
});

/// Receives until the end.
async fn meet(client: &mut Client) {
    while client.recv(1).await == "a message" {}
}

#[test]
fn every_call_after_every_end() {
    let mut rows = BTreeMap::new();
    for line in TABLE.lines().filter(|line| line.starts_with("| ")).skip(2) {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let end = cells.next().unwrap();
        rows.insert(end, cells.collect::<Vec<_>>());
    }
    assert_eq!(rows.len(), ENDS.len());
    for end in ENDS {
        let [
            meets,
            after,
            sends,
            flush,
            finish,
            close,
            half_close,
            closed,
        ] = rows[end].as_slice()
        else {
            panic!("{end}: {:?}", rows[end]);
        };
        for split in [false, true] {
            let close = if split { half_close } else { close };
            let expected = [meets, after, sends, flush, finish, close, closed];
            let expected: Vec<String> = expected.iter().map(|it| it.replace('`', "")).collect();
            assert_eq!(row(end, split), expected, "{end}, split: {split}");
        }
    }
}

/// A send that meets the end before anything was received reports it as well, and `recv` still does afterwards.
#[test]
fn a_send_that_meets_the_end_reports_it() {
    for split in [false, true] {
        let world = World::default();
        let (near, peer) = pipe(&world, 1 << 20);
        let client = socket(near, Role::Client, patient(""));
        world.block_on(async move {
            let mut client = Client::new(client, split);
            prepare("the transport was reset", &mut client, &peer).await;
            // Writes meet a broken pipe, and the read after that an EOF. The first cause is kept.
            peer.outgoing.borrow_mut().reset = false;
            peer.outgoing.borrow_mut().close();
            for _ in 0..2 {
                let error = write!(&mut client, it => it.send("x").await).unwrap_err();
                let kind = match error {
                    Error::Lost(error) => error.kind(),
                    other => panic!("{other:?}"),
                };
                assert_eq!(kind, std::io::ErrorKind::BrokenPipe);
            }
            let closed = client
                .closed()
                .expect("a task that only sends learns of it");
            assert_eq!((closed.code, closed.clean), (1006, false));
            assert_eq!(closed.cause.unwrap().to_string(), "the transport was reset");
            match read!(&mut client, it => it.recv()) {
                Err(Error::Lost(error)) => {
                    assert_eq!(error.kind(), std::io::ErrorKind::BrokenPipe);
                }
                other => panic!("{other:?}"),
            }
            assert_eq!(client.recv(0).await, "None");
            assert_eq!(client.closed().unwrap(), closed);
        });
    }
}

/// Four messages of 8 MiB are sent each way, and neither end receives.
#[test]
fn a_write_deadline_is_what_every_send_reports() {
    let world = World::default();
    let mut large = config();
    large.keep_alive = None;
    large.max_message_size = 8 << 20;
    let (client, server) = pair(&world, 4096, large);
    let failed = Rc::new(RefCell::new(Vec::new()));
    for socket in [client, server] {
        let (reader, writer) = socket.split();
        for _ in 0..4 {
            let writer = writer.clone();
            let failed = failed.clone();
            world.spawn(async move {
                // One message in each direction is sent, and kept by the other end.
                if let Err(error) = writer.send(vec![0; 8 << 20]).await {
                    failed.borrow_mut().push(name(&error));
                }
            });
        }
        drop(writer);
        std::mem::forget(reader);
    }
    world.run();
    assert_eq!(world.now(), Duration::from_secs(20));
    let failed = failed.borrow();
    assert_eq!(failed.len(), 6);
    // One end times out first, and the other may then find the transport lost.
    assert!(
        failed
            .iter()
            .all(|it| it == "TimedOut(Write)" || it == "Lost"),
        "{failed:?}"
    );
    assert!(failed.iter().any(|it| it == "TimedOut(Write)"));
}
