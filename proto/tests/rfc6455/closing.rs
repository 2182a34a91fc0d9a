//! §7: the closing handshake, abnormal closures and status codes.

use bowline_proto::{
    CloseCode, CloseFrame, ConnectionError, Event, Initiator, Lost, ProtocolError, Role, State,
};
use bytes::Buf;
use testing::{
    ends::{BOTH, End, close_frame, config, connection, other},
    frames::{CLOSE, Frame, PING},
    polls::Polls,
};

use crate::fails;

// ---- §7.1 Definitions ---------------------------------------------------------------------------

#[test]
fn s7_1_1_a_server_closes_the_transport_first() {
    for ours in [false, true] {
        let mut end = End::new(Role::Server);
        if ours {
            end.conn.close(None);
            end.write();
            assert!(!end.conn.wants_shutdown(), "the peer's Close is to come");
        }
        end.give(&[Frame::new(CLOSE, "")]);
        end.write();
        assert!(end.conn.wants_shutdown());
        assert_eq!(
            end.conn.state(),
            State::Closing,
            "until the peer ends its direction"
        );
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Closed);
    }
}

#[test]
fn s7_1_1_a_client_waits_for_the_server_to_close_the_transport() {
    for ours in [false, true] {
        let mut end = End::new(Role::Client);
        if ours {
            end.conn.close(None);
            end.write();
        }
        end.give(&[Frame::new(CLOSE, "")]);
        end.write();
        assert!(!end.conn.wants_shutdown());
        assert_eq!(end.conn.state(), State::Closing);
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        assert!(end.conn.wants_shutdown());
        assert_eq!(end.conn.state(), State::Closed);
    }
}

#[test]
fn s7_1_2_a_close_has_the_code_and_the_reason_that_were_given() {
    for role in BOTH {
        for (frame, written) in [
            (None, Frame::new(CLOSE, "")),
            (Some(close_frame(1000, "")), Frame::close(1000, "")),
            (Some(close_frame(4000, "grün")), Frame::close(4000, "grün")),
            (Some(CloseCode::GOING_AWAY.into()), Frame::close(1001, "")),
        ] {
            let mut end = End::new(role);
            end.conn.close(frame);
            assert_eq!(end.conn.state(), State::Closing);
            assert_eq!(end.write(), [written]);
        }
    }
}

#[test]
fn s7_1_3_the_closing_handshake_begins_with_the_first_close() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(end.conn.state(), State::Open);
        end.give(&[Frame::new(CLOSE, "")]);
        assert_eq!(end.conn.state(), State::Closing);
    }
}

#[test]
fn s7_1_4_closed_cleanly_after_both_closes() {
    for role in BOTH {
        for (ours, initiator) in [(true, Initiator::Local), (false, Initiator::Peer)] {
            let mut end = End::new(role);
            if ours {
                end.conn.close(None);
                end.write();
            }
            end.give(&[Frame::close(1000, "")]);
            end.write();
            end.conn.handle_eof();
            end.events();
            let closed = end.conn.closed().unwrap();
            assert!(closed.clean);
            assert_eq!(closed.initiator, initiator);
        }
    }
}

#[test]
fn s7_1_5_the_close_code_is_the_peers_or_1005_or_1006() {
    for role in BOTH {
        for (frames, code) in [
            (&[Frame::close(3001, "r")][..], 3001),
            (&[Frame::new(CLOSE, "")], 1005),
            (&[], 1006),
        ] {
            let mut end = End::new(role);
            end.give(frames);
            end.write();
            end.conn.handle_eof();
            end.events();
            assert_eq!(end.conn.closed().unwrap().code, code);
        }
    }
}

#[test]
fn s7_1_6_the_close_reason_is_the_peers_or_empty() {
    for role in BOTH {
        for (frames, reason) in [
            (&[Frame::close(1000, "grün")][..], "grün"),
            (&[Frame::close(1000, "")], ""),
            (&[], ""),
        ] {
            let mut end = End::new(role);
            end.give(frames);
            end.write();
            end.conn.handle_eof();
            end.events();
            assert_eq!(end.conn.closed().unwrap().reason, reason);
        }
    }
}

