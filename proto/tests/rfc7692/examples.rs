//! §7.2.3: the examples.

use bowline_proto::{Kind, ProtocolError, deflate::Agreed};
use testing::{
    ends::{
        BOTH, binary, chunk,
        deflate::{self, Inflater, USUAL, compressed, window},
        text,
    },
    frames::{BINARY, CONTINUATION, FIN, Frame, RSV1, TEXT},
};

use crate::{hex, protocol, usual};

#[test]
fn s7_2_3_1_a_message_in_one_block() {
    for role in BOTH {
        let mut end = usual(role);
        let events = end.give(&[compressed(TEXT, hex("f248cdc9c90700"))]);
        assert_eq!(events, [Ok(text("Hello"))]);
        let events = end.give(&[
            Frame::new(RSV1 | TEXT, hex("f248cd")),
            Frame::new(FIN | CONTINUATION, hex("c9c90700")),
        ]);
        assert_eq!(events, [Ok(text("Hello"))]);
    }
}

#[test]
fn s7_2_3_2_a_message_that_refers_to_the_one_before() {
    for role in BOTH {
        let hello = compressed(TEXT, hex("f248cdc9c90700"));
        let again = compressed(TEXT, hex("f200110000"));
        let mut end = usual(role);
        let events = end.give(&[hello.clone(), again.clone()]);
        assert_eq!(events, [Ok(text("Hello")), Ok(text("Hello"))]);
        // Without takeover there is nothing to refer to.
        let agreed = Agreed {
            recv: window(15, false),
            ..USUAL
        };
        let mut end = deflate::end(role, agreed, |_| {});
        let events = end.give(&[hello, again]);
        let expected = [Ok(text("Hello")), protocol(ProtocolError::Deflate)];
        assert_eq!(events, expected);
    }
}

#[test]
fn s7_2_3_3_a_block_without_compression() {
    for role in BOTH {
        let mut end = usual(role);
        let events = end.give(&[compressed(TEXT, hex("000500faff48656c6c6f00"))]);
        assert_eq!(events, [Ok(text("Hello"))]);
    }
}

#[test]
fn s7_2_3_4_a_block_with_bfinal() {
    for role in BOTH {
        let mut end = usual(role);
        let last = compressed(TEXT, hex("f348cdc9c9070000"));
        // Also without the octet after it; and with more blocks, which begin a stream of their own.
        let bare = compressed(TEXT, hex("f348cdc9c90700"));
        let more = compressed(TEXT, hex("f348cdc9c90700 f248cdc9c90700"));
        let stored = compressed(TEXT, hex("010500faff48656c6c6f"));
        let events = end.give(&[last, bare, stored]);
        assert_eq!(events, vec![Ok(text("Hello")); 3]);
        assert_eq!(end.give(&[more]), [Ok(text("HelloHello"))]);
        // A stream that follows refers to its own past.
        let again = compressed(TEXT, hex("f200110000"));
        assert_eq!(end.give(&[again]), [Ok(text("Hello"))]);
        // Data that looks like a tail is not one.
        let data = compressed(BINARY, hex("010400fbff 0000ffff"));
        assert_eq!(end.give(&[data]), [Ok(binary([0, 0, 0xff, 0xff]))]);
    }
}

/// §7.2.1: the block whose last four octets are removed may have BFINAL itself.
#[test]
fn s7_2_3_4_bfinal_in_the_block_that_lost_its_tail() {
    for role in BOTH {
        for (data, content) in [("01", ""), ("000500faff48656c6c6f 01", "Hello")] {
            let mut end = usual(role);
            let first = end.give(&[compressed(TEXT, hex(data))]);
            assert_eq!(first, [Ok(text(content))]);
            let hello = compressed(TEXT, hex("f248cdc9c90700"));
            let events = end.give(&[hello.clone(), hello]);
            assert_eq!(events, vec![Ok(text("Hello")); 2], "behind {data}");
        }
    }
}

#[test]
fn s7_2_3_5_a_message_in_two_blocks() {
    for role in BOTH {
        let mut end = usual(role);
        let events = end.give(&[compressed(TEXT, hex("f248050000 00ffff cac9c90700"))]);
        assert_eq!(events, [Ok(text("Hello"))]);
    }
}

#[test]
fn s7_2_3_6_empty_messages() {
    for role in BOTH {
        let mut end = usual(role);
        // One empty block of any type, with BFINAL or not, or nothing at all.
        for data in ["00", "0200", "0300", "", "00 0000ffff", "010000ffff"] {
            let hello = compressed(TEXT, hex("f248cdc9c90700"));
            let events = end.give(&[compressed(TEXT, hex(data)), hello]);
            assert_eq!(events, [Ok(text("")), Ok(text("Hello"))], "{data}");
        }
        // We send one if we streamed nothing, and an uncompressed message otherwise.
        for fin in [false, true] {
            end.conn.send_chunk(chunk(Kind::Text, "", fin)).unwrap();
        }
        let frames = end.write();
        assert_eq!(frames[0], Frame::new(RSV1 | TEXT, ""));
        assert_eq!(frames[1], Frame::new(FIN | CONTINUATION, [0]));
        assert_eq!(Inflater::new(USUAL.send).frames(&frames), b"");
        end.conn.send("").unwrap();
        assert_eq!(end.write(), [Frame::text("")]);
    }
}

#[test]
fn s7_2_3_6_a_tail_that_was_left_on() {
    for role in BOTH {
        let mut end = usual(role);
        let whole = hex("f248cdc9c90700 0000ffff");
        for cut in 0..=whole.len() {
            let (one, two) = whole.split_at(cut);
            let events = end.give(&[
                Frame::new(RSV1 | TEXT, one),
                Frame::new(FIN | CONTINUATION, two),
            ]);
            assert_eq!(events, [Ok(text("Hello"))], "cut at {cut}");
            // The window has not moved.
            let events = end.give(&[compressed(TEXT, hex("f200110000"))]);
            assert_eq!(events, [Ok(text("Hello"))], "cut at {cut}");
        }
    }
}
