//! §5.5: control frames.

use bowline_proto::{CloseCode, CloseFrame, Event, Kind, ProtocolError, Role, SendError, State};
use testing::{
    ends::{BOTH, End, chunk, close_frame, other, payload},
    frames::{self, CLOSE, FIN, Frame, PING, PONG, TEXT},
    polls::Polls,
};

use crate::{close_code, fails};

// ---- §5.5 Control frames ------------------------------------------------------------------------

#[test]
fn s5_5_a_control_frame_has_at_most_125_bytes() {
    for role in BOTH {
        for first in [CLOSE, PING, PONG] {
            for len in [126, 127, 65_536] {
                let mut end = End::new(role);
                let key = (role == Role::Server).then_some(Frame::KEY);
                end.receive(&frames::header(first, len, key));
                assert_eq!(end.events(), fails(ProtocolError::ControlTooLong));
                assert_eq!(close_code(&mut end), 1002);
            }
        }
        let mut end = End::new(role);
        let longest = [b'x'; 125];
        assert_eq!(
            end.give(&[Frame::new(PING, longest), Frame::new(PONG, longest)]),
            [
                Ok(Event::Ping(payload(longest))),
                Ok(Event::Pong(payload(longest)))
            ]
        );
        assert_eq!(end.write(), [Frame::new(PONG, longest)]);
        let reason = "x".repeat(123);
        assert_eq!(
            end.give(&[Frame::close(1000, &reason)]),
            [Ok(Event::Close(Some(close_frame(1000, &reason))))]
        );
        assert_eq!(end.write(), [Frame::close(1000, &reason)]);
    }
}

#[test]
fn s5_5_a_control_frame_is_not_fragmented() {
    for role in BOTH {
        for first in [CLOSE, PING, PONG] {
            let mut end = End::new(role);
            let frame = Frame::new(first & !FIN, "");
            assert_eq!(end.give(&[frame]), fails(ProtocolError::FragmentedControl));
            assert_eq!(close_code(&mut end), 1002);
        }
    }
}

#[test]
fn s5_5_every_length_of_control_payload_arrives_at_every_cut() {
    for role in BOTH {
        for len in (0..=125).step_by(5) {
            let bytes = Frame::new(PING, vec![b'x'; len]).from(other(role));
            for cut in 0..bytes.len() {
                let mut end = End::new(role);
                end.receive(&bytes[..cut]);
                assert_eq!(end.events(), []);
                end.receive(&bytes[cut..]);
                assert_eq!(end.events(), [Ok(Event::Ping(payload(vec![b'x'; len])))]);
            }
        }
    }
}

#[test]
fn s5_5_a_control_frame_that_is_too_long_cannot_be_sent() {
    let error = CloseFrame::new(CloseCode::NORMAL, "x".repeat(124)).unwrap_err();
    assert_eq!((error.len, error.max), (124, 123));
    assert!(bowline_proto::ControlPayload::new(vec![0; 126]).is_err());
}

// ---- §5.5.1 Close -------------------------------------------------------------------------------

#[test]
fn s5_5_1_a_body_begins_with_a_code() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(
            end.give(&[Frame::new(CLOSE, [3])]),
            fails(ProtocolError::CloseBody)
        );
        assert_eq!(close_code(&mut end), 1002);
        let mut end = End::new(role);
        assert_eq!(end.give(&[Frame::new(CLOSE, "")]), [Ok(Event::Close(None))]);
        let mut end = End::new(role);
        assert_eq!(
            end.give(&[Frame::new(CLOSE, [0x0F, 0xA0, b'o', b'k'])]),
            [Ok(Event::Close(Some(close_frame(4000, "ok"))))]
        );
    }
}

#[test]
fn s5_5_1_a_reason_is_utf_8() {
    for role in BOTH {
        for bad in [&b"\x03\xE8\xFF"[..], b"\x03\xE8ok\xE2\x82"] {
            let mut end = End::new(role);
            assert_eq!(
                end.give(&[Frame::new(CLOSE, bad)]),
                fails(ProtocolError::Utf8)
            );
            assert_eq!(close_code(&mut end), 1007);
        }
    }
}

