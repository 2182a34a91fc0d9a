//! Messages that are sent uncompressed, and messages that are compressed in steps.

use bowline_proto::{Event, Kind, Role};
use bytes::{Buf, Bytes};
use testing::{
    ends::{
        BOTH, chunk,
        deflate::{self, Inflater, Random, USUAL, both, json},
        other,
    },
    frames::{Frame, PING, PONG, RSV1},
};

#[test]
fn what_does_not_shrink_is_sent_plain_and_forgotten() {
    for role in BOTH {
        for takeover in [false, true] {
            let agreed = both(15, takeover);
            let mut end = deflate::end(role, agreed, |_| {});
            let mut peer = Inflater::new(agreed.send);
            let random: Vec<u8> = {
                let mut random = Random(3);
                (0..300_000).map(|_| random.draw() as u8).collect()
            };
            // The text compresses by itself, and better with the uncompressed messages sent before.
            let noise = |at: usize| random[at..at + 1000].to_vec();
            let text = |at| [vec![b'a'; 2000], noise(at), vec![b'a'; 2000], noise(at)].concat();
            for content in [text(0), random.clone(), text(1000), noise(5000), text(5000)] {
                end.conn.send(content.clone()).unwrap();
                let frames = end.write();
                assert_eq!(frames.len(), 1);
                let plain = content[0] != b'a';
                assert_eq!(frames[0].first & RSV1 == 0, plain);
                assert_eq!(frames[0].payload == content, plain);
                // The peer's window has nothing of the uncompressed messages.
                assert!(peer.messages(&frames) == [content]);
            }
        }
    }
}

#[test]
fn what_is_compressed_is_smaller() {
    let mut plain = 0;
    for len in 0..400 {
        let mut end = deflate::end(Role::Server, USUAL, |_| {});
        let content: Vec<u8> = (0..len).map(|i: u32| (i * i % 83) as u8).collect();
        end.conn.send(content.clone()).unwrap();
        let frames = end.write();
        let smaller = frames[0].payload.len() < content.len();
        assert_eq!(frames[0].first & RSV1 != 0, smaller, "{len}");
        plain += u32::from(!smaller);
    }
    assert!((10..390).contains(&plain), "{plain}");
}

#[test]
fn what_is_compressed_and_not_framed_counts_as_unsent() {
    let mut end = deflate::end(Role::Server, USUAL, |config| {
        config.send_high_water = 1000;
        config.send_frame_size = Some(500);
    });
    end.conn.send(json(60_000)).unwrap();
    let mut full = 0;
    while let Some(transmit) = end.conn.transmit() {
        transmit.advance(transmit.remaining());
        full += u32::from(end.conn.is_full());
        end.conn.handle_sent(true);
    }
    assert!(full > 10, "{full}");
    assert!(!end.conn.is_full());
}

#[test]
fn a_large_message_is_compressed_in_steps() {
    for role in BOTH {
        for takeover in [false, true] {
            let agreed = both(15, takeover);
            let mut end = deflate::end(role, agreed, |_| {});
            let large = Bytes::from(vec![b'a'; 10 << 20]);
            end.conn.send(large.clone()).unwrap();
            assert!(end.conn.is_full());
            // At most one step at a time, so that a Pong gets in between.
            let mut bytes = Vec::new();
            let mut calls = 0;
            while let Some(transmit) = end.conn.transmit() {
                assert!(transmit.remaining() < 2000);
                bytes.extend_from_slice(transmit.chunk());
                transmit.advance(transmit.remaining());
                end.conn.handle_sent(true);
                calls += 1;
                if calls == 5 {
                    end.give(&[Frame::new(PING, "?")]);
                }
            }
            assert!(calls >= 80, "{calls} calls");
            let mut frames = Frame::read_all(&bytes, role);
            let pong = frames
                .iter()
                .position(|f| *f == Frame::new(PONG, "?"))
                .unwrap();
            assert!((8..14).contains(&pong), "{pong}");
            frames.remove(pong);
            assert!(!end.conn.is_full());
            assert!(Inflater::new(agreed.send).frames(&frames) == large);
        }
    }
}

#[test]
fn chunks_are_compressed_each_in_a_frame_of_its_own() {
    for role in BOTH {
        let mut end = deflate::end(role, USUAL, |_| {});
        let mut peer = Inflater::new(USUAL.send);
        for pieces in [
            &["", "one ", "", "two ", "three ", ""][..],
            &["one two three"],
            &["", ""],
            &["x", "one two three"],
        ] {
            let (last, first) = pieces.split_last().unwrap();
            for piece in first {
                end.conn
                    .send_chunk(chunk(Kind::Text, piece, false))
                    .unwrap();
                // It can be read at once.
            }
            end.conn.send_chunk(chunk(Kind::Text, last, true)).unwrap();
            let frames = end.write();
            assert_eq!(frames.len(), pieces.len());
            assert_eq!(peer.messages(&frames), [pieces.concat().into_bytes()]);
        }
        // A frame contains its whole chunk: nothing waits for the next frame.
        end.conn
            .send_chunk(chunk(Kind::Binary, [7; 100], false))
            .unwrap();
        let mut conn = deflate::end(other(role), USUAL, |_| {});
        conn.hear(&end.write());
        let got = conn.chunks();
        assert_eq!(got, [Ok(Event::Data(chunk(Kind::Binary, [7; 100], false)))]);
    }
}
