//! Sockets and messages as streams of bytes.

use std::{
    cell::RefCell,
    error::Error as _,
    future::poll_fn,
    io::{self, ErrorKind},
    pin::pin,
    rc::Rc,
    task::Poll,
    time::Duration,
};

use bowline_bind::{
    ReadBytes, WriteBytes,
    proto::{Chunk, CloseCode, Closed, Config, Event, Kind, Message},
};
use testing::world::*;

async fn read(stream: &mut impl ReadBytes, buf: &mut [u8]) -> io::Result<usize> {
    poll_fn(|cx| stream.poll_read(cx, buf)).await
}

async fn read_to_end(stream: &mut impl ReadBytes, step: usize) -> io::Result<Vec<u8>> {
    let (mut bytes, mut buf) = (Vec::new(), vec![0; step]);
    loop {
        match read(stream, &mut buf).await? {
            0 => return Ok(bytes),
            len => bytes.extend_from_slice(&buf[..len]),
        }
    }
}

async fn write_all(stream: &mut impl WriteBytes, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = poll_fn(|cx| stream.poll_write(cx, bytes)).await?;
        bytes = &bytes[written..];
    }
    Ok(())
}

async fn flush(stream: &mut impl WriteBytes) -> io::Result<()> {
    poll_fn(|cx| stream.poll_flush(cx)).await
}

async fn flush_once(stream: &mut impl WriteBytes) -> Poll<io::Result<()>> {
    poll_fn(|cx| Poll::Ready(stream.poll_flush(cx))).await
}

async fn shutdown(stream: &mut impl WriteBytes) -> io::Result<()> {
    poll_fn(|cx| stream.poll_shutdown(cx)).await
}

fn small() -> Config {
    config().send_high_water(100)
}

/// Returns bytes that show which of them are missing.
fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| ((at / 3) ^ (at / 251)) as u8).collect()
}

/// Two tasks use one unsplit socket, one for each direction, over a pipe that takes little. Each direction ends on
/// its own, because no Close is answered before the application closes.
#[test]
fn a_socket_carries_bytes_in_both_directions_at_once() {
    for capacity in [1, 10, 4096] {
        let world = World::default();
        let (client, server) = pair(&world, capacity, small().reply_to_close(false));
        for socket in [client, server] {
            let socket = Rc::new(RefCell::new(socket));
            let reading = socket.clone();
            world.spawn(async move {
                let mut bytes = Vec::new();
                let mut buf = [0; 7];
                loop {
                    let len = poll_fn(|cx| reading.borrow_mut().poll_read(cx, &mut buf));
                    match len.await.unwrap() {
                        0 => break,
                        len => bytes.extend_from_slice(&buf[..len]),
                    }
                }
                assert_eq!(bytes, octets(3000));
            });
            world.spawn(async move {
                let all = octets(3000);
                for mut part in all.chunks(500) {
                    while !part.is_empty() {
                        let written = poll_fn(|cx| socket.borrow_mut().poll_write(cx, part));
                        part = &part[written.await.unwrap()..];
                    }
                    poll_fn(|cx| socket.borrow_mut().poll_flush(cx))
                        .await
                        .unwrap();
                }
                poll_fn(|cx| socket.borrow_mut().poll_shutdown(cx))
                    .await
                    .unwrap();
            });
        }
        world.run();
        assert_eq!(world.now(), Duration::ZERO);
    }
}

