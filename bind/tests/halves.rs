//! The halves return the same facts as the socket.

use std::{error::Error as _, io::ErrorKind, time::Duration};

use bowline_bind::{
    Error,
    proto::{Deadline, Negotiated, Role, State, Stats, Traffic},
};
use testing::world::*;

#[test]
fn each_half_knows_the_connection() {
    let world = World::default();
    let (a, b) = pipe(&world, 4096);
    let negotiated = || {
        let mut negotiated = Negotiated::default();
        negotiated.subprotocol = Some("chat".into());
        negotiated
    };
    let client = agreed(a, Role::Client, negotiated(), config());
    let mut server = agreed(b, Role::Server, negotiated(), config());
    let timer = world.clone();
    world.spawn(async move {
        timer.sleep(Duration::from_millis(30)).await;
        assert!(server.recv_event().await.unwrap().is_some());
        timer.sleep(Duration::from_millis(30)).await;
        server.send("x").await.unwrap();
        assert_eq!(server.recv().await.unwrap(), None);
    });
    world.block_on(async move {
        let (mut reader, writer) = client.split();
        assert_eq!(
            (reader.subprotocol(), writer.subprotocol()),
            (Some("chat"), Some("chat"))
        );
        assert_eq!((reader.state(), writer.state()), (State::Open, State::Open));
        assert_eq!((reader.latency(), writer.latency()), (None, None));
        let errors = [reader.peer_addr(), writer.peer_addr()].map(|it| it.unwrap_err().kind());
        assert_eq!(errors, [ErrorKind::Unsupported; 2], "a pipe has no address");

        writer.ping(Default::default()).await.unwrap();
        assert!(reader.recv().await.unwrap().is_some());
        let latency = Some(Duration::from_millis(30));
        assert_eq!((reader.latency(), writer.latency()), (latency, latency));

        writer.finish(None).await.unwrap();
        assert_eq!(
            (reader.state(), writer.state()),
            (State::Closing, State::Closing)
        );
        assert_eq!(reader.recv().await.unwrap(), None);
        assert_eq!(
            (reader.state(), writer.state()),
            (State::Closed, State::Closed)
        );
        let errors = [reader.peer_addr(), writer.peer_addr()].map(|it| it.unwrap_err().kind());
        assert_eq!(errors, [ErrorKind::NotConnected; 2]);
    });
}

/// A report that prints an error and then its sources says nothing twice.
#[test]
fn an_error_does_not_repeat_its_source() {
    let mut error: Option<&dyn std::error::Error> =
        Some(&Error::Lost(std::io::Error::other("the cable is cut")));
    let mut report = Vec::new();
    while let Some(one) = error {
        report.push(one.to_string());
        error = one.source();
    }
    let said = report
        .iter()
        .filter(|line| line.contains("the cable is cut"));
    assert_eq!(said.count(), 1, "{report:?}");
    assert!(Error::TimedOut(Deadline::Pong).source().is_none());
}

/// A half may be asked while a call of the other half is using the receiving direction.
#[test]
fn each_half_counts_what_passed() {
    let world = World::default();
    let (a, b) = pipe(&world, 4096);
    let client = agreed(a, Role::Client, Negotiated::default(), config());
    let mut server = agreed(b, Role::Server, Negotiated::default(), config());
    world.spawn(async move {
        while let Ok(Some(message)) = server.recv().await {
            server.send(message).await.unwrap();
        }
    });
    world.block_on(async move {
        let (mut reader, writer) = client.split();
        assert_eq!(writer.stats(), Stats::default());
        writer.send("four").await.unwrap();
        reader.recv().await.unwrap().unwrap();
        let stats = reader.stats();
        assert_eq!(writer.stats(), stats);
        let Traffic {
            messages,
            payload,
            wire,
            pings,
            ..
        } = stats.sent;
        assert_eq!((messages, payload, wire, pings), (1, 4, 2 + 4 + 4, 0));
        let Traffic {
            messages,
            payload,
            wire,
            pings,
            ..
        } = stats.received;
        assert_eq!((messages, payload, wire, pings), (1, 4, 2 + 4, 0));
        assert_eq!(stats.dropped, 0);

        let mut socket = reader.reunite(writer).unwrap();
        assert_eq!(socket.stats(), stats);
        socket.feed("never").await.unwrap();
        socket.abort();
        assert_eq!(
            (socket.stats().sent.messages, socket.stats().dropped),
            (2, 1)
        );
    });
}
