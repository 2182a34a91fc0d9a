//! Tests over sockets for entries that a table cannot express.

use std::{collections::HashSet, sync::Arc, time::Duration};

use ::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    spawn,
    task::yield_now,
};
use bind::{
    Connect, ConnectError, Error,
    proto::{Config, Event, Lost, Role, SendError, handshake::HandshakeError},
};
use testing::frames::{self, CLOSE, Frame};

use crate::{
    Test,
    binding::{Binding, ReadHalf, Socket, WriteHalf},
    client::{listen, open, read_request},
    echo::run,
    server::{self, REQUEST, next},
};

pub(crate) fn tests<B: Binding>() -> Vec<Test> {
    vec![
        (
            "hs_091_a_request_cut_short_ends_quietly",
            hs_091_a_request_cut_short_ends_quietly::<B>,
        ),
        (
            "ch_020_an_announced_body_is_not_waited_for",
            ch_020_an_announced_body_is_not_waited_for::<B>,
        ),
        (
            "fr_063_masking_keys_come_from_the_system",
            fr_063_masking_keys_come_from_the_system::<B>,
        ),
        (
            "cl_047_sending_and_closing_at_once_end_once",
            cl_047_sending_and_closing_at_once_end_once::<B>,
        ),
    ]
}

fn hs_091_a_request_cut_short_ends_quietly<B: Binding>() {
    run(async move {
        for cut in [0, 1, 20, REQUEST.len() - 3, REQUEST.len() - 1] {
            let (addr, listener) = listen().await;
            let served = spawn(async move {
                let config = Arc::new(Config::default());
                B::accept_any(next(&listener).await, &config).await.err()
            });
            let mut stream = server::connect(addr).await;
            let part = &REQUEST.as_bytes()[..cut];
            stream.write_all(part).await.expect("the server reads");
            stream.shutdown().await.expect("the server reads");
            let mut out = Vec::new();
            stream.read_to_end(&mut out).await.expect("EOF, no reset");
            assert!(out.is_empty());
            let error = match cut {
                0 => HandshakeError::Lost(Lost::Eof),
                _ => HandshakeError::Truncated(Lost::Eof),
            };
            assert_eq!(served.await.expect("the server"), Some(error));
        }
    });
}

fn ch_020_an_announced_body_is_not_waited_for<B: Binding>() {
    run(async {
        let (addr, listener) = listen().await;
        let mut config = Config::default();
        config.handshake_timeout = Some(Duration::from_millis(200));
        let to = Connect::new(format!("ws://{addr}/")).config(config);
        let refused = spawn(async { B::connect(to).await.err() });
        let (mut stream, _) = listener.accept().await.expect("a client");
        read_request(&mut stream).await;
        let response = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10737418240\r\n\r\n";
        stream.write_all(response).await.expect("the client reads");
        let refused = refused.await.expect("the client").expect("an error");
        let response = refused.response().expect("a refusal");
        assert_eq!(response.status, 403);
        assert!(response.body.is_empty());
    });
}

fn fr_063_masking_keys_come_from_the_system<B: Binding>() {
    const COUNT: usize = 100_000;
    run(async {
        let (addr, listener) = listen().await;
        let client = spawn(async move {
            let (mut socket, _) = B::connect(format!("ws://{addr}/")).await?;
            for _ in 0..COUNT {
                socket.feed("a").await.expect("it is open");
            }
            socket.flush().await.expect("it is open");
            Ok::<_, ConnectError>(())
        });
        let mut stream = open(&listener).await;
        let mut out = Vec::new();
        stream.read_to_end(&mut out).await.expect("EOF, no reset");
        client.await.expect("the client").expect("it connects");
        let keys = frames::keys(&out);
        assert_eq!(keys.len(), COUNT);
        let keys: HashSet<_> = keys.into_iter().collect();
        // Among 10⁵ random keys of 32 bits, about one is expected to occur twice.
        assert!(keys.len() > COUNT - 20, "{} distinct keys", keys.len());
    });
}

fn cl_047_sending_and_closing_at_once_end_once<B: Binding>() {
    for round in 0..50 {
        run(async move {
            let (addr, listener) = listen().await;
            let served = spawn(async move {
                let config = Arc::new(Config::default());
                let accepted = B::accept_any(next(&listener).await, &config).await;
                let (mut reader, writer) = accepted.expect("a valid request").split();
                let writers: Vec<_> = (0..4)
                    .map(|_| {
                        let writer = writer.clone();
                        spawn(async move {
                            loop {
                                if let Err(error) = writer.send("Hello").await {
                                    return error;
                                }
                                // If there are fewer threads than tasks, the reader needs a turn too.
                                yield_now().await;
                            }
                        })
                    })
                    .collect();
                let mut events = Vec::new();
                while let Some(event) = reader.recv_event().await.expect("no error") {
                    events.push(event);
                }
                assert!(matches!(events.as_slice(), [Event::Close(Some(_))]));
                for _ in 0..10 {
                    assert!(matches!(reader.recv_event().await, Ok(None)));
                }
                for writer in writers {
                    let error = writer.await.expect("a writer");
                    assert!(matches!(error, Error::Send(SendError::Closed)), "{error}");
                }
                reader.closed().expect("it is closed")
            });
            let (mut reader, mut writer) = server::connect(addr).await.into_split();
            writer.write_all(REQUEST.as_bytes()).await.expect("read");
            let mut out = Vec::new();
            // The Close comes at some point among the messages.
            while out.len() < 200 + 100 * round {
                assert!(reader.read_buf(&mut out).await.expect("no reset") > 0);
            }
            let close = Frame::close(1000, "").from(Role::Client);
            writer.write_all(&close).await.expect("the server reads");
            reader.read_to_end(&mut out).await.expect("EOF, no reset");
            drop((reader, writer));
            let closed = served.await.expect("the server");
            assert!(closed.clean);
            assert_eq!(closed.code, 1000);
            let head = out.windows(4).position(|window| window == b"\r\n\r\n");
            let sent = Frame::read_all_plain(&out[head.expect("a head") + 4..], Role::Server);
            let (last, others) = sent.split_last().expect("a Close");
            assert_eq!(last.first, CLOSE);
            assert!(others.iter().all(|frame| frame.payload == b"Hello"));
        });
    }
}
