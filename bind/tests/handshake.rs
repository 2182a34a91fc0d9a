//! The opening handshake in a world with its own clock.

use std::{
    io::{self, IoSlice},
    task::{Context, Poll},
    time::Duration,
};

use bowline_bind::{
    Connect, ConnectError, Transport, accept, connect_over,
    proto::{
        Config, Event, Message,
        handshake::{HandshakeError, Headers, RequestError, Response},
    },
};
use testing::world::*;

fn chat(config: Config) -> Connect {
    Connect::new("ws://a.test/chat").config(config)
}

#[test]
fn both_ends_meet_whatever_the_pipe_holds() {
    for capacity in [1, 7, 4096] {
        let world = World::default();
        let (a, b) = pipe(&world, capacity);
        world.spawn(async move {
            let incoming = accept(b, config()).await.unwrap();
            assert_eq!(incoming.request().target(), "/chat");
            let mut socket = incoming.accept(None, Headers::new()).await.unwrap();
            let message = socket.recv().await.unwrap().unwrap();
            socket.send(message).await.unwrap();
            assert!(socket.recv().await.unwrap().is_none());
        });
        let net = world.clone();
        world.block_on(async move {
            let (mut socket, response) = connect_over(&net, |_| a, chat(config())).await.unwrap();
            assert_eq!(response.status, 101);
            socket.send("echo").await.unwrap();
            assert_eq!(socket.recv().await.unwrap(), Some(Message::from("echo")));
            socket.close(None).await.unwrap();
        });
        assert_eq!(world.now(), Duration::ZERO);
    }
}

#[test]
fn a_request_that_drips_is_cut_at_the_absolute_deadline() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let clock = world.clone();
    let lane = peer.outgoing.clone();
    world.spawn_daemon(async move {
        for byte in b"GET /chat HTTP/1.1\r\nHost: a.test\r\n".iter().cycle() {
            lane.borrow_mut().push(&[*byte]);
            clock.sleep(Duration::from_secs(1)).await;
        }
    });
    let now = world.clone();
    world.spawn(async move {
        now.sleep(Duration::from_secs(11)).await;
        assert!(
            peer.incoming
                .borrow_mut()
                .drain()
                .starts_with(b"HTTP/1.1 408 ")
        );
        peer.outgoing.borrow_mut().close();
        now.sleep(Duration::from_secs(10)).await;
        drop(peer);
    });
    let now = world.clone();
    world.block_on(async move {
        let error = accept(end, config()).await.unwrap_err();
        assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
        assert_eq!(
            now.now(),
            Duration::from_secs(11),
            "reported once the client has ended"
        );
    });
}

/// A client that always sends something more, a millisecond later.
struct Torrent {
    world: World,
    request: &'static [u8],
}

impl Transport for Torrent {
    type Clock = Clock;

    fn clock(&self) -> Clock {
        self.world.clock()
    }

    fn poll_read(&mut self, _: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.world.pass(Duration::from_millis(1));
        Poll::Ready(match io::Read::read(&mut self.request, buf) {
            Ok(0) => Ok(buf.len()),
            read => read,
        })
    }

    fn poll_write(&mut self, _: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        &mut self,
        _: &mut Context<'_>,
        _: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        unreachable!("`is_write_vectored` is false")
    }

    fn is_write_vectored(&self) -> bool {
        false
    }

    fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn half_closes(&self) -> bool {
        true
    }
}

#[test]
fn a_client_that_streams_for_ever_does_not_hold_off_the_end_of_its_refusal() {
    let world = World::default();
    let torrent = Torrent {
        world: world.clone(),
        request: b"POST / HTTP/1.1\r\n\r\n",
    };
    let now = world.clone();
    world.block_on(async move {
        let error = accept(torrent, config()).await.unwrap_err();
        let method = HandshakeError::Request(RequestError::Method);
        assert_eq!(error, method);
        // The time is looked at now and then, so this takes close_timeout and a little more.
        let passed = now.now();
        assert!(passed >= Duration::from_secs(5), "{passed:?}");
        assert!(passed < Duration::from_millis(5100), "{passed:?}");
    });
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    let (net, now) = (world.clone(), world.clone());
    world.block_on(async move {
        let error = connect_over(&net, |_| end, chat(config()))
            .await
            .unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
        assert_eq!(now.now(), Duration::from_secs(10));
        drop(peer);
    });
}

#[test]
fn a_request_that_cannot_be_written_fails_at_once_unless_the_server_said_why() {
    for said in [&b""[..], b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"] {
        let world = World::default();
        let (end, peer) = pipe(&world, 4096);
        peer.incoming.borrow_mut().close();
        peer.outgoing.borrow_mut().push(said);
        let (net, now) = (world.clone(), world.clone());
        world.block_on(async move {
            let error = connect_over(&net, |_| end, chat(config()))
                .await
                .unwrap_err();
            match error.response() {
                Some(response) => assert_eq!(response.status, 503),
                None => assert!(
                    said.is_empty()
                        && matches!(error, ConnectError::Handshake(HandshakeError::Lost(_))),
                    "{error:?}"
                ),
            }
            assert_eq!(now.now(), Duration::ZERO);
            drop(peer);
        });
    }
}

