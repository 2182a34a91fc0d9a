//! Messages that are copied into the application's memory, piece by piece.

use std::time::Duration;

use bowline_bind::{
    Received,
    proto::{Chunk, Event, Kind, Message},
};
use testing::world::*;

/// Returns all pieces of the next message, read with a buffer of `size` bytes.
async fn read(socket: &mut Socket, size: usize) -> Option<(Vec<u8>, Kind, usize)> {
    let (mut message, mut pieces) = (Vec::new(), 0);
    let mut buf = vec![0; size];
    loop {
        let Received { len, kind, fin } = socket.recv_into(&mut buf).await.unwrap()?;
        message.extend_from_slice(&buf[..len]);
        pieces += 1;
        if fin {
            return Some((message, kind, pieces));
        }
        assert!(len > 0, "a piece that is not the last has something");
    }
}

#[test]
fn a_message_is_copied_into_buffers_of_any_size() {
    for (split, size) in [false, true]
        .into_iter()
        .flat_map(|it| [1, 2, 7, 1024].map(|len| (it, len)))
    {
        let world = World::default();
        let (mut client, mut server) = pair(&world, 4096, config());
        world.block_on(async move {
            server.send("äöü").await.unwrap();
            server.send(vec![7; 1800]).await.unwrap();
            server.send("").await.unwrap();
            let binary = (vec![7; 1800], Kind::Binary, 1800_usize.div_ceil(size));
            if split {
                let (mut reader, _writer) = client.split();
                let mut buf = vec![0; size];
                let piece = reader.recv_into(&mut buf).await.unwrap().unwrap();
                assert_eq!((piece.len, piece.fin), (size.min(6), size >= 6));
                return;
            }
            let text = ("äöü".into(), Kind::Text, 6_usize.div_ceil(size));
            assert_eq!(read(&mut client, size).await, Some(text));
            assert_eq!(read(&mut client, size).await, Some(binary));
            assert_eq!(read(&mut client, size).await, Some((vec![], Kind::Text, 1)));
        });
    }
}

/// If a message comes in chunks, no piece is known to be its last before its end arrives.
#[test]
fn a_message_in_chunks_ends_with_its_last() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    world.block_on(async move {
        for (text, fin) in [("one", false), ("two", false), ("", true)] {
            let data = Message::from(text);
            server.send_chunk(Chunk { data, fin }).await.unwrap();
        }
        server.finish(None).await.unwrap();
        let (message, _, _) = read(&mut client, 2).await.unwrap();
        assert_eq!(message, b"onetwo");
        assert_eq!(client.recv_into(&mut [0; 2]).await.unwrap(), None);
        assert_eq!(client.recv_into(&mut [0; 2]).await.unwrap(), None);
    });
}

/// Law 5: a message belongs to the method that first saw it.
#[test]
fn law_5_the_other_methods_skip_the_rest() {
    for (chunked, method) in [false, true]
        .into_iter()
        .flat_map(|it| [0, 1, 2].map(|by| (it, by)))
    {
        let world = World::default();
        let (mut client, mut server) = pair(&world, 4096, config());
        world.block_on(async move {
            if chunked {
                for (data, fin) in [("begun", false), (" and ended", true)] {
                    let data = Message::from(data);
                    server.send_chunk(Chunk { data, fin }).await.unwrap();
                }
            } else {
                server.send("begun and ended").await.unwrap();
            }
            server.send("next").await.unwrap();
            let piece = client.recv_into(&mut [0; 3]).await.unwrap().unwrap();
            assert_eq!((piece.len, piece.fin), (3, false));
            let next = Message::from("next");
            match method {
                0 => assert_eq!(client.recv().await.unwrap(), Some(next)),
                1 => assert_eq!(client.recv_event().await.unwrap(), Some(Event::Data(next))),
                _ => {
                    let chunk = client.recv_chunk().await.unwrap();
                    assert_eq!(
                        chunk,
                        Some(Chunk {
                            data: next,
                            fin: true
                        })
                    );
                }
            }
            server.send("last").await.unwrap();
            assert_eq!(
                read(&mut client, 9).await,
                Some((b"last".to_vec(), Kind::Text, 1))
            );
        });
    }
}

/// The remainder of a chunk is kept while another call waits for output.
#[test]
fn a_call_that_sends_meanwhile_loses_no_piece() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 64, config());
    let timer = world.clone();
    world.spawn(async move {
        server.send("abcdef").await.unwrap();
        timer.sleep(Duration::from_secs(1)).await;
        server.send("ghi").await.unwrap();
        assert_eq!(server.recv().await.unwrap(), Some(vec![1; 1000].into()));
        server.close(None).await.unwrap();
    });
    world.block_on(async move {
        let piece = client.recv_into(&mut [0; 4]).await.unwrap().unwrap();
        assert_eq!((piece.len, piece.fin), (4, false));
        client.send(vec![1; 1000]).await.unwrap();
        let mut buf = [0; 4];
        let piece = client.recv_into(&mut buf).await.unwrap().unwrap();
        assert_eq!((&buf[..piece.len], piece.fin), (&b"ef"[..], true));
        let ended = Some((b"ghi".to_vec(), Kind::Text, 1));
        assert_eq!(read(&mut client, 4).await, ended);
        assert_eq!(client.recv().await.unwrap(), None);
    });
}
