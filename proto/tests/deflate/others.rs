//! Compression against other implementations.

use bowline_proto::{Chunk, Event, Kind, Outgoing, Role};
use testing::{
    ends::{
        BOTH, binary, chunk,
        deflate::{self, Deflater, Inflater, Random, USUAL, all, both, compressed, contents},
        joined, other,
    },
    frames::{BINARY, CONTINUATION, FIN, Frame, PING, RSV1, TEXT, wire},
};

#[test]
fn what_we_send_others_read() {
    for (i, takeover) in [false, true].into_iter().enumerate() {
        for bits in 9..=15 {
            let role = BOTH[usize::from(bits) % 2];
            let level = [1, 2, 6, 9][(usize::from(bits) + i) % 4];
            let agreed = both(bits, takeover);
            let mut end = deflate::end(role, agreed, |config| {
                config.send_frame_size = [None, Some(1), Some(100)][usize::from(bits) % 3];
                let mut options = all();
                options.level = level;
                options.memory_level = 1 + bits % 9;
                config.deflate = Some(options);
            });
            let mut peer = Inflater::new(agreed.send);
            let contents = contents(400, 9000);
            for (i, content) in contents.iter().enumerate() {
                match i % 7 {
                    // In pieces.
                    0 => {
                        for piece in content.chunks(500) {
                            let piece = chunk(Kind::Binary, piece, false);
                            end.conn.send_chunk(piece).unwrap();
                        }
                        let last = chunk(Kind::Binary, "", true);
                        end.conn.send_chunk(last).unwrap();
                    }
                    1 => end
                        .conn
                        .send(Outgoing::uncompressed(content.clone()))
                        .unwrap(),
                    _ => end.conn.send(content.clone()).unwrap(),
                }
                if i % 5 == 0 {
                    let messages = peer.messages(&end.write());
                    assert!(messages.last() == Some(content));
                }
            }
        }
    }
}

#[test]
fn long_streams_of_messages_are_read_by_others() {
    for takeover in [false, true] {
        for role in BOTH {
            let agreed = both(15, takeover);
            let mut end = deflate::end(role, agreed, |_| {});
            let mut peer = Inflater::new(agreed.send);
            for content in contents(3000, 1000) {
                end.conn.send(content.clone()).unwrap();
                let messages = peer.messages(&end.write());
                assert!(messages == [content]);
            }
        }
    }
}

#[test]
fn what_others_send_we_read() {
    let mut random = Random(7);
    for takeover in [false, true] {
        for (level, role) in [
            (0, Role::Client),
            (1, Role::Server),
            (6, Role::Client),
            (9, Role::Server),
        ] {
            for chunks in [false, true] {
                let mut end = deflate::end(role, both(15, takeover), |_| {});
                let mut peer = Deflater::new(level, takeover);
                for content in contents(300, 4000) {
                    let plain = random.below(10) == 0;
                    let (bit, data) = match plain {
                        true => (0, content.clone()),
                        false => (RSV1, peer.message(&content)),
                    };
                    let step = 1 + random.below(data.len());
                    let mut frames: Vec<_> = data
                        .chunks(step)
                        .map(|piece| Frame::new(CONTINUATION, piece))
                        .collect();
                    if frames.is_empty() {
                        frames.push(Frame::new(CONTINUATION, ""));
                    }
                    frames[0].first = bit | BINARY;
                    let between = random.below(frames.len() + 1);
                    frames.last_mut().unwrap().first |= FIN;
                    if between < frames.len() {
                        frames.insert(between, Frame::new(PING, "?"));
                    }
                    let wire = wire(&frames, other(role));
                    let mut got = Vec::new();
                    let segment = [1, 7, 1000, usize::MAX][random.below(4)];
                    for part in wire.chunks(segment.min(wire.len())) {
                        end.receive(part);
                        if chunks {
                            got.extend(end.chunks());
                        } else {
                            let whole = |event: Event| event.map(|data| Chunk { data, fin: true });
                            got.extend(end.events().into_iter().map(|event| event.map(whole)));
                        }
                    }
                    let (mut got, rest) = joined(got);
                    got.retain(|event| !matches!(event, Ok(Event::Ping(_))));
                    assert!(got == [Ok(binary(content))]);
                    assert!(rest.is_empty());
                    end.write();
                }
            }
        }
    }
}

#[test]
fn where_the_input_is_cut_makes_no_difference() {
    for role in BOTH {
        let mut peer = Deflater::new(6, true);
        let mut wire = Vec::new();
        for frame in [
            compressed(TEXT, peer.message("κόσμε κόσμε".as_bytes())),
            Frame::new(RSV1 | TEXT, ""),
            Frame::new(PING, "?"),
            Frame::new(
                FIN | CONTINUATION,
                peer.message("κόσμε κόσμε κόσμε".as_bytes()),
            ),
            Frame::text("plain"),
            compressed(TEXT, peer.message("a".repeat(1000).as_bytes())),
            compressed(TEXT, [6]),
        ] {
            wire.extend(frame.from(other(role)));
        }
        let outcome = |cuts: [usize; 2], chunks: [bool; 3]| {
            let mut end = deflate::end(role, USUAL, |_| {});
            let (rest, last) = wire.split_at(cuts[1]);
            let (first, second) = rest.split_at(cuts[0]);
            let mut events = Vec::new();
            for (part, chunked) in [first, second, last].into_iter().zip(chunks) {
                end.receive(part);
                if chunked {
                    events.extend(end.chunks());
                } else {
                    let whole = |event: Event| event.map(|data| Chunk { data, fin: true });
                    events.extend(end.events().into_iter().map(|event| event.map(whole)));
                }
            }
            joined(events).0
        };
        let expected = outcome([0, 0], [false; 3]);
        assert_eq!(expected.len(), 6);
        for first in 0..wire.len() {
            for second in first..wire.len() {
                for chunks in [false, true] {
                    assert_eq!(outcome([first, second], [chunks; 3]), expected);
                }
            }
        }
    }
}
