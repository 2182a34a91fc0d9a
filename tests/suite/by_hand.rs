//! Peers that a test plays by hand, byte by byte. If a deadline never passes, the test hangs.

use std::{
    io::ErrorKind,
    time::{Duration, Instant},
};

use ::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    spawn,
    task::yield_now,
    time::sleep,
};
use bind::{
    Error,
    proto::{
        Chunk, ConnectionError, Deadline, Kind, Lost, Message, Negotiated, Outgoing, Role,
        SendError,
        deflate::{Agreed, Deflate},
        handshake::{HandshakeError, RequestError, Response},
    },
};

use crate::{
    binding::{Binding, Incoming, ReadHalf, Socket, WriteHalf},
    support::{REQUEST, defaults, dial, serve, tcp, with},
};

for_each_binding! {
    a_refusal_outlives_what_the_client_still_sends,
    an_invalid_request_is_answered_and_reported,
    a_client_that_says_nothing_is_given_up,
    a_client_that_drips_gets_no_more_time,
    a_message_that_takes_too_long_fails_the_connection,
    a_server_ends_the_transport_behind_its_answer,
    a_server_that_leaves_the_transport_open_is_not_waited_for,
    a_client_that_leaves_the_transport_open_is_not_waited_for,
    a_reset_is_not_the_callers_fault,
    a_peer_that_is_stopped_is_cut,
    what_opts_out_of_compression_is_plain_on_the_wire,
}

const SHORT: Option<Duration> = Some(Duration::from_millis(80));

/// A transport that is closed with unread input is reset, and the reset may destroy the answer.
async fn a_refusal_outlives_what_the_client_still_sends<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let incoming = B::accept(stream, &defaults()).await.unwrap();
        incoming.refuse(Response::new(403, "no\n")).await;
    })
    .await;
    let mut stream = dial(&url).await;
    stream.write_all(REQUEST.as_bytes()).await.unwrap();
    let mut answer = vec![0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, b"HTTP/1.1 403");
    // This client goes on sending without waiting for the answer.
    stream.write_all(&vec![0; 1 << 20]).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.ends_with("no\n"), "{answer}");
    assert!(!served.is_finished(), "it waits for our end");
    drop(stream);
    served.await.unwrap();
}

async fn an_invalid_request_is_answered_and_reported<B: Binding>() {
    for (request, status, error) in [
        (
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "426",
            RequestError::NoUpgrade,
        ),
        (
            "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
            "405",
            RequestError::Method,
        ),
        (
            "GET / HTTP/2.0\r\nHost: a\r\n\r\n",
            "505",
            RequestError::Version,
        ),
        ("\x16\x03\x01", "400", RequestError::Syntax),
    ] {
        let (url, served) =
            serve(async |stream| B::accept(stream, &defaults()).await.err().unwrap()).await;
        let mut client = dial(&url).await;
        client.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
        assert!(!served.is_finished(), "it waits for our end");
        drop(client);
        assert_eq!(served.await.unwrap(), HandshakeError::Request(error));
    }
}

async fn a_client_that_says_nothing_is_given_up<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let config = with(|config| config.handshake_timeout = SHORT);
        B::accept(stream, &config).await.err()
    })
    .await;
    let client = dial(&url).await;
    assert_eq!(served.await.unwrap(), Some(HandshakeError::TimedOut));
    drop(client);
}

async fn a_client_that_drips_gets_no_more_time<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let config = with(|config| {
            config.handshake_timeout = SHORT;
            config.close_timeout = SHORT;
        });
        B::accept(stream, &config).await.err()
    })
    .await;
    let (mut reader, mut writer) = dial(&url).await.into_split();
    writer.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    // The client neither reads nor closes.
    let dripping = spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut answer = [0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(served.await.unwrap(), Some(HandshakeError::TimedOut));
    dripping.await.unwrap();
}

