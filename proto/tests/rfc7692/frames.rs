//! §6: frames of compressed messages.

use bowline_proto::{Event, ProtocolError, deflate::Deflate};
use testing::{
    ends::{
        BOTH, End, close_frame,
        deflate::{self, Inflater, USUAL, compressed, contents},
        payload, text,
    },
    frames::{BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, RSV1, TEXT},
};

use crate::{hex, protocol, usual};

#[test]
fn s6_rsv1_without_an_agreement_fails_the_connection() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.deflate = Some(Deflate::default()));
        let events = end.give(&[compressed(TEXT, hex("f248cdc9c90700"))]);
        assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
    }
}

#[test]
fn s6_rsv1_on_control_frames_and_later_fragments_fails_the_connection() {
    for role in BOTH {
        for first in [PING, PONG, CLOSE] {
            for begun in [false, true] {
                let mut end = usual(role);
                if begun {
                    end.give(&[Frame::new(RSV1 | TEXT, hex("f248"))]);
                }
                let events = end.give(&[Frame::new(first | RSV1, "")]);
                assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
                assert_eq!(end.write(), [Frame::close(1002, RESERVED)]);
            }
        }
        for begins in [TEXT, RSV1 | TEXT] {
            for fin in [0, FIN] {
                let mut end = usual(role);
                let rest = Frame::new(fin | RSV1 | CONTINUATION, "");
                let events = end.give(&[Frame::new(begins, ""), rest]);
                assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
            }
        }
        // RSV2 and RSV3 have no meaning.
        for bits in [0x10, 0x20, 0x50, 0x60, 0x70] {
            let mut end = usual(role);
            let events = end.give(&[Frame::new(FIN | bits | TEXT, "")]);
            assert_eq!(events, [protocol(ProtocolError::ReservedBits)]);
        }
    }
}

const RESERVED: &str = "the peer set a reserved bit without an extension that defines it";

#[test]
fn s6_1_rsv1_is_set_on_the_first_frame_only() {
    for role in BOTH {
        let mut end = deflate::end(role, USUAL, |config| config.send_frame_size = Some(10));
        let content = contents(6, 5000).remove(4);
        end.conn.send(content.clone()).unwrap();
        end.conn.ping(payload("?")).unwrap();
        let frames = end.write();
        assert!(frames.len() > 5);
        let (ping, frames) = frames.split_last().unwrap();
        assert_eq!(ping, &Frame::new(PING, "?"));
        assert!(frames.iter().all(|frame| frame.payload.len() <= 10));
        assert_eq!(frames[0].first, RSV1 | BINARY);
        assert_eq!(Inflater::new(USUAL.send).frames(frames), content);
    }
}

#[test]
fn s6_1_control_frames_are_not_compressed() {
    for role in BOTH {
        let mut end = usual(role);
        end.conn.ping(payload([7; 125])).unwrap();
        end.conn.pong(payload([7; 125])).unwrap();
        end.conn.close(Some(close_frame(1000, &"a".repeat(123))));
        let expected = [
            Frame::new(PING, [7; 125]),
            Frame::new(PONG, [7; 125]),
            Frame::close(1000, &"a".repeat(123)),
        ];
        assert_eq!(end.write(), expected);
    }
}

#[test]
fn s6_1_plain_messages_may_come_between() {
    for role in BOTH {
        let mut end = usual(role);
        let hello = compressed(TEXT, hex("f248cdc9c90700"));
        let again = compressed(TEXT, hex("f200110000"));
        let plain = Frame::text("Hello");
        let events = end.give(&[hello, plain.clone(), again.clone(), plain, again]);
        assert_eq!(events, vec![Ok(text("Hello")); 5]);
    }
}

#[test]
fn s6_2_fragments_are_put_together_before_they_are_inflated() {
    for role in BOTH {
        let content = hex("f248cdc9c90700");
        for cut in 0..=content.len() {
            let mut end = usual(role);
            let (one, two) = content.split_at(cut);
            let events = end.give(&[
                Frame::new(RSV1 | TEXT, one),
                Frame::new(PING, "?"),
                Frame::new(FIN | CONTINUATION, two),
            ]);
            assert_eq!(events, [Ok(Event::Ping(payload("?"))), Ok(text("Hello"))]);
            assert_eq!(end.write(), [Frame::new(PONG, "?")]);
        }
        // Every octet in a frame of its own, and empty ones between.
        let mut end = usual(role);
        let mut frames = vec![Frame::new(RSV1 | TEXT, "")];
        for octet in content {
            frames.push(Frame::new(CONTINUATION, [octet]));
            frames.push(Frame::new(CONTINUATION, ""));
        }
        frames.push(Frame::new(FIN | CONTINUATION, ""));
        assert_eq!(end.give(&frames), [Ok(text("Hello"))]);
    }
}
