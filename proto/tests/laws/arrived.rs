//! Law 1: trust what arrived, not what was announced. The memory is counted in `memory.rs`.

use bowline_proto::{Event, ProtocolError, Role};
use testing::{
    ends::{BOTH, End, payload, text},
    frames::{BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, TEXT},
};

use crate::protocol;

#[test]
fn law_1_nothing_is_delivered_from_a_frame_that_broke_a_rule() {
    let half_a_character = Frame::text(b"whole and then half \xE2\x82");
    let bad_text = Frame::text(b"bad \xFF");
    let bad_end = Frame::new(FIN | CONTINUATION, b"\xE2\x82");
    let cases = [
        (vec![half_a_character], ProtocolError::Utf8),
        (vec![bad_text], ProtocolError::Utf8),
        (vec![Frame::new(TEXT, "a"), bad_end], ProtocolError::Utf8),
        (vec![Frame::new(0xC1, "rsv1")], ProtocolError::ReservedBits),
        (vec![Frame::new(0x83, "?")], ProtocolError::Opcode(3)),
        (vec![Frame::new(0x80, "?")], ProtocolError::Continuation),
        (
            vec![Frame::new(TEXT, "a"), Frame::text("b")],
            ProtocolError::Interleaved,
        ),
        (
            vec![Frame::new(PING, [0; 126])],
            ProtocolError::ControlTooLong,
        ),
        (vec![Frame::new(CLOSE, [3])], ProtocolError::CloseBody),
        (vec![Frame::close(1005, "")], ProtocolError::CloseCode(1005)),
    ];
    for role in BOTH {
        for (frames, error) in &cases {
            let good = Frame::text("before");
            let frames = [&[good], &frames[..], &[Frame::text("after")]].concat();
            let mut end = End::new(role);
            assert_eq!(
                end.give(&frames),
                [Ok(text("before")), Err(protocol(*error))]
            );
            assert_eq!(end.events(), [], "exactly one error");
        }
    }
}

#[test]
fn law_1_a_new_message_inside_another_is_refused_behind_a_control_frame_too() {
    let frames = [
        Frame::new(TEXT, "begun"),
        Frame::new(PING, "p"),
        Frame::text("new"),
    ];
    for role in BOTH {
        assert_eq!(
            End::new(role).give(&frames),
            [
                Ok(Event::Ping(payload("p"))),
                Err(protocol(ProtocolError::Interleaved))
            ]
        );
    }
}

#[test]
fn law_1_fragments_are_counted_empty_ones_too() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.max_fragments = 3);
        let empty = Frame::new(CONTINUATION, "");
        let last = Frame::new(FIN | CONTINUATION, "");
        let three = [Frame::new(TEXT, ""), empty.clone(), last.clone()];
        let four = [Frame::new(TEXT, ""), empty.clone(), empty, last];
        assert_eq!(end.give(&three), [Ok(text(""))]);
        let error = ProtocolError::TooManyFragments { max: 3 };
        assert_eq!(end.give(&four), [Err(protocol(error))]);
        assert_eq!(end.write(), [Frame::close(1008, &error.to_string())]);
    }
}

#[test]
fn law_1_the_default_takes_16_384_fragments() {
    let mut end = End::new(Role::Client);
    let mut frames = vec![Frame::new(CONTINUATION, "x"); 16_384];
    frames[0].first = BINARY;
    assert_eq!(end.give(&frames), []);
    assert_eq!(
        end.give(&[Frame::new(FIN | CONTINUATION, "x")]),
        [Err(protocol(ProtocolError::TooManyFragments {
            max: 16_384
        }))]
    );
}