async fn a_message_that_takes_too_long_fails_the_connection<B: Binding>() {
    let config = with(|config| config.message_timeout = SHORT);
    let (mut near, far) = tcp().await;
    let far = far.into_std().unwrap();
    let mut server = B::from_parts(far, &[], Negotiated::default(), Role::Server, &config);
    // The first frame of a message, and no other.
    near.write_all(b"\x01\x85\0\0\0\0Hello").await.unwrap();
    let served = spawn(async move {
        let failed = server.recv().await;
        assert!(
            matches!(failed, Err(Error::TimedOut(Deadline::Message))),
            "{failed:?}"
        );
        assert_eq!(server.recv().await.unwrap(), None);
    });
    let mut out = Vec::new();
    near.read_to_end(&mut out).await.unwrap();
    assert_eq!(out[..4], [0x88, out[1], 0x03, 0xf0], "1008");
    drop(near);
    served.await.unwrap();
}

/// RFC 6455 §7.1.1: a server "MUST close the TCP connection" first, and waits for no deadline, whichever
/// half is writing when the Close comes.
async fn a_server_ends_the_transport_behind_its_answer<B: Binding>() {
    for _ in 0..10 {
        let (near, far) = tcp().await;
        let never = with(|config| config.close_timeout = None);
        let far = far.into_std().unwrap();
        let server = B::from_parts(far, &[], Negotiated::default(), Role::Server, &never);
        let (mut read, write) = server.split();
        let writing = Vec::from_iter((0..3).map(|_| {
            let write = write.clone();
            spawn(async move {
                while write.send("more").await.is_ok() {
                    // If there are fewer threads than tasks, the reader needs a turn too.
                    yield_now().await;
                }
            })
        }));
        let receiving = spawn(async move { read.recv().await.unwrap() });
        let (mut reader, mut writer) = near.into_split();
        reader.read_exact(&mut [0; 1000]).await.unwrap();
        writer.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
        let mut out = Vec::new();
        reader.read_to_end(&mut out).await.unwrap();
        assert!(out.ends_with(b"\x88\x00"));
        drop((reader, writer));
        assert_eq!(receiving.await.unwrap(), None);
        for ended in writing {
            ended.await.unwrap();
        }
    }
}

/// RFC 6455 §7.1.1: a client "SHOULD wait for the server to close the connection", but not forever. Both
/// Closes have been sent, so this is no failure. The deadlines are so long that none can end the
/// connection instead.
async fn a_client_that_leaves_the_transport_open_is_not_waited_for<B: Binding>() {
    for split in [false, true] {
        let (mut near, far) = tcp().await;
        let never = with(|config| config.close_timeout = None);
        let far = far.into_std().unwrap();
        let mut server = B::from_parts(far, &[], Negotiated::default(), Role::Server, &never);
        near.write_all(b"\x88\x80\0\0\0\0").await.unwrap();
        if split {
            let (_read, write) = server.split();
            write.close(None).await.unwrap();
            assert!(write.closed().unwrap().clean);
        } else {
            assert_eq!(server.recv().await.unwrap(), None);
            assert!(server.closed().unwrap().clean);
        }
        let mut out = Vec::new();
        near.read_to_end(&mut out).await.unwrap();
        assert_eq!(out, b"\x88\x00");
    }
}

/// Whichever call meets the reset first, it reports that the transport is lost.
async fn a_reset_is_not_the_callers_fault<B: Binding>() {
    for split in [false, true] {
        for sends in [false, true] {
            let (near, far) = tcp().await;
            let far = far.into_std().unwrap();
            let mut server =
                B::from_parts(far, &[], Negotiated::default(), Role::Server, &defaults());
            near.set_zero_linger().unwrap();
            drop(near);
            sleep(Duration::from_millis(20)).await;
            let check = |error: Error| match error {
                Error::Lost(error) => assert_ne!(error.kind(), ErrorKind::UnexpectedEof),
                other => panic!("{other:?}, split: {split}, sends: {sends}"),
            };
            let closed = if split {
                let (mut read, write) = server.split();
                if sends {
                    check(write.send("x").await.unwrap_err());
                    assert!(write.closed().is_some());
                }
                check(read.recv().await.unwrap_err());
                check(write.send("x").await.unwrap_err());
                read.closed()
            } else {
                if sends {
                    check(server.send("x").await.unwrap_err());
                    assert!(server.closed().is_some());
                }
                check(server.recv().await.unwrap_err());
                check(server.send("x").await.unwrap_err());
                server.closed()
            };
            let cause = closed.unwrap().cause;
            assert_eq!(cause, Some(ConnectionError::Lost(Lost::Reset)));
        }
    }
}

