//! §7.2: compression and decompression.

use bowline_proto::{ProtocolError, Role, deflate::Agreed};
use testing::{
    ends::{
        BOTH,
        deflate::{self, Inflater, USUAL, compressed, contents, window},
        text,
    },
    frames::{self, BINARY, CONTINUATION, FIN, Frame, RSV1, TEXT},
};

use crate::{hex, protocol, usual};

#[test]
fn s7_2_1_the_tail_is_removed() {
    for role in BOTH {
        let mut end = usual(role);
        end.conn.send("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa").unwrap();
        let frames = end.write();
        assert_eq!(frames.len(), 1);
        assert_eq!(frames[0].first, FIN | RSV1 | TEXT);
        assert!(!frames[0].payload.ends_with(&[0, 0, 0xff, 0xff]));
        let content = Inflater::new(USUAL.send).frames(&frames);
        assert_eq!(content, [b'a'; 32]);
    }
}

#[test]
fn s7_2_1_without_context_takeover_each_message_stands_alone() {
    for role in BOTH {
        for takeover in [false, true] {
            let agreed = Agreed {
                send: window(15, takeover),
                recv: window(15, takeover),
            };
            let mut end = deflate::end(role, agreed, |_| {});
            // The content is random, so only the message before it can help.
            let content = contents(1, 100_000).remove(0)[..500].to_vec();
            let content = content.repeat(2);
            end.conn.send(content.clone()).unwrap();
            let first = end.write();
            end.conn.send(content.clone()).unwrap();
            let second = end.write();
            assert_eq!(first == second, !takeover);
            assert_eq!(second[0].payload.len() < 100, takeover);
            let mut peer = Inflater::new(agreed.send);
            assert_eq!(peer.frames(&first), content);
            assert_eq!(peer.frames(&second), content);
        }
    }
}

#[test]
fn s7_2_2_corrupt_data_fails_the_connection_with_1007() {
    let reason = "the peer sent compressed data that is not valid DEFLATE";
    for (what, data) in [
        ("block type 3", "06"),
        (
            "lengths of a stored block that differ",
            "000500fbff48656c6c6f00",
        ),
        ("a distance before the beginning", "f200110000"),
        ("cut inside of a block", "f248cdc9c9"),
        ("cut inside of a symbol", "f2"),
        ("cut before its last block", "f248cdc9c907"),
        ("cut inside of a stored block", "000500faff4865"),
        (
            "a stored block that lacks as much as the tail has",
            "000500faff48",
        ),
        ("the same, the last of its stream", "010500faff48"),
        ("cut inside of the lengths", "000500"),
        ("a dynamic block without codes", "04c0"),
        ("half a tail", "f248cdc9c90700 0000"),
        ("a tail and a half", "f248cdc9c90700 0000ffff 0000"),
        ("behind the last block", "f348cdc9c90700 06"),
    ] {
        for role in BOTH {
            for fragment in [1, 3, 100] {
                let mut end = usual(role);
                let data = hex(data);
                let pieces: Vec<_> = data.chunks(fragment).collect();
                let frames = pieces.iter().enumerate().map(|(i, piece)| {
                    let first = if i == 0 { RSV1 | BINARY } else { CONTINUATION };
                    let fin = if i + 1 == pieces.len() { FIN } else { 0 };
                    Frame::new(fin | first, piece)
                });
                let events = end.give(&frames.collect::<Vec<_>>());
                assert_eq!(events, [protocol(ProtocolError::Deflate)], "{what}");
                assert_eq!(end.write(), [Frame::close(1007, reason)]);
            }
        }
    }
}

#[test]
fn s7_2_2_text_is_checked_when_it_is_inflated() {
    for role in BOTH {
        let mut peer = deflate::Deflater::new(6, false);
        for (content, valid) in [
            ("κόσμε".as_bytes().to_vec(), true),
            (b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80".to_vec(), false),
            ([vec![b'a'; 100_000], b"\xc3".to_vec()].concat(), false),
            (
                [vec![b'a'; 65_535], "é".into(), vec![b'b'; 65_535]].concat(),
                true,
            ),
        ] {
            let mut end = usual(role);
            let frame = compressed(TEXT, peer.message(&content));
            let expected = match String::from_utf8(content) {
                Ok(content) => Ok(text(content)),
                Err(_) => protocol(ProtocolError::Utf8),
            };
            assert_eq!(expected.is_ok(), valid);
            assert_eq!(end.give(&[frame]), [expected]);
        }
        // It fails at the first octet that cannot be right: a stored block shows it at once.
        let mut end = usual(role);
        let bytes = frames::header(RSV1 | TEXT, 100, (role == Role::Server).then_some([0; 4]));
        end.receive(&bytes);
        end.receive(&hex("00 0500 faff 6162"));
        assert_eq!(end.events(), []);
        end.receive(&[0xff]);
        assert_eq!(end.events(), [protocol(ProtocolError::Utf8)]);
    }
}
