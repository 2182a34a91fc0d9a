//! TLS between threads, with a clock of their own.

use std::{io, sync::Arc, time::Duration};

use bowline_blocking::{
    BlockingTransport, Config, Connect, ConnectError, Error, HandshakeError, Incoming, Lost,
    Message, accept_tls, connect_over, proto, rustls::ClientConfig,
};
use testing::{
    certificates::{Authority, trusting},
    threads::{End, Fault, World, config},
};

const SECOND: Duration = Duration::from_secs(1);

fn to(client: Arc<ClientConfig>) -> Connect {
    let mut config = config();
    config.entropy = Config::default().entropy;
    Connect::new("wss://a.test/").tls(client).config(config)
}

#[test]
fn two_split_ends_send_at_once() {
    const COUNT: usize = 20;
    let world = World::default();
    let (server_config, client_config) = trusting(&["a.test"]);
    let (a, b) = world.pipe(20_000);
    let accepting = world.spawn(move || {
        let incoming = accept_tls(b, Some(server_config), config());
        incoming.unwrap().open()
    });
    let (client, _) = connect_over(a, to(client_config)).unwrap();
    let began = world.now();
    let (mut from_client, server) = accepting.join().split();
    let (mut from_server, client) = client.split();
    let large = |seed: u8| Message::from(vec![seed; 1 << 20]);
    let clients = world.spawn(move || {
        for _ in 0..COUNT {
            client.send(large(1)).unwrap();
        }
        client
    });
    let servers = world.spawn(move || {
        for _ in 0..COUNT {
            server.send(large(2)).unwrap();
        }
        server
    });
    let received = world.spawn(move || {
        for _ in 0..COUNT {
            assert!(from_server.recv().unwrap().unwrap() == large(2));
        }
        assert_eq!(from_server.recv().unwrap(), None);
    });
    for _ in 0..COUNT {
        assert!(from_client.recv().unwrap().unwrap() == large(1));
    }
    let client = clients.join();
    servers.join();
    let closing = world.spawn(move || client.close(None));
    assert_eq!(from_client.recv().unwrap(), None);
    closing.join().unwrap();
    received.join();
    assert!(from_client.closed().unwrap().clean);
    // No bytes were left for a later call.
    assert!(world.now() - began < SECOND);
}