#[test]
fn each_write_is_a_binary_message_of_at_most_64_kib_and_boundaries_are_not_read() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 1 << 20, config());
    world.spawn(async move {
        let written = poll_fn(|cx| client.poll_write(cx, &[7; 100_000]))
            .await
            .unwrap();
        assert_eq!(written, 64 << 10);
        assert_eq!(poll_fn(|cx| client.poll_write(cx, &[])).await.unwrap(), 0);
        write_all(&mut client, b"ab").await.unwrap();
        flush(&mut client).await.unwrap();
        assert_eq!(
            client.stats().sent.messages,
            2,
            "an empty write sends nothing"
        );
        client.send("").await.unwrap();
        client.send("text").await.unwrap();
        client.close(None).await.unwrap();
    });
    world.block_on(async move {
        let Some(Message::Binary(data)) = server.recv().await.unwrap() else {
            panic!("no binary message")
        };
        assert_eq!(data.len(), 64 << 10);
        assert_eq!(read_to_end(&mut server, 5).await.unwrap(), b"abtext");
        assert_eq!(read(&mut server, &mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn a_read_of_nothing_and_an_end_are_told_apart_by_who_reads() {
    let world = World::default();
    let (_client, mut server) = pair(&world, 4096, config());
    world.block_on(async move { assert_eq!(read(&mut server, &mut []).await.unwrap(), 0) });
}

/// Data may be missing if the peer did not mean to end.
#[test]
fn only_a_normal_close_is_the_end_of_the_bytes() {
    for code in [1000, 1001, 1008, 1011] {
        let world = World::default();
        let (mut client, mut server) = pair(&world, 4096, config());
        world.spawn(async move {
            let code = CloseCode::new(code).unwrap();
            client.close((code, "why")).await.unwrap();
        });
        world.block_on(async move {
            let end = read(&mut server, &mut [0]).await;
            if code < 1002 {
                assert_eq!(end.unwrap(), 0);
                return;
            }
            let error = end.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
            let closed = error.get_ref().unwrap().downcast_ref::<Closed>().unwrap();
            assert_eq!((closed.code, &*closed.reason), (code, "why"));
            let again = read(&mut server, &mut [0]).await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::ConnectionAborted);
        });
    }
}

/// A single task that copies what it reads to what it writes ends when the peer has closed, even if our Close is not
/// sent yet.
#[test]
fn a_close_is_the_end_of_the_bytes_before_it_is_answered() {
    for code in [1000, 1011] {
        let world = World::default();
        let (mut client, mut server) = pair(&world, 4096, config().reply_to_close(false));
        world.spawn(async move {
            write_all(&mut client, b"bytes").await.unwrap();
            let code = CloseCode::new(code).unwrap();
            client.close(code).await.unwrap();
        });
        let clock = world.clone();
        world.block_on(async move {
            clock.sleep(Duration::from_secs(1)).await;
            let read = read_to_end(&mut server, 3).await;
            match code {
                1000 => assert_eq!(read.unwrap(), b"bytes"),
                _ => assert_eq!(read.unwrap_err().kind(), ErrorKind::ConnectionAborted),
            }
            write_all(&mut server, b"answer").await.unwrap();
            shutdown(&mut server).await.unwrap();
            assert_eq!(server.recv().await.unwrap(), None);
            assert!(server.closed().unwrap().clean);
            assert_eq!(clock.now(), Duration::from_secs(1));
        });
    }
}

#[test]
fn an_error_keeps_its_kind_and_its_cause() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move { client.abort() });
    world.block_on(async move {
        let error = read(&mut server, &mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        let error = write_all(&mut server, b"x").await.unwrap_err();
        assert!(matches!(
            error.kind(),
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe
        ));
    });
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config().max_stream_size(3));
    world.spawn(async move {
        client.send("four").await.unwrap();
        client.recv().await.unwrap();
    });
    world.block_on(async move {
        let error = read(&mut server, &mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(
            error.to_string().contains("max_stream_size (3 bytes)"),
            "{error}"
        );
        assert!(error.source().is_none(), "it would be printed twice");
    });
}

/// A message is read to its end and no further. The part that is not read is skipped.
#[test]
fn a_message_is_read_by_itself() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 10, small());
    world.spawn(async move {
        for fin in [false, false, true] {
            let data = Message::from("größer");
            client.send_chunk(Chunk { data, fin }).await.unwrap();
        }
        for message in ["skipped in part", "", "whole"] {
            client.send(message).await.unwrap();
        }
        client.send(octets(1000)).await.unwrap();
        client.send("skipped").await.unwrap();
        client.send("last").await.unwrap();
        client.close(None).await.unwrap();
    });
    world.block_on(async move {
        let mut message = server.read_message().await.unwrap().unwrap();
        assert_eq!(message.kind(), Kind::Text);
        assert_eq!(read(&mut message, &mut []).await.unwrap(), 0);
        let text = read_to_end(&mut message, 3).await.unwrap();
        assert_eq!(text, "größer".repeat(3).as_bytes());
        assert_eq!(
            read(&mut message, &mut [0]).await.unwrap(),
            0,
            "it stays at its end"
        );

        let mut message = server.read_message().await.unwrap().unwrap();
        assert!(read(&mut message, &mut [0; 4]).await.unwrap() > 0);
        let mut message = server.read_message().await.unwrap().unwrap();
        assert_eq!(read_to_end(&mut message, 4).await.unwrap(), b"");
        assert_eq!(server.recv().await.unwrap(), Some("whole".into()));

        let (mut reader, writer) = server.split();
        let mut message = reader.read_message().await.unwrap().unwrap();
        assert_eq!(message.kind(), Kind::Binary);
        assert_eq!(read_to_end(&mut message, 64).await.unwrap(), octets(1000));
        let mut message = reader.read_message().await.unwrap().unwrap();
        assert!(read(&mut message, &mut [0; 4]).await.unwrap() > 0);
        assert_eq!(reader.recv().await.unwrap(), Some("last".into()));
        assert!(reader.read_message().await.unwrap().is_none());
        assert!(writer.closed().unwrap().is_normal());
    });
}

