//! Heavy traffic in both directions at once.

use ::tokio::spawn;
use bind::{
    TrySendError,
    proto::{Chunk, Kind, Message},
};

use crate::{
    binding::{ReadHalf, Socket, Wire, WriteHalf},
    support::{both, defaults, pair, roomy, with},
};

for_each_wire! {
    messages_of_every_size_cross_both_ways,
    split_both_ends_send_64_mib,
    unsplit_both_ends_send_1_mib_and_then_receive,
    many_writers_share_a_connection,
    pieces_of_a_message_are_received_as_they_come,
    a_frame_of_4_mib_is_bounded_by_the_limit_of_who_pulls,
    what_has_no_room_is_given_back,
}

async fn messages_of_every_size_cross_both_ways<W: Wire>() {
    let (mut client, mut server) = pair::<W, W>(&roomy(), &roomy()).await;
    let sizes = [
        0,
        1,
        125,
        126,
        4095,
        4096,
        16_384,
        65_535,
        65_536,
        131_073,
        3 << 20,
    ];
    let there = async move {
        for len in sizes {
            let message = Message::from(vec![len as u8; len]);
            client.send(message.clone()).await.unwrap();
            assert!(client.recv().await.unwrap() == Some(message), "{len}");
        }
        client.close(None).await.unwrap();
        client.closed().unwrap()
    };
    let back = async move {
        for len in sizes {
            let received = server.recv().await.unwrap().unwrap();
            assert!(received == Message::from(vec![len as u8; len]), "{len}");
            server.send(received).await.unwrap();
        }
        assert_eq!(server.recv().await.unwrap(), None);
        server.closed().unwrap()
    };
    let (near, far) = both(there, back).await;
    assert!(near.clean && far.clean);
}