/// Copies byte by byte, so that each read returns something.
fn drip(world: &World, from: &End, to: &End) {
    from.set_read_timeout(Some(SECOND)).unwrap();
    let mut byte = [0];
    loop {
        match from.read(&mut byte) {
            Ok(1) if to.write(&byte).is_ok() => world.sleep(SECOND / 10),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            _ => break,
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_tls_handshake_that_drips_is_not_waited_for() {
    // One of the two has a deadline, and the other one sees it close.
    for client_waits in [false, true] {
        let world = World::default();
        let (server_config, client_config) = trusting(&["a.test"]);
        let (a, client_side) = world.pipe(4096);
        let (server_side, b) = world.pipe(4096);
        let (client_side, server_side) = (Arc::new(client_side), Arc::new(server_side));
        let inside = world.clone();
        let (from, to_server) = (client_side.clone(), server_side.clone());
        let up = world.spawn(move || drip(&inside, &from, &to_server));
        let inside = world.clone();
        let down = world.spawn(move || drip(&inside, &server_side, &client_side));

        let waits = |waits: bool| {
            let mut config = config();
            config.entropy = Config::default().entropy;
            config.handshake_timeout = waits.then_some(10 * SECOND);
            config
        };
        let before = world.now();
        let inside = world.clone();
        let accepting = world.spawn(move || {
            let config = Arc::new(waits(!client_waits));
            let error = accept_tls(b, Some(server_config), config.clone()).unwrap_err();
            (error, inside.now())
        });
        let error = connect_over(a, to(client_config).config(waits(client_waits))).unwrap_err();
        let after = world.now() - before;
        let (refused, at) = accepting.join();
        if client_waits {
            assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
            assert_eq!(after, 10 * SECOND);
        } else {
            assert!(matches!(refused, HandshakeError::TimedOut), "{refused:?}");
            assert_eq!(at - before, 10 * SECOND);
        }
        up.join();
        down.join();
    }
}

#[test]
fn a_certificate_that_is_not_trusted_is_an_error_of_tls() {
    let world = World::default();
    let server_config = Arc::new(Authority::new("a stranger").server(&["a.test"]));
    let (_, client_config) = trusting(&["a.test"]);
    let (a, b) = world.pipe(4096);
    let accepting = world.spawn(move || accept_tls(b, Some(server_config), config()).unwrap_err());
    let error = connect_over(a, to(client_config)).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
    assert!(matches!(accepting.join(), HandshakeError::Lost(_)));
}

#[test]
fn a_peer_without_tls_is_an_error() {
    let world = World::default();
    let (_, client_config) = trusting(&["a.test"]);
    let (a, b) = world.pipe(4096);
    b.write(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let error = connect_over(a, to(client_config)).unwrap_err();
    assert!(matches!(error, ConnectError::Tls(_)), "{error:?}");
}

#[test]
fn a_peer_that_leaves_during_the_tls_handshake_is_an_error() {
    let world = World::default();
    let (_, client_config) = trusting(&["a.test"]);
    let (a, b) = world.pipe(4096);
    drop(b);
    let error = connect_over(a, to(client_config)).unwrap_err();
    assert!(matches!(error, ConnectError::Io(_)), "{error:?}");
}

/// Without `close_notify`, a third party may have cut off the end.
#[test]
fn an_end_without_close_notify_is_a_loss() {
    let world = World::default();
    let (server_config, client_config) = trusting(&["a.test"]);
    let (a, b) = world.pipe(4096);
    let accepting = world.spawn(move || {
        let incoming = accept_tls(b, Some(server_config), config());
        let mut socket = incoming.unwrap().open();
        (socket.recv(), socket.closed().cloned())
    });
    let (client, _) = connect_over(a, to(client_config)).unwrap();
    drop(client);
    let (received, closed) = accepting.join();
    assert!(matches!(received, Err(Error::Lost(_))), "{received:?}");
    assert_eq!(
        closed.unwrap().cause,
        Some(proto::ConnectionError::Lost(Lost::Eof))
    );
}

/// Each call of the transport fails in turn.
#[test]
fn whatever_fails_below_tls_the_truth_is_cut_off_and_not_changed() {
    let (server_config, client_config) = trusting(&["a.test"]);
    for fault in [
        Fault::Error(io::ErrorKind::ConnectionReset),
        Fault::Error(io::ErrorKind::WouldBlock),
        Fault::Error(io::ErrorKind::Interrupted),
        Fault::Short,
        Fault::Zero,
    ] {
        for number in 1.. {
            let world = World::default();
            let began = world.now();
            let (a, b) = world.pipe(1500);
            let calls = b.calls.clone();
            calls.lock().unwrap().fault = Some((number, fault));
            let server_config = server_config.clone();
            let serving = world.spawn(move || {
                let mut received = Vec::new();
                let incoming = accept_tls(b, Some(server_config), config());
                let Ok(mut socket) = incoming.map(Incoming::open) else {
                    return (received, false);
                };
                loop {
                    match socket.recv() {
                        Ok(Some(message)) => {
                            received.push(message.clone());
                            let _ = socket.send(message);
                        }
                        end => {
                            assert_eq!(socket.recv().unwrap(), None);
                            return (received, end.is_ok());
                        }
                    }
                }
            });
            let mut sent: Vec<Message> = Vec::new();
            let mut echoed = Vec::new();
            if let Ok((mut client, _)) = connect_over(a, to(client_config.clone())) {
                for len in [5, 3000, 0, 70] {
                    sent.push(vec![len as u8; len].into());
                    if client.send(vec![len as u8; len]).is_err() {
                        break;
                    }
                    match client.recv() {
                        Ok(Some(message)) => echoed.push(message),
                        _ => break,
                    }
                }
                let _ = client.close(None);
            }
            let (received, ended_well) = serving.join();
            let case = format!("{fault:?} at call {number}");
            assert!(sent.starts_with(&received), "{case}");
            assert!(received.starts_with(&echoed), "{case}");
            if ended_well {
                assert_eq!(received.len(), 4, "{case}");
            }
            // A fault that only interrupts loses nothing and delays nothing.
            let lasting = [Fault::Error(io::ErrorKind::ConnectionReset), Fault::Zero];
            if !lasting.contains(&fault) && calls.lock().unwrap().moved_bytes {
                assert_eq!((ended_well, echoed.len()), (true, 4), "{case}");
                assert!(world.now() - began < 2 * SECOND, "{case}");
            }
            if calls.lock().unwrap().all < number {
                assert_eq!(echoed.len(), 4, "{case}");
                assert!(number > 20, "{number}");
                break;
            }
        }
    }
}