/// Dropping a future that waits for a message loses no message.
#[test]
fn to_wait_for_a_message_is_cancel_safe() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    let clock = world.clone();
    world.spawn(async move {
        clock.sleep(Duration::from_secs(1)).await;
        client.send("kept").await.unwrap();
        client.recv().await.unwrap_err();
    });
    let clock = world.clone();
    world.block_on(async move {
        assert!(poll_times(pin!(server.read_message()), 1).await.is_err());
        clock.sleep(Duration::from_secs(2)).await;
        let mut message = server.read_message().await.unwrap().unwrap();
        assert_eq!(read_to_end(&mut message, 64).await.unwrap(), b"kept");
    });
}

#[test]
fn a_close_in_the_middle_of_a_message_is_an_error() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        let data = Message::from("half");
        client.send_chunk(Chunk { data, fin: false }).await.unwrap();
        client.close(CloseCode::NORMAL).await.unwrap();
    });
    world.block_on(async move {
        let mut message = server.read_message().await.unwrap().unwrap();
        let error = read_to_end(&mut message, 64).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert!(server.closed().unwrap().is_normal());
    });
}

#[test]
fn one_message_is_written_in_pieces_and_ends_with_the_shutdown() {
    for split in [false, true] {
        let world = World::default();
        let (client, mut server) = pair(&world, 100, config().max_message_size(1 << 20));
        world.spawn(async move {
            if split {
                let (reader, writer) = client.split();
                let mut message = writer.stream(Kind::Binary).await.unwrap();
                write_all(&mut message, &octets(200_000)).await.unwrap();
                flush(&mut message).await.unwrap();
                shutdown(&mut message).await.unwrap();
                shutdown(&mut message).await.unwrap();
                drop(message);
                writer.finish(None).await.unwrap();
                reader.drain().await.unwrap();
            } else {
                let mut client = client;
                let mut message = client.stream(Kind::Binary).await.unwrap();
                write_all(&mut message, &octets(200_000)).await.unwrap();
                flush(&mut message).await.unwrap();
                shutdown(&mut message).await.unwrap();
                shutdown(&mut message).await.unwrap();
                drop(message);
                client.close(None).await.unwrap();
            }
        });
        world.block_on(async move {
            let data = server.recv().await.unwrap().unwrap();
            assert_eq!(&data.as_bytes()[..], octets(200_000));
            assert_eq!(server.stats().received.messages, 1);
            assert_eq!(server.recv().await.unwrap(), None);
        });
    }
}

/// Written bytes are gathered, because a peer may limit the number of frames of a message.
#[test]
fn small_writes_make_frames_of_64_kib() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 1 << 20, config().max_fragments(3));
    world.spawn(async move {
        let mut message = client.stream(Kind::Binary).await.unwrap();
        for part in octets(150_000).chunks(1000) {
            write_all(&mut message, part).await.unwrap();
        }
        shutdown(&mut message).await.unwrap();
        drop(message);
        client.close(None).await.unwrap();
    });
    world.block_on(async move {
        let data = server.recv().await.unwrap().unwrap();
        assert_eq!(&data.as_bytes()[..], octets(150_000));
        assert_eq!(server.recv().await.unwrap(), None);
    });
}

