//! Law 8: exactly one error, or a clean end.

use bowline_proto::{
    ConnectionError, Event, Initiator, Lost, ProtocolError, Role, SendError, State,
};
use bytes::Buf;
use testing::{
    ends::{BOTH, End, binary, close_frame, payload, text},
    frames::{CLOSE, Frame, PING},
    polls::Polls,
};

use crate::protocol;

const LOST: [Lost; 3] = [Lost::Eof, Lost::Reset, Lost::Failed];

fn lose(end: &mut End, lost: Lost) {
    match lost {
        Lost::Eof => end.conn.handle_eof(),
        lost => end.conn.handle_error(lost),
    }
}

#[test]
fn law_8_an_end_without_a_close_is_exactly_one_error() {
    for role in BOTH {
        for lost in LOST {
            for closing in [false, true] {
                let mut end = End::new(role);
                if closing {
                    end.conn.close(None);
                    end.write();
                }
                lose(&mut end, lost);
                assert_eq!(end.events(), [Err(ConnectionError::Lost(lost))]);
                assert_eq!(end.events(), []);
                lose(&mut end, lost);
                assert_eq!(end.events(), []);
                assert_eq!(end.conn.state(), State::Closed);
                assert!(end.conn.wants_shutdown());
                assert!(end.conn.recv_buf().is_none());
                assert_eq!(end.conn.send("x"), Err(SendError::Closed));
                assert_eq!(end.conn.ping(payload("x")), Err(SendError::Closed));
                assert!(end.conn.transmit().is_none());
                let closed = end.conn.closed().unwrap();
                assert_eq!((closed.code, closed.clean), (1006, false));
                assert_eq!(closed.cause, Some(ConnectionError::Lost(lost)));
                let initiator = match closing {
                    true => Initiator::Local,
                    false => Initiator::Peer,
                };
                assert_eq!(closed.initiator, initiator);
            }
        }
    }
}

#[test]
fn law_8_an_end_never_overtakes_what_was_received_before() {
    let frames = [
        Frame::text("one"),
        Frame::text("two"),
        Frame::new(PING, ""),
        Frame::text("three"),
        Frame::binary(vec![4; 5000]),
    ];
    for role in BOTH {
        for lost in LOST {
            // The end comes before, between and after the events are polled.
            for polled in 0..=frames.len() {
                let mut end = End::new(role);
                end.hear(&frames);
                let mut events = Vec::new();
                for _ in 0..polled {
                    events.push(end.conn.poll_event().map(Option::unwrap));
                }
                lose(&mut end, lost);
                events.extend(end.events());
                assert_eq!(
                    events,
                    [
                        Ok(text("one")),
                        Ok(text("two")),
                        Ok(Event::Ping(payload(""))),
                        Ok(text("three")),
                        Ok(binary([4; 5000])),
                        Err(ConnectionError::Lost(lost))
                    ],
                    "after {polled} events"
                );
            }
        }
    }
}

#[test]
fn law_8_a_close_that_turns_up_decides_the_end() {
    for role in BOTH {
        for lost in LOST {
            for polled in 0..=2 {
                let mut end = End::new(role);
                end.hear(&[Frame::text("last"), Frame::close(1000, "bye")]);
                let mut events = Vec::new();
                for _ in 0..polled {
                    events.push(end.conn.poll_event().map(Option::unwrap));
                }
                lose(&mut end, lost);
                events.extend(end.events());
                assert_eq!(
                    events,
                    [
                        Ok(text("last")),
                        Ok(Event::Close(Some(close_frame(1000, "bye"))))
                    ]
                );
                if lost == Lost::Eof {
                    assert_eq!(
                        end.conn.state(),
                        State::Closing,
                        "our Close may still leave"
                    );
                    end.conn.handle_eof(); // Reading again meets the end again.
                    assert_eq!(end.events(), []);
                    assert_eq!(end.conn.state(), State::Closing);
                    assert_eq!(end.write(), [Frame::close(1000, "bye")]);
                }
                assert_eq!(end.conn.state(), State::Closed);
                let closed = end.conn.closed().unwrap();
                assert_eq!((closed.code, closed.reason.as_str()), (1000, "bye"));
                assert_eq!(closed.clean, lost == Lost::Eof);
                assert_eq!(closed.cause, None);
            }
        }
    }
}

#[test]
fn law_8_transport_errors_after_both_closes_are_a_clean_end() {
    for role in BOTH {
        for lost in LOST {
            let mut end = End::new(role);
            end.conn.close(Some(close_frame(1001, "")));
            end.write();
            end.give(&[Frame::new(CLOSE, "")]);
            lose(&mut end, lost);
            assert_eq!(end.events(), []);
            assert_eq!(end.conn.state(), State::Closed);
            let closed = end.conn.closed().unwrap();
            assert!(closed.clean);
            assert_eq!((closed.code, closed.cause), (1005, None));
            assert_eq!(closed.initiator, Initiator::Local);
        }
    }
}

#[test]
fn law_8_a_close_that_could_not_leave_is_not_clean() {
    for role in BOTH {
        let mut end = End::new(role);
        end.give(&[Frame::close(1000, "")]);
        assert!(end.conn.transmit().is_some());
        end.conn.handle_error(Lost::Reset);
        end.conn.handle_sent(true); // Some drivers flush once more.
        assert_eq!(end.events(), []);
        assert!(!end.conn.closed().unwrap().clean);
    }
}