#[test]
fn s7_1_7_a_connection_that_fails_processes_nothing_more() {
    for role in BOTH {
        let mut end = End::new(role);
        let frames = [
            Frame::new(0x83, ""),
            Frame::text("never"),
            Frame::new(PING, "never"),
            Frame::close(1000, "never"),
        ];
        assert_eq!(end.give(&frames), fails(ProtocolError::Opcode(3)));
        assert_eq!(end.give(&frames[1..]), []);
        let frames = end.write();
        assert_eq!(frames.len(), 1, "no Pong, no second Close");
        end.conn.handle_eof();
        end.events();
        assert_eq!(
            end.conn.closed().unwrap().code,
            1006,
            "not even the peer's Close"
        );
    }
}

#[test]
fn s7_1_7_a_connection_that_fails_says_why_and_closes_the_transport() {
    for role in BOTH {
        let mut end = End::new(role);
        end.give(&[Frame::new(0x83, "")]);
        let frames = end.write();
        let reason = ProtocolError::Opcode(3).to_string();
        assert_eq!(frames, [Frame::close(1002, &reason)]);
        assert!(end.conn.wants_shutdown(), "a client too");
    }
}

#[test]
fn s7_1_7_every_failure_fits_a_close() {
    let errors = [
        ProtocolError::FrameTooBig { max: u64::MAX },
        ProtocolError::MessageTooBig { max: u64::MAX },
        ProtocolError::StreamTooBig { max: u64::MAX },
        ProtocolError::TooManyFragments { max: u32::MAX },
        ProtocolError::CloseCode(u16::MAX),
        ProtocolError::ReservedBits,
        ProtocolError::ControlTooLong,
        ProtocolError::Length,
        ProtocolError::Continuation,
        ProtocolError::Interleaved,
    ];
    for error in errors {
        assert!(CloseFrame::new(error.close_code(), error.to_string()).is_ok());
    }
}

// ---- §7.2 Abnormal closures ---------------------------------------------------------------------

#[test]
fn s7_2_1_a_transport_that_is_lost_fails_the_connection() {
    for role in BOTH {
        for lost in [Lost::Reset, Lost::Failed] {
            let mut end = End::new(role);
            end.conn.handle_error(lost);
            assert_eq!(end.events(), [Err(ConnectionError::Lost(lost))]);
            assert_eq!(end.conn.state(), State::Closed);
            assert!(!end.conn.closed().unwrap().clean);
        }
    }
}

// ---- §7.4 Status codes --------------------------------------------------------------------------

/// §7.4.1, §7.4.2 and the IANA registry (1012 to 1014).
fn may_be_sent(code: u16) -> bool {
    match code {
        0..=999 => false,                   // "not used"
        1004 | 1005 | 1006 | 1015 => false, // reserved; "MUST NOT be set as a status code"
        1000..=1014 => true,                // defined
        1016..=2999 => false,               // "for definition by this protocol"
        3000..=4999 => true,                // libraries, applications
        5000.. => false,
    }
}

#[test]
fn s7_4_all_close_codes_that_can_be_received() {
    let config = config(|_| {});
    for role in BOTH {
        for code in 0..=u16::MAX {
            let mut conn = connection(role, &config);
            conn.receive(&Frame::close(code, "").from(other(role)));
            let got = conn.poll_event();
            if may_be_sent(code) {
                assert_eq!(got, Ok(Some(Event::Close(Some(close_frame(code, ""))))));
            } else {
                let error = ProtocolError::CloseCode(code);
                assert_eq!(got, Err(ConnectionError::Protocol(error)));
            }
            if role == Role::Server {
                let reply = if may_be_sent(code) { code } else { 1002 };
                let transmit = conn.transmit().unwrap();
                assert_eq!(transmit.chunk()[2..4], reply.to_be_bytes());
            }
        }
    }
}

#[test]
fn s7_4_all_close_codes_that_can_be_sent() {
    let config = config(|_| {});
    for code in 0..=u16::MAX {
        let Some(close) = CloseCode::new(code) else {
            assert!(!may_be_sent(code));
            continue;
        };
        assert!(may_be_sent(code));
        for role in BOTH {
            let mut conn = connection(role, &config);
            conn.close(Some(close.into()));
            let written = Frame::read_all(conn.transmit().unwrap().chunk(), role);
            assert_eq!(written, [Frame::close(code, "")]);
        }
    }
}