/// Prints how long this takes: now and then the kernel takes a few bytes, which counts as progress.
async fn a_peer_that_is_stopped_is_cut<B: Binding>() {
    let (near, far) = tcp().await;
    let config = with(|config| {
        config.write_timeout = Some(Duration::from_secs(1));
        config.keep_alive = None;
    });
    let far = far.into_std().unwrap();
    let mut server = B::from_parts(far, &[], Negotiated::default(), Role::Server, &config);
    let began = Instant::now();
    let error = server.send(vec![0; 64 << 20]).await.unwrap_err();
    assert!(
        matches!(error, Error::TimedOut(Deadline::Write)),
        "{error:?}"
    );
    println!("write_timeout of 1 s: cut after {:?}", began.elapsed());
    drop(near);
}

async fn a_server_that_leaves_the_transport_open_is_not_waited_for<B: Binding>() {
    let config = with(|config| config.close_timeout = SHORT);
    let connected = async || {
        let (near, mut far) = tcp().await;
        let near = near.into_std().unwrap();
        let client = B::from_parts(near, &[], Negotiated::default(), Role::Client, &config);
        let answering = spawn(async move {
            let mut close = [0; 6];
            far.read_exact(&mut close).await.unwrap();
            assert_eq!(close[..2], [0x88, 0x80]);
            far.write_all(b"\x81\x02hi\x88\x00").await.unwrap();
            far
        });
        (client, answering)
    };
    let (mut client, _far) = connected().await;
    client.finish(None).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::from("hi")));
    assert_eq!(client.recv().await.unwrap(), None);
    assert!(client.closed().unwrap().clean);
    let late = client.send("late").await;
    assert!(
        matches!(late, Err(Error::Send(SendError::Closed))),
        "{late:?}"
    );

    let (client, _far) = connected().await;
    let (mut read, write) = client.split();
    let receiving = spawn(async move {
        assert_eq!(read.recv().await.unwrap(), Some(Message::from("hi")));
        assert_eq!(read.recv().await.unwrap(), None);
        assert!(read.closed().unwrap().clean);
    });
    write.close(None).await.unwrap();
    receiving.await.unwrap();
    let late = write.send("late").await;
    assert!(
        matches!(late, Err(Error::Send(SendError::Closed))),
        "{late:?}"
    );
}

async fn what_opts_out_of_compression_is_plain_on_the_wire<B: Binding>() {
    let options = Deflate::default();
    let mut negotiated = Negotiated::default();
    negotiated.deflate = Some(Agreed {
        send: options.send,
        recv: options.recv,
    });
    let config = with(|config| config.deflate = Some(options));
    let (mut peer, server) = tcp().await;
    let server = server.into_std().unwrap();
    let mut server = B::from_parts(server, &[], negotiated, Role::Server, &config);
    let secret = "the same over and over, ".repeat(5);
    let plain = || Outgoing::uncompressed(secret.clone());
    let chunk = |data, fin| Chunk { data, fin };
    let (pieces, more, whole) = ([plain(), plain()].into(), [plain()].into(), plain());
    let (first, last) = (chunk(plain(), false), chunk(plain(), true));
    let compressed = vec![secret.clone()];
    let sending = spawn(async move {
        server.send(whole).await.unwrap();
        server.send_pieces(Kind::Text, pieces).await.unwrap();
        server.send_chunk(first).await.unwrap();
        let (read, write) = server.split();
        write.send_chunk(last).await.unwrap();
        write.send_pieces(Kind::Text, more).await.unwrap();
        write.send_pieces(Kind::Text, compressed).await.unwrap();
        drop((read, write));
    });
    let mut wire = Vec::new();
    peer.read_to_end(&mut wire).await.unwrap();
    sending.await.unwrap();
    let frame = |first| [&[first, secret.len() as u8], secret.as_bytes()].concat();
    let expected = [
        frame(0x81),
        [frame(0x01), frame(0x00), vec![0x80, 0]].concat(),
        [frame(0x01), frame(0x80)].concat(),
        [frame(0x01), vec![0x80, 0]].concat(),
    ];
    let expected = expected.concat();
    assert_eq!(wire[..expected.len()], expected);
    // RSV1 is set and there is nothing to refer back to: the words themselves.
    let remainder = &wire[expected.len()..];
    assert_eq!(remainder[0], 0x41);
    assert!((24..60).contains(&remainder[1]), "{remainder:?}");
}
