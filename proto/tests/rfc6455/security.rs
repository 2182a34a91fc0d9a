//! §10: security considerations.

use bowline_proto::{ConnectionError, ProtocolError, Role};
use testing::{
    ends::{BOTH, End},
    frames::{self, BINARY, CLOSE, FIN, Frame},
};

use crate::{close_code, fails};

#[test]
fn s10_3_keys_are_drawn_anew_for_equal_payloads() {
    let mut end = End::new(Role::Client);
    end.conn.send("the same").unwrap();
    let first = end.write_some(usize::MAX, true);
    end.conn.send("the same").unwrap();
    assert_ne!(first, end.write_some(usize::MAX, true));
}

#[test]
fn s10_4_frames_messages_and_fragments_have_limits() {
    for role in BOTH {
        let key = (role == Role::Server).then_some(Frame::KEY);
        let max = 1 << 20;
        for (limit, error) in [
            (None, ProtocolError::MessageTooBig { max }),
            (Some(max), ProtocolError::FrameTooBig { max }),
        ] {
            let mut end = End::with(role, |config| config.max_frame_size = limit);
            end.receive(&frames::header(FIN | BINARY, u64::MAX >> 1, key));
            assert_eq!(end.events(), fails(error));
            assert_eq!(close_code(&mut end), 1009);
        }
    }
}

#[test]
fn s10_7_data_from_either_end_is_validated_and_refused_with_a_code() {
    for role in BOTH {
        for (frame, code) in [
            (Frame::text(b"\xC0\x80"), 1007),
            (Frame::new(0x87, ""), 1002),
            (Frame::close(2000, ""), 1002),
            (Frame::new(CLOSE, b"\x03\xE8\xC0\x80"), 1007),
        ] {
            let mut end = End::new(role);
            assert!(matches!(
                end.give(&[frame])[..],
                [Err(ConnectionError::Protocol(_))]
            ));
            assert_eq!(close_code(&mut end), code);
        }
    }
}