/// Written bytes come before a piece that is sent later, and before the end.
#[test]
fn bytes_and_pieces_keep_their_order() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 10, small());
    world.spawn(async move {
        let mut message = client.stream(Kind::Text).await.unwrap();
        write_all(&mut message, b"one ").await.unwrap();
        message.write("two ").await.unwrap();
        write_all(&mut message, b"three").await.unwrap();
        message.finish().await.unwrap();
        client.close(None).await.unwrap();
    });
    world.block_on(async move {
        assert_eq!(server.recv().await.unwrap(), Some("one two three".into()));
        assert_eq!(server.recv().await.unwrap(), None);
    });
}

/// A write may end inside a character, but a frame does not.
#[test]
fn text_is_written_in_whole_characters() {
    let text = "größer 漢字 🦀".repeat(3);
    for step in 1..9 {
        let world = World::default();
        let (mut client, mut server) = pair(&world, 10, small());
        let bytes = text.clone().into_bytes();
        world.spawn(async move {
            let mut message = client.stream(Kind::Text).await.unwrap();
            for part in bytes.chunks(step) {
                write_all(&mut message, part).await.unwrap();
            }
            shutdown(&mut message).await.unwrap();
            drop(message);
            client.close(None).await.unwrap();
        });
        let expected = text.clone();
        world.block_on(async move {
            assert_eq!(server.recv().await.unwrap(), Some(expected.into()));
            assert_eq!(server.recv().await.unwrap(), None);
        });
    }
}

#[test]
fn a_text_that_is_not_utf_8_or_half_a_character_is_refused() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move {
        let mut message = client.stream(Kind::Text).await.unwrap();
        write_all(&mut message, b"a\xC3").await.unwrap();
        let error = shutdown(&mut message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        flush(&mut message).await.unwrap();
        write_all(&mut message, b"\xB6").await.unwrap();
        flush(&mut message).await.unwrap();
        write_all(&mut message, b"\xFF").await.unwrap();
        let error = flush(&mut message).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains("not UTF-8"), "{error}");
        drop(message);
        client.recv().await.unwrap();
    });
    world.block_on(async move {
        assert_eq!(server.recv_chunk().await.unwrap().unwrap().data, "a".into());
        assert_eq!(server.recv_chunk().await.unwrap().unwrap().data, "ö".into());
        assert_eq!(server.recv_chunk().await.unwrap(), None);
        assert_eq!(
            server.closed().unwrap().code,
            1011,
            "it was dropped before its end"
        );
    });
}

/// A guard that waits for room and is no longer polled does not hold up other calls.
#[test]
fn a_message_that_is_not_polled_holds_up_no_ping() {
    let world = World::default();
    let (client, mut server) = pair(&world, 10, config().send_high_water(10));
    let clock = world.clone();
    world.spawn(async move {
        let (reader, writer) = client.split();
        let mut message = writer.stream(Kind::Binary).await.unwrap();
        write_all(&mut message, &[1; 100]).await.unwrap();
        let _ = flush_once(&mut message).await;
        write_all(&mut message, &[2; 50]).await.unwrap();
        assert!(
            flush_once(&mut message).await.is_pending(),
            "there is no room"
        );
        clock.sleep(Duration::from_secs(1)).await;
        writer.ping(Default::default()).await.unwrap();
        write_all(&mut message, &[2; 50]).await.unwrap();
        shutdown(&mut message).await.unwrap();
        drop(message);
        writer.finish(None).await.unwrap();
        reader.drain().await.unwrap();
    });
    let clock = world.clone();
    world.block_on(async move {
        clock.sleep(Duration::from_secs(2)).await;
        assert!(matches!(
            server.recv_event().await.unwrap(),
            Some(Event::Ping(_))
        ));
        let message = server.recv().await.unwrap().unwrap();
        assert_eq!(&message.as_bytes()[..], [[1; 100], [2; 100]].concat());
        assert_eq!(server.recv().await.unwrap(), None);
    });
}

#[test]
fn a_write_after_the_end_fails() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.spawn(async move { server.close(None).await.unwrap() });
    world.block_on(async move {
        assert_eq!(client.recv().await.unwrap(), None);
        let error = write_all(&mut client, b"x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        assert_eq!(read(&mut client, &mut [0]).await.unwrap(), 0);
    });
}