#[test]
fn s5_5_1_no_data_is_sent_after_a_close() {
    for role in BOTH {
        for ours in [false, true] {
            let mut end = End::new(role);
            match ours {
                true => end.conn.close(None),
                false => assert_eq!(end.give(&[Frame::new(CLOSE, "")]).len(), 1),
            }
            assert_eq!(end.conn.send("late"), Err(SendError::Closed));
            assert_eq!(
                end.conn.send_chunk(chunk(Kind::Text, "late", false)),
                Err(SendError::Closed)
            );
            assert_eq!(end.write(), [Frame::new(CLOSE, "")]);
            assert_eq!(end.conn.send("later"), Err(SendError::Closed));
            assert_eq!(end.write(), []);
        }
    }
}

#[test]
fn s5_5_1_a_close_is_answered_once_with_its_code() {
    for role in BOTH {
        for close in [
            Frame::new(CLOSE, ""),
            Frame::close(1000, ""),
            Frame::close(4999, "why"),
        ] {
            let mut end = End::new(role);
            let close = [close];
            assert_eq!(end.give(&close).len(), 1);
            assert_eq!(end.write(), close);
            end.hear(&close);
            assert_eq!(end.events(), []);
            assert_eq!(end.write(), []);
        }
    }
}

#[test]
fn s5_5_1_a_close_is_not_answered_after_our_own() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.close(Some(close_frame(1001, "")));
        assert_eq!(end.write(), [Frame::close(1001, "")]);
        assert_eq!(end.give(&[Frame::close(1000, "")]).len(), 1);
        assert_eq!(end.write(), []);
    }
}

#[test]
fn s5_5_1_both_ends_may_close_at_the_same_time() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.close(Some(close_frame(1001, "")));
        assert!(end.conn.transmit().is_some(), "on its way, not gone");
        assert_eq!(end.give(&[Frame::close(1000, "")]).len(), 1);
        assert_eq!(end.write(), [Frame::close(1001, "")], "one Close");
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        assert!(end.conn.closed().unwrap().clean);
    }
}

// ---- §5.5.2 Ping, §5.5.3 Pong -------------------------------------------------------------------

#[test]
fn s5_5_2_a_ping_is_answered_by_a_pong_with_its_payload() {
    for role in BOTH {
        for body in [&b""[..], b"x", &[0xFF; 125]] {
            let mut end = End::new(role);
            assert_eq!(
                end.give(&[Frame::new(PING, body)]),
                [Ok(Event::Ping(payload(body)))]
            );
            assert_eq!(end.write(), [Frame::new(PONG, body)]);
        }
    }
}

#[test]
fn s5_5_2_a_ping_inside_a_message_is_answered_before_it_ends() {
    let mut end = End::new(Role::Server);
    end.give(&[Frame::new(TEXT, "begun"), Frame::new(PING, "?")]);
    assert_eq!(end.write(), [Frame::new(PONG, "?")]);
}

#[test]
fn s5_5_2_no_pong_is_sent_after_a_close_was_received() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.reply_to_close = false);
        end.give(&[Frame::new(CLOSE, ""), Frame::new(PING, "?")]);
        assert_eq!(end.write(), []);
    }
}

#[test]
fn s5_5_3_only_the_latest_of_many_pings_need_be_answered() {
    for role in BOTH {
        let mut end = End::new(role);
        let pings: Vec<_> = (0..50_u8).map(|i| Frame::new(PING, [i])).collect();
        end.hear(&pings);
        let mut polled = 0;
        while let Some(event) = end.conn.poll_event().unwrap() {
            assert!(matches!(event, Event::Ping(_)));
            polled += 1;
        }
        assert_eq!(polled, 50);
        assert_eq!(end.write().last(), Some(&Frame::new(PONG, [49])));
    }
}

#[test]
fn s5_5_3_an_unsolicited_pong_is_not_answered() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(
            end.give(&[Frame::new(PONG, "beat")]),
            [Ok(Event::Pong(payload("beat")))]
        );
        assert_eq!(end.write(), []);
        assert_eq!(end.conn.state(), State::Open);
    }
}

#[test]
fn s5_5_3_an_unsolicited_pong_can_be_sent() {
    let mut end = End::new(Role::Client);
    end.conn.pong(payload("beat")).unwrap();
    assert_eq!(end.write(), [Frame::new(PONG, "beat")]);
}
