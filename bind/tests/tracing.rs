//! The span and the events of a connection (feature `tracing`).

use std::{
    fmt::{Debug, Write},
    sync::{Arc, Mutex},
    time::Duration,
};

use bowline_bind::{
    Connect, accept, connect_over,
    proto::{CloseCode, Config, Negotiated, Role},
};
use testing::world::*;
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::with_default,
};

/// One line for each span, record and event: the number of the span, then the name or the message, then the fields.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => write!(self.0, " {value:?}").unwrap(),
            name => write!(self.0, " {name}={value:?}").unwrap(),
        }
    }
}

impl Log {
    fn push(&self, beginning: String, record: impl FnOnce(&mut Line)) {
        let mut line = Line(beginning);
        record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("bowline_bind")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let id = self
            .lines()
            .iter()
            .filter(|it| it.starts_with("span"))
            .count() as u64
            + 1;
        let name = span.metadata().name();
        self.push(format!("span {id} {name}:"), |line| span.record(line));
        Id::from_u64(id)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let beginning = format!("{} records", span.into_u64());
        self.push(beginning, |line| values.record(line));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let span = event.parent().map_or(0, Id::into_u64);
        self.push(format!("{span}:"), |line| event.record(line));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Returns the lines that are logged while `run` runs.
fn logged(run: impl FnOnce(&World)) -> Vec<String> {
    let log = Log::default();
    with_default(log.clone(), || run(&World::default()));
    log.lines()
}

#[test]
fn a_span_has_the_life_of_a_connection() {
    let lines = logged(|world| {
        let (mut a, b) = pipe(world, 4096);
        let mut negotiated = Negotiated::default();
        negotiated.subprotocol = Some("chat".into());
        a.address = Some(([192, 0, 2, 1], 80).into());
        let mut client = agreed(a, Role::Client, negotiated, config().keep_alive(None));
        let mut server = socket(b, Role::Server, config().keep_alive(None));
        let clock = world.clone();
        world.spawn(async move {
            clock.sleep(Duration::from_millis(30)).await;
            while server.recv().await.unwrap().is_some() {}
        });
        let clock = world.clone();
        world.block_on(async move {
            client.ping(Default::default()).await.unwrap();
            let pong = client.recv_event();
            pong.await.unwrap().unwrap();
            let _ = poll_once(std::pin::pin!(client.recv())).await;
            clock.sleep(Duration::from_millis(1)).await;
            client.close(CloseCode::NORMAL).await.unwrap();
            assert!(client.latency().is_some());
        });
    });
    let of = |number: u8| {
        let beginning = format!("{number}:");
        let lines = lines
            .iter()
            .filter_map(|line| line.strip_prefix(&beginning));
        lines.map(str::trim).collect::<Vec<_>>()
    };
    assert_eq!(
        lines[0],
        "span 1 websocket: role=\"client\" subprotocol=\"chat\""
    );
    assert_eq!(lines[1], "1 records peer=192.0.2.1:80");
    assert_eq!(lines[3], "span 2 websocket: role=\"server\"");
    let [open, answered, closed] = of(1)[..] else {
        panic!("{lines:#?}")
    };
    assert_eq!(
        (open, answered),
        ("open", "a Ping was answered latency=30ms")
    );
    assert!(
        closed.starts_with("closed") && closed.ends_with("code=1000 clean=true"),
        "{closed}"
    );
    let [open, closed] = of(2)[..] else {
        panic!("{lines:#?}")
    };
    assert_eq!(open, "open");
    assert!(closed.ends_with("code=1000 clean=true"), "{closed}");
}

/// Each way to end is logged once.
#[test]
fn failures_and_other_ends_are_told_once() {
    let lines = logged(|world| {
        let (mut client, mut server) = pair(world, 4096, config().max_message_size(3));
        world.spawn(async move {
            client.send("four").await.unwrap();
            while client.recv().await.unwrap().is_some() {}
        });
        world.block_on(async move {
            server.recv().await.unwrap_err();
            assert_eq!(server.recv().await.unwrap(), None);
        });
    });
    let server: Vec<_> = lines.iter().filter(|it| it.starts_with("2:")).collect();
    assert_eq!(server.len(), 3, "{lines:#?}");
    assert!(server[1].contains("failed error=message exceeds max_message_size (3 bytes)"));
    assert!(server[2].contains("code=1006 clean=false"), "{server:?}");

    let lines = logged(|world| {
        let (mut client, server) = pair(world, 4096, config());
        client.abort();
        drop(client);
        let (reader, writer) = server.split();
        drop(reader);
        drop(writer);
    });
    for number in ["1:", "2:"] {
        let ended = lines
            .iter()
            .filter(|it| it.starts_with(number) && it.contains("code=1006"));
        assert_eq!(ended.count(), 1, "{lines:#?}");
    }
}

#[test]
fn a_handshake_that_fails_is_told_with_its_reason() {
    let lines = logged(|world| {
        let (end, peer) = pipe(world, 4096);
        end.outgoing.borrow_mut().push(b"GET / HTTP/1.1\r\n\r\n");
        world.block_on(async move { accept(peer, config()).await.unwrap_err() });
        let (end, peer) = pipe(world, 4096);
        drop(peer);
        let net = world.clone();
        world.block_on(async move {
            let to = Connect::new("ws://a.test/").config(Config::new(|_| Ok(())));
            connect_over(&net, |_| end, to).await.unwrap_err()
        });
    });
    assert!(
        lines[0].contains("opening handshake failed error="),
        "{lines:#?}"
    );
    assert!(
        lines[1].starts_with("0: not connected error=")
            && lines[1].ends_with("host=a.test port=80"),
        "{lines:#?}"
    );
}
