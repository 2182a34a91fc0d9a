//! §5.4: fragmentation.

use bowline_proto::{Event, Kind, ProtocolError, Role, SendError};
use testing::{
    ends::{BOTH, End, binary, chunk, close_frame, joined, payload, text},
    frames::{BINARY, CONTINUATION, FIN, Frame, PING, PONG, TEXT},
};

use crate::{close_code, fails};

#[test]
fn s5_4_fragmented_and_unfragmented_messages_are_received() {
    for role in BOTH {
        let frames = [
            Frame::text("whole"),
            Frame::new(TEXT, "in "),
            Frame::new(CONTINUATION, "three "),
            Frame::new(FIN | CONTINUATION, "parts"),
            Frame::new(BINARY, ""),
            Frame::new(FIN | CONTINUATION, ""),
        ];
        assert_eq!(
            End::new(role).give(&frames),
            [
                Ok(text("whole")),
                Ok(text("in three parts")),
                Ok(binary(""))
            ]
        );
    }
}

#[test]
fn s5_4_control_frames_come_between_fragments() {
    for role in BOTH {
        let mut end = End::new(role);
        let frames = [
            Frame::new(BINARY, "a"),
            Frame::new(PING, "1"),
            Frame::new(CONTINUATION, "b"),
            Frame::new(PONG, "2"),
            Frame::new(FIN | CONTINUATION, "c"),
            Frame::new(TEXT, "d"),
            Frame::close(1000, ""),
        ];
        assert_eq!(
            end.give(&frames),
            [
                Ok(Event::Ping(payload("1"))),
                Ok(Event::Pong(payload("2"))),
                Ok(binary("abc")),
                Ok(Event::Close(Some(close_frame(1000, ""))))
            ]
        );
    }
}

#[test]
fn s5_4_a_continuation_of_nothing_fails_the_connection() {
    for role in BOTH {
        for first in [CONTINUATION, FIN | CONTINUATION] {
            for before in [&[][..], &[Frame::text("whole")], &[Frame::new(PING, "")]] {
                let mut end = End::new(role);
                end.give(before);
                let frame = Frame::new(first, "x");
                assert_eq!(end.give(&[frame]), fails(ProtocolError::Continuation));
                assert_eq!(close_code(&mut end), 1002);
            }
        }
    }
}

#[test]
fn s5_4_fragments_of_two_messages_are_not_interleaved() {
    for role in BOTH {
        for first in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
            let mut end = End::new(role);
            end.give(&[Frame::new(TEXT, "begun"), Frame::new(PING, "")]);
            let frame = Frame::new(first, "x");
            assert_eq!(end.give(&[frame]), fails(ProtocolError::Interleaved));
        }
    }
}

#[test]
fn s5_4_a_sender_fragments_with_one_opcode_and_one_fin() {
    for role in BOTH {
        let mut end = End::new(role);
        for (piece, fin) in [("a", false), ("", false), ("b", false), ("c", true)] {
            end.conn.send_chunk(chunk(Kind::Text, piece, fin)).unwrap();
        }
        assert_eq!(
            end.write(),
            [
                Frame::new(TEXT, "a"),
                Frame::new(CONTINUATION, ""),
                Frame::new(CONTINUATION, "b"),
                Frame::new(FIN | CONTINUATION, "c")
            ]
        );
    }
}

#[test]
fn s5_4_a_sender_does_not_interleave_messages() {
    let mut end = End::new(Role::Server);
    end.conn.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
    assert_eq!(end.conn.send("b"), Err(SendError::Unfinished));
    assert_eq!(
        end.conn.send_chunk(chunk(Kind::Binary, "b", true)),
        Err(SendError::KindChanged),
        "all fragments are of the type of the first"
    );
}

#[test]
fn s5_4_fragments_are_delivered_in_the_order_sent() {
    for role in BOTH {
        let mut frames: Vec<_> = (0..200_u8).map(|i| Frame::new(CONTINUATION, [i])).collect();
        frames[0].first = BINARY;
        frames[199].first = FIN | CONTINUATION;
        let mut end = End::new(role);
        end.hear(&frames);
        assert_eq!(
            joined(end.chunks()).0,
            [Ok(binary((0..200).collect::<Vec<u8>>()))]
        );
    }
}