/// Each end sends messages of 1 MiB while it receives.
async fn split_both_ends_send_64_mib<W: Wire>() {
    const COUNT: u8 = 64;
    async fn run(socket: impl Socket) {
        let (mut read, write) = socket.split();
        let sending = spawn(async move {
            for i in 0..COUNT {
                write.send(vec![i; 1 << 20]).await.unwrap();
            }
            write
        });
        for i in 0..COUNT {
            let message = read.recv().await.unwrap().unwrap();
            let payload = message.as_bytes();
            assert_eq!(payload.len(), 1 << 20);
            assert_eq!((payload[0], payload[(1 << 20) - 1]), (i, i));
        }
        // A Close here would cut off what the other end still sends.
        let write = sending.await.unwrap();
        write.finish(None).await.unwrap();
        assert_eq!(read.recv().await.unwrap(), None);
        assert!(read.closed().unwrap().clean);
    }
    let (client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    both(run(client), run(server)).await;
}

/// Both send before they receive. The larger message does not fit into any system's buffers.
async fn unsplit_both_ends_send_1_mib_and_then_receive<W: Wire>() {
    async fn run(mut socket: impl Socket) {
        for len in [1 << 20, 8 << 20] {
            let message = Message::from(vec![1; len]);
            socket.send(message.clone()).await.unwrap();
            assert!(socket.recv().await.unwrap() == Some(message));
        }
    }
    let (client, server) = pair::<W, W>(&roomy(), &roomy()).await;
    both(run(client), run(server)).await;
}

async fn many_writers_share_a_connection<W: Wire>() {
    const WRITERS: usize = 8;
    const COUNT: usize = 300;
    let (client, mut server) = pair::<W, W>(&defaults(), &defaults()).await;
    let (mut read, write) = client.split();
    let writers = Vec::from_iter((0..WRITERS).map(|writer| {
        let write = write.clone();
        spawn(async move {
            for i in 0..COUNT {
                let message = format!("{writer} {i}");
                // By turns, this waits until the message is written, or only until there is room.
                if i % 2 == 0 {
                    write.send(message).await.unwrap();
                } else {
                    write.feed(message).await.unwrap();
                }
            }
            write.flush().await.unwrap();
        })
    }));
    let served = spawn(async move {
        let mut next = [0; WRITERS];
        while let Some(message) = server.recv().await.unwrap() {
            let text = message.as_text().unwrap();
            let (writer, i) = text.split_once(' ').unwrap();
            let writer: usize = writer.parse().unwrap();
            assert_eq!(i, next[writer].to_string(), "in the order it was sent");
            next[writer] += 1;
            server.send(message.clone()).await.unwrap();
        }
        next
    });
    for _ in 0..WRITERS * COUNT {
        assert!(read.recv().await.unwrap().is_some());
    }
    for writer in writers {
        writer.await.unwrap();
    }
    write.finish(None).await.unwrap();
    assert_eq!(read.recv().await.unwrap(), None);
    assert_eq!(served.await.unwrap(), [COUNT; WRITERS]);
}

/// The whole message is larger than `max_message_size`.
async fn pieces_of_a_message_are_received_as_they_come<W: Wire>() {
    const PIECES: usize = 5;
    /// Appends a chunk, and returns whether there is more.
    fn gather(gathered: &mut Vec<u8>, chunk: Option<Chunk>) -> bool {
        let chunk = chunk.unwrap();
        gathered.extend_from_slice(chunk.data.as_bytes());
        !chunk.fin
    }
    fn check(gathered: &[u8]) {
        assert_eq!(gathered.len(), PIECES << 20);
        let mut pieces = gathered.chunks(1 << 20).zip(0..);
        assert!(pieces.all(|(piece, i)| piece == vec![i; 1 << 20]));
    }
    let pieces = || Vec::from_iter((0..PIECES).map(|i| Message::from(vec![i as u8; 1 << 20])));
    let (mut client, mut server) = pair::<W, W>(&defaults(), &defaults()).await;
    let (there, back) = (pieces(), pieces());
    let near = async move {
        client.send_pieces(Kind::Binary, there).await.unwrap();
        let (mut read, write) = client.split();
        let mut gathered = Vec::new();
        while gather(&mut gathered, read.recv_chunk().await.unwrap()) {}
        check(&gathered);
        write.send("and then").await.unwrap();
        assert_eq!(read.recv().await.unwrap(), None);
    };
    let far = async move {
        let mut gathered = Vec::new();
        while gather(&mut gathered, server.recv_chunk().await.unwrap()) {}
        check(&gathered);
        let (mut read, write) = server.split();
        write.send_pieces(Kind::Binary, back).await.unwrap();
        assert_eq!(read.recv().await.unwrap(), Some(Message::from("and then")));
        write.finish(None).await.unwrap();
        assert_eq!(read.recv().await.unwrap(), None);
    };
    both(near, far).await;
}

/// By default the frame can be received in chunks, and as a whole if only `max_message_size` is raised.
async fn a_frame_of_4_mib_is_bounded_by_the_limit_of_who_pulls<W: Wire>() {
    let message = Message::from(vec![7; 4 << 20]);
    let larger = with(|config| config.max_message_size = 8 << 20);
    let (mut client, mut server) = pair::<W, W>(&larger, &defaults()).await;
    let (there, back) = (message.clone(), message.clone());
    let near = async move {
        client.send(there).await.unwrap();
        assert!(client.recv().await.unwrap() == Some(message));
        client.close(None).await.unwrap();
    };
    let far = async move {
        let mut gathered = Vec::new();
        while let Some(Chunk { data, fin }) = server.recv_chunk().await.unwrap() {
            gathered.extend_from_slice(data.as_bytes());
            if fin {
                break;
            }
        }
        assert!(gathered[..] == back.as_bytes()[..]);
        server.send(back).await.unwrap();
        assert_eq!(server.recv().await.unwrap(), None);
    };
    both(near, far).await;
}

async fn what_has_no_room_is_given_back<W: Wire>() {
    /// This is more than the buffers of any system take.
    const MANY: usize = 2000;
    let (mut client, server) = pair::<W, W>(&defaults(), &defaults()).await;
    let message = Message::from(vec![7; 64 << 10]);
    let mut taken = 0;
    let unsplit = loop {
        assert!(taken < MANY, "there is always room");
        match client.try_send(message.clone()) {
            Ok(()) => taken += 1,
            Err(TrySendError::Full(message)) => break message,
            Err(error) => panic!("{error}"),
        }
    };
    let (mut read, write) = client.split();
    let split = match write.try_send(unsplit) {
        Err(TrySendError::Full(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(split.message() == &message);
    let sending = async move {
        write.send(split).await.unwrap();
        write.finish(None).await.unwrap();
        assert_eq!(read.recv().await.unwrap(), None);
    };
    let receiving = async move {
        let (mut read, _write) = server.split();
        let mut received = 0;
        while let Some(message) = read.recv().await.unwrap() {
            assert!(message.as_bytes().iter().all(|byte| *byte == 7));
            received += 1;
        }
        received
    };
    let ((), received) = both(sending, receiving).await;
    assert_eq!(received, taken + 1);
}
