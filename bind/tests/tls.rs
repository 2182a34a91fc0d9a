//! TLS over a pipe, in a world with its own clock.

use std::{
    future::poll_fn,
    io::{self, Read, Write},
    sync::Arc,
    task::{Poll, ready},
    time::Duration,
};

use bowline_bind::{
    Connect, Error, OptionalTls, Transport, WebSocket, accept_tls, connect_over,
    proto::{EntropyError, Message},
    rustls::{ClientConfig, ClientConnection, ServerConfig},
};
use testing::{certificates::trusting, world::*};

/// A server for `a.test` that prefers HTTP/2, and a client that trusts it.
fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let (server, client) = trusting(&["a.test"]);
    let mut server = ServerConfig::clone(&server);
    server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    (Arc::new(server), client)
}

fn to(client: Arc<ClientConfig>) -> Connect {
    let mut config = config();
    config.entropy = |bytes| {
        bytes.fill(0x5A);
        Ok::<_, EntropyError>(())
    };
    Connect::new("wss://a.test/").tls(client).config(config)
}

async fn served(end: End, tls: Arc<ServerConfig>) -> WebSocket<OptionalTls<End>> {
    let incoming = accept_tls(end, Some(tls), config()).await;
    incoming.unwrap().open().await
}

/// With rustls, an end that has something to write in the handshake does not read. The pipe therefore has to hold the
/// least that both may write at once, a record of 6 bytes.
#[test]
fn both_ends_meet_whatever_the_pipe_holds() {
    for capacity in [6, 100, 4096, 1 << 20] {
        let world = World::default();
        let (server_config, client_config) = configs();
        let (a, b) = pipe(&world, capacity);
        world.spawn(async move {
            let mut server = served(b, server_config).await;
            while let Some(message) = server.recv().await.unwrap() {
                server.feed(message).await.unwrap();
            }
            assert!(server.closed().unwrap().clean);
        });
        let net = world.clone();
        world.block_on(async move {
            let connected = connect_over(&net, |_| a, to(client_config)).await;
            let (mut client, _) = connected.unwrap();
            for len in [0, 1, 100, 70_000] {
                let message = Message::from(vec![7; len]);
                client.send(message.clone()).await.unwrap();
                assert_eq!(client.recv().await.unwrap(), Some(message), "{capacity}");
            }
            client.close(None).await.unwrap();
            assert!(client.closed().unwrap().clean);
        });
    }
}

/// Both ends send more than the pipe and TLS can hold before either receives.
#[test]
fn two_ends_that_send_before_they_receive_do_not_wait_for_each_other() {
    for split in [false, true] {
        let world = World::default();
        let (server_config, client_config) = configs();
        let (a, b) = pipe(&world, 4096);
        let large = || Message::from(vec![7; 1 << 20]);
        world.spawn(async move {
            let mut server = served(b, server_config).await;
            server.send(large()).await.unwrap();
            assert_eq!(server.recv().await.unwrap(), Some(large()));
            assert_eq!(server.recv().await.unwrap(), None);
        });
        let net = world.clone();
        world.block_on(async move {
            let connected = connect_over(&net, |_| a, to(client_config)).await;
            let (mut client, _) = connected.unwrap();
            if split {
                let (mut reader, writer) = client.split();
                writer.send(large()).await.unwrap();
                assert_eq!(reader.recv().await.unwrap(), Some(large()));
                writer.close(None).await.unwrap();
            } else {
                client.send(large()).await.unwrap();
                assert_eq!(client.recv().await.unwrap(), Some(large()));
                client.close(None).await.unwrap();
            }
        });
        assert_eq!(world.now(), Duration::ZERO, "no deadline was waited for");
    }
}

/// A client does not offer HTTP/2 to a server that prefers it, and both can see what was agreed on.
#[test]
fn a_client_asks_for_http_1_1_and_knows_what_was_agreed_on() {
    let world = World::default();
    let (server_config, client_config) = configs();
    let (a, b) = pipe(&world, 4096);
    world.spawn(async move {
        let mut server = served(b, server_config).await;
        let tls = server.get_ref().unwrap().tls().unwrap();
        assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
        let _ = server.recv().await;
    });
    let net = world.clone();
    world.block_on(async move {
        let connected = connect_over(&net, |_| a, to(client_config)).await;
        let (client, _) = connected.unwrap();
        let tls = client.get_ref().unwrap().tls().unwrap();
        assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
        assert!(tls.peer_certificates().is_some());
    });
}