#[test]
fn an_invalid_request_is_answered_before_it_is_reported_and_no_reset_eats_the_answer() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    peer.outgoing
        .borrow_mut()
        .push(b"POST / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    let now = world.clone();
    world.spawn(async move {
        now.sleep(Duration::from_secs(1)).await;
        assert!(
            peer.incoming
                .borrow_mut()
                .drain()
                .starts_with(b"HTTP/1.1 405 ")
        );
        assert!(peer.incoming.borrow().closed, "our direction is shut down");
        assert!(!peer.outgoing.borrow().reset, "and the transport is there");
        peer.outgoing.borrow_mut().push(&[b'x'; 4000]);
        now.sleep(Duration::from_secs(10)).await;
        drop(peer);
    });
    let now = world.clone();
    world.block_on(async move {
        let error = accept(end, config()).await.unwrap_err();
        assert!(
            matches!(error, HandshakeError::Request(RequestError::Method)),
            "{error:?}"
        );
        assert_eq!(now.now(), Duration::from_secs(5), "close_timeout");
    });
}

#[test]
fn the_subprotocol_is_known_at_both_ends() {
    let world = World::default();
    let (a, b) = pipe(&world, 4096);
    world.spawn(async move {
        let incoming = accept(b, config()).await.unwrap();
        let picked = incoming
            .pick_subprotocol(&["other", "chat"])
            .map(str::to_owned);
        let mut socket = incoming
            .accept(picked.as_deref(), Headers::new())
            .await
            .unwrap();
        assert_eq!(socket.subprotocol(), Some("chat"));
        assert!(socket.recv().await.unwrap().is_none());
    });
    let net = world.clone();
    world.block_on(async move {
        let to = chat(config()).subprotocol("chat");
        let (mut socket, _) = connect_over(&net, |_| a, to).await.unwrap();
        assert_eq!(socket.subprotocol(), Some("chat"));
        socket.close(None).await.unwrap();
    });
}

#[test]
fn a_refusal_reaches_the_client() {
    let world = World::default();
    let (a, b) = pipe(&world, 10);
    world.spawn(async move {
        let incoming = accept(b, config()).await.unwrap();
        incoming.refuse(Response::new(403, "not you")).await;
    });
    let net = world.clone();
    world.block_on(async move {
        let error = connect_over(&net, |_| a, chat(config())).await.unwrap_err();
        let ConnectError::Handshake(error) = error else {
            panic!("{error:?}")
        };
        let response = error.response().unwrap();
        assert_eq!(
            (response.status, &response.body[..]),
            (403, &b"not you"[..])
        );
    });
    assert_eq!(world.now(), Duration::ZERO);
}

/// A server may refuse before it has read the whole request, and stop reading.
#[test]
fn a_refusal_is_read_although_the_request_could_not_be_written() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    peer.outgoing
        .borrow_mut()
        .push(b"HTTP/1.1 503 \r\nContent-Length: 4\r\n\r\nbusy");
    peer.incoming.borrow_mut().reset();
    let net = world.clone();
    world.block_on(async move {
        let error = connect_over(&net, |_| end, chat(config()))
            .await
            .unwrap_err();
        let ConnectError::Handshake(error) = error else {
            panic!("{error:?}")
        };
        assert_eq!(error.response().map(|response| response.status), Some(503));
        drop(peer);
    });
}

#[test]
fn how_long_the_application_takes_to_decide_is_its_own_affair() {
    let world = World::default();
    let (a, b) = pipe(&world, 4096);
    let slow = world.clone();
    world.spawn(async move {
        let incoming = accept(b, config()).await.unwrap();
        slow.sleep(Duration::from_secs(100)).await;
        let mut socket = incoming.accept(None, Headers::new()).await.unwrap();
        assert!(matches!(
            socket.recv_event().await.unwrap(),
            Some(Event::Close(None))
        ));
    });
    let net = world.clone();
    world.block_on(async move {
        let mut patient = config();
        patient.handshake_timeout = None;
        let (mut socket, _) = connect_over(&net, |_| a, chat(patient)).await.unwrap();
        socket.close(None).await.unwrap();
    });
}

#[test]
fn a_client_that_says_nothing_after_its_request_is_pinged_after_one_period() {
    let world = World::default();
    let (end, peer) = pipe(&world, 4096);
    peer.outgoing.borrow_mut().push(
        b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    world.spawn_daemon(async move {
        let incoming = accept(end, config()).await.unwrap();
        let mut socket = incoming.accept(None, Headers::new()).await.unwrap();
        let _ = socket.recv().await;
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(Duration::from_secs(19)).await;
        assert!(peer.incoming.borrow_mut().drain().ends_with(b"\r\n\r\n"));
        clock.sleep(Duration::from_secs(2)).await;
        assert_eq!(peer.incoming.borrow_mut().drain()[0], 0x89);
    });
}