#[test]
fn law_8_a_protocol_error_is_exactly_one_error_with_the_close_queued() {
    for role in BOTH {
        for lost in LOST {
            let mut end = End::new(role);
            let error = ProtocolError::Opcode(0xB);
            assert_eq!(
                end.give(&[Frame::new(0x8B, ""), Frame::new(0x8C, "")]),
                [Err(protocol(error))]
            );
            assert_eq!(end.conn.state(), State::Closing);
            assert_eq!(end.conn.closed(), None);
            assert_eq!(end.conn.send("x"), Err(SendError::Closed));
            assert!(!end.conn.wants_shutdown(), "the Close first");
            assert_eq!(end.write(), [Frame::close(1002, &error.to_string())]);
            assert!(end.conn.wants_shutdown());
            assert_eq!(end.give(&[Frame::text("discarded")]), []);
            assert_eq!(end.chunks(), []);
            lose(&mut end, lost);
            assert_eq!(end.events(), []);
            assert_eq!(end.conn.state(), State::Closed);
            let closed = end.conn.closed().unwrap();
            assert_eq!((closed.code, closed.clean), (1006, false));
            assert_eq!(closed.cause, Some(protocol(error)));
            assert_eq!(closed.initiator, Initiator::Local);
        }
    }
}

#[test]
fn law_8_nothing_is_delivered_after_a_close_by_either_method() {
    for role in BOTH {
        for chunks in [false, true] {
            let mut end = End::new(role);
            end.hear(&[Frame::close(1000, "")]);
            let got = match chunks {
                true => end.conn.poll_chunk().unwrap().is_some(),
                false => end.conn.poll_event().unwrap().is_some(),
            };
            assert!(got);
            // More arrives before the next poll.
            end.hear(&[Frame::text("never"), Frame::new(0x83, "")]);
            match chunks {
                true => assert_eq!(end.chunks(), []),
                false => assert_eq!(end.events(), []),
            }
            end.hear(&[Frame::text("never")]);
            assert_eq!(end.events(), []);
            assert_eq!(end.chunks(), []);
        }
    }
}

#[test]
fn law_8_nothing_is_delivered_after_a_failure_by_either_method() {
    for role in BOTH {
        for chunks in [false, true] {
            let mut end = End::new(role);
            end.hear(&[Frame::text("before"), Frame::new(0x83, "")]);
            assert_eq!(end.conn.poll_event(), Ok(Some(text("before"))));
            assert!(end.conn.poll_event().is_err());
            // More arrives before the next poll.
            end.hear(&[Frame::text("never"), Frame::new(PING, "")]);
            match chunks {
                true => assert_eq!(end.chunks(), []),
                false => assert_eq!(end.events(), []),
            }
            end.hear(&[Frame::text("never")]);
            assert_eq!(end.events(), []);
        }
    }
}

#[test]
fn law_8_abort_ends_at_once_and_without_an_error() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.send("unsent").unwrap();
        end.hear(&[Frame::text("unread"), Frame::text("unread")]);
        assert_eq!(end.conn.poll_event(), Ok(Some(text("unread"))));
        end.conn.abort();
        assert_eq!(end.conn.state(), State::Closed);
        assert!(end.conn.transmit().is_none());
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.send("x"), Err(SendError::Closed));
        let closed = end.conn.closed().unwrap();
        assert_eq!((closed.code, closed.clean), (1006, false));
        assert_eq!(closed.initiator, Initiator::Local);
        assert_eq!(end.conn.poll_timeout(), None);
    }
}

#[test]
fn law_8_without_randomness_a_client_fails_instead_of_masking_with_nothing() {
    let mut end = End::with(Role::Client, |config| {
        config.entropy = |_| Err(bowline_proto::EntropyError);
    });
    assert_eq!(end.conn.send("x"), Err(SendError::Entropy));
    assert_eq!(end.conn.ping(payload("x")), Err(SendError::Entropy));
    assert_eq!(end.conn.state(), State::Open, "nothing was queued");
    end.hear(&[Frame::new(PING, "?")]);
    assert!(end.conn.poll_event().unwrap().is_some());
    assert!(end.conn.transmit().is_none());
    assert_eq!(end.events(), [Err(ConnectionError::Entropy)]);
    assert_eq!(end.events(), []);
    assert_eq!(end.conn.state(), State::Closed);
}

#[test]
fn law_8_randomness_that_fails_in_the_middle_of_a_message_ends_the_connection() {
    use std::sync::atomic::{AtomicU32, Ordering};
    static DRAWS: AtomicU32 = AtomicU32::new(0);
    let mut end = End::with(Role::Client, |config| {
        config.send_frame_size = Some(1);
        config.entropy = |bytes| {
            bytes.fill(7);
            match DRAWS.fetch_add(1, Ordering::Relaxed) {
                0 => Ok(()),
                _ => Err(bowline_proto::EntropyError),
            }
        };
    });
    end.conn.send(vec![0; 1000]).unwrap();
    while let Some(transmit) = end.conn.transmit() {
        transmit.advance(usize::MAX);
        end.conn.handle_sent(true);
    }
    assert_eq!(end.events(), [Err(ConnectionError::Entropy)]);
    assert_eq!(end.conn.state(), State::Closed);
}