#[test]
fn without_a_configuration_there_is_no_tls() {
    let world = World::default();
    let (a, b) = pipe(&world, 4096);
    world.spawn(async move {
        let mut server = accept_tls(b, None, config()).await.unwrap().open().await;
        assert!(server.get_ref().unwrap().tls().is_none());
        assert_eq!(server.recv().await.unwrap(), None);
    });
    let net = world.clone();
    world.block_on(async move {
        let to = Connect::new("ws://a.test/").config(config());
        let (mut client, _) = connect_over(&net, |_| a, to).await.unwrap();
        assert!(client.get_ref().unwrap().tls().is_none());
        client.close(None).await.unwrap();
    });
}

/// A TLS client that the test drives.
struct ByHand {
    tls: ClientConnection,
    end: End,
}

impl ByHand {
    /// Writes the output of TLS.
    async fn write(&mut self) {
        while self.tls.wants_write() {
            let mut bytes = Vec::new();
            self.tls.write_tls(&mut bytes).unwrap();
            let mut remaining = &bytes[..];
            while !remaining.is_empty() {
                let len = poll_fn(|cx| self.end.poll_write(cx, remaining))
                    .await
                    .unwrap();
                remaining = &remaining[len..];
            }
        }
    }

    /// Reads once, and returns how many bytes arrived.
    async fn read(&mut self) -> io::Result<usize> {
        let mut buf = [0; 4096];
        let len = poll_fn(|cx| {
            let len = ready!(self.end.poll_read(cx, &mut buf))?;
            Poll::Ready(io::Result::Ok(len))
        });
        let len = len.await?;
        let mut bytes = &buf[..len];
        while !bytes.is_empty() {
            self.tls.read_tls(&mut bytes)?;
            self.tls.process_new_packets().map_err(io::Error::other)?;
        }
        Ok(len)
    }

    async fn upgraded(end: End, config: Arc<ClientConfig>) -> Self {
        let tls = ClientConnection::new(config, "a.test".try_into().unwrap()).unwrap();
        let mut by_hand = Self { tls, end };
        while by_hand.tls.is_handshaking() {
            by_hand.write().await;
            by_hand.read().await.unwrap();
        }
        by_hand
            .tls
            .writer()
            .write_all(
                b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                  Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
            )
            .unwrap();
        by_hand.write().await;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            by_hand.read().await.unwrap();
            let _ = by_hand.tls.reader().read_to_end(&mut head);
        }
        by_hand
    }
}

/// RFC 8446 §6.2: a peer that breaks TLS is sent an alert, even if the socket only receives.
#[test]
fn a_read_that_fails_tells_the_peer_why() {
    let world = World::default();
    let (server_config, client_config) = configs();
    let (a, b) = pipe(&world, 1 << 20);
    world.spawn(async move {
        let mut server = served(b, server_config).await;
        let error = server.recv().await.unwrap_err();
        assert!(matches!(error, Error::Lost(_)), "{error:?}");
    });
    world.block_on(async move {
        let mut client = ByHand::upgraded(a, client_config).await;
        // This record cannot be decrypted.
        let record = [&[23, 3, 3, 0, 32][..], &[7; 32]].concat();
        poll_fn(|cx| client.end.poll_write(cx, &record))
            .await
            .unwrap();
        let error = client.read().await.unwrap_err();
        assert!(error.to_string().contains("alert"), "{error}");
    });
    assert_eq!(world.now(), Duration::ZERO);
}

/// RFC 8446 §6.1: an end that is cut off without a close_notify cannot know whether the peer ended the connection.
#[test]
fn an_end_without_close_notify_is_a_loss() {
    for notifies in [false, true] {
        let world = World::default();
        let (server_config, client_config) = configs();
        let (a, b) = pipe(&world, 1 << 20);
        world.spawn(async move {
            let mut client = ByHand::upgraded(a, client_config).await;
            if notifies {
                client.tls.send_close_notify();
                client.write().await;
            }
        });
        world.block_on(async move {
            let mut server = served(b, server_config).await;
            let error = server.recv().await.unwrap_err().to_string();
            // Without a Close both are a loss. Only the texts differ.
            assert_eq!(!error.contains("close_notify"), notifies, "{error}");
        });
    }
}
