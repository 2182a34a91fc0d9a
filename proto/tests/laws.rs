//! The laws of the core (ARCHITECTURE.md), each with the tests that fail without it.

mod support;

use std::time::Duration;

use bowline_proto::{
    Chunk, Closed, Config, ControlPayload, Deadline, Event, Initiator, Instant, Kind, Lost,
    Message, ProtocolError, Receiver, RecvError, Role, SendError, Sender, State,
};
use bytes::Buf;
use support::{
    BINARY, BOTH, CLOSE, CONTINUATION, End, FIN, Frame, PING, PONG, TEXT, binary, chunk,
    close_frame, joined, other, payload, secs, text, wire,
};

fn protocol(error: ProtocolError) -> RecvError {
    RecvError::Protocol(error)
}

// ---- 1. Trust what arrived, not what was announced (its memory: memory.rs) ----------------------

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

// ---- 2. Owed control never grows ----------------------------------------------------------------

#[test]
fn law_2_100_000_unread_pings_leave_at_most_three_unsent_control_frames() {
    for role in BOTH {
        let mut end = End::new(role);
        for i in 0..100_000_u32 {
            end.hear(&[Frame::new(PING, i.to_be_bytes())]);
            assert!(matches!(end.events()[..], [Ok(Event::Ping(_))]));
            if let Some(transmit) = end.conn.transmit() {
                assert!(transmit.remaining() < 64, "one frame waits as bytes");
            }
            end.conn.handle_sent(false);
        }
        // The keep-alive Ping and a Close have their own slots.
        end.now = end.now.checked_add(secs(19)).unwrap();
        end.conn.close(None);
        let frames = end.write();
        assert!(frames.len() <= 3, "{frames:?}");
        assert_eq!(
            frames[frames.len() - 2..],
            [
                Frame::new(PONG, 99_999_u32.to_be_bytes()),
                Frame::new(CLOSE, "")
            ],
            "the latest Ping is answered"
        );
    }
}

#[test]
fn law_2_an_owed_close_leaves_behind_the_owed_pong_and_drops_the_owed_ping() {
    let mut end = End::new(Role::Server);
    end.hear(&[Frame::new(PING, "1")]);
    end.events();
    assert!(end.conn.transmit().is_some());
    end.pass(secs(20)); // "heard": the first period gives no Ping
    end.pass(secs(20));
    end.hear(&[
        Frame::new(PING, "2"),
        Frame::new(PING, "3"),
        Frame::close(1000, "bye"),
    ]);
    end.events();
    assert_eq!(
        end.write(),
        [
            Frame::new(PONG, "1"),
            Frame::new(PONG, "3"),
            Frame::close(1000, "bye")
        ]
    );
}

#[test]
fn law_2_a_keep_alive_ping_is_not_lost_when_a_pong_is_owed() {
    let mut end = End::new(Role::Client);
    // Nothing is heard for 20 s, so a Ping is owed; then the peer pings twice and one Pong is out.
    end.hear(&[Frame::new(PING, "1")]);
    end.events();
    assert!(end.conn.transmit().is_some(), "the transport takes nothing");
    end.pass(secs(20));
    end.pass(secs(20));
    end.hear(&[Frame::new(PING, "2")]);
    end.events();
    let frames = end.write();
    let firsts: Vec<u8> = frames.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [PONG, PONG, PING]);
    // It left, so its deadline runs.
    end.pass(secs(20));
    assert_eq!(end.events(), [Err(RecvError::TimedOut(Deadline::Pong))]);
}

#[test]
fn law_2_a_ping_that_comes_to_be_owed_after_our_close_is_not_sent() {
    for role in BOTH {
        let mut end = End::new(role);
        end.tick();
        let (mut rx, mut tx) = end.conn.split();
        tx.close(None);
        // The half that receives does not know it yet.
        let now = at(20);
        assert_eq!(rx.handle_timeout(now), Ok(()));
        assert!(rx.has_control(), "a Ping");
        rx.meet(&mut tx);
        let transmit = tx.transmit().unwrap();
        let written = transmit.copy_to_bytes(transmit.remaining());
        assert_eq!(Frame::read_all(&written, role), [Frame::new(CLOSE, "")]);
    }
}

#[test]
fn law_2_a_users_ping_and_pong_wait_like_messages_and_overwrite_nothing() {
    let mut end = End::with(Role::Server, |config| config.send_high_water = 1);
    end.conn.send(vec![1; 10]).unwrap();
    end.conn.ping(payload("a")).unwrap();
    end.conn.pong(payload("b")).unwrap();
    end.conn.ping(payload("c")).unwrap();
    end.conn.send(vec![2; 10]).unwrap();
    end.hear(&[Frame::new(PING, "peer")]);
    end.events();
    assert_eq!(
        end.write(),
        [
            Frame::binary([1; 10]),
            Frame::new(PONG, "peer"),
            Frame::new(PING, "a"),
            Frame::new(PONG, "b"),
            Frame::new(PING, "c"),
            Frame::binary([2; 10]),
        ]
    );
}

#[test]
fn law_2_a_control_frame_waits_for_the_frame_that_is_being_written() {
    for role in BOTH {
        let mut end = End::new(role);
        let body = vec![7; 300 << 10];
        end.conn.send(body.clone()).unwrap();
        let mut bytes = end.write_some(100_000, true);
        end.hear(&[Frame::new(PING, "now?")]);
        end.events();
        bytes.extend(end.write_some(usize::MAX, true));
        assert_eq!(
            Frame::read_all(&bytes, role),
            [Frame::binary(body), Frame::new(PONG, "now?")]
        );
    }
}

#[test]
fn law_2_a_ping_of_126_bytes_cannot_be_built() {
    assert!(ControlPayload::new(vec![0; 125]).is_ok());
    let error = ControlPayload::new(vec![0; 126]).unwrap_err();
    assert_eq!((error.len, error.max), (126, 125));
}

// ---- 3. Data waits as messages, not as bytes ----------------------------------------------------

#[test]
fn law_3_owed_control_overtakes_the_messages_that_wait() {
    for role in BOTH {
        let mut end = End::new(role);
        let body = vec![7; 40 << 10];
        for _ in 0..10 {
            end.conn.send(body.clone()).unwrap();
        }
        end.hear(&[Frame::new(PING, "?")]);
        end.events();
        let frames = end.write();
        let place = frames.iter().position(|frame| frame.first == PONG).unwrap();
        // What is bytes already is 64 KiB and one frame at the most.
        assert!(place <= 2, "the Pong came after {place} messages");
        assert_eq!(frames.len(), 11);
    }
}

#[test]
fn law_3_no_more_than_the_high_water_mark_and_a_frame_waits_as_bytes() {
    for role in BOTH {
        for mark in [1, 1000, 64 << 10] {
            let mut end = End::with(role, |config| config.send_high_water = mark);
            for _ in 0..200 {
                end.conn.send(vec![7; 1000]).unwrap();
            }
            let waiting = end.conn.transmit().unwrap().remaining();
            assert!(waiting >= mark && waiting < mark + 1014, "{waiting} bytes");
            assert!(end.conn.is_full());
            assert_eq!(end.write().len(), 200);
            assert!(!end.conn.is_full());
        }
    }
}

#[test]
fn law_3_full_from_the_high_water_mark_on() {
    for role in BOTH {
        for mark in [1, 100, 1 << 20] {
            let mut end = End::with(role, |config| config.send_high_water = mark);
            assert!(!end.conn.is_full());
            let header = if role == Role::Client { 6 } else { 2 };
            let mut waiting = 0;
            while waiting < mark {
                assert!(!end.conn.is_full(), "{waiting} of {mark} bytes");
                end.conn.send("ten octets").unwrap();
                waiting += header + 10;
            }
            assert!(end.conn.is_full(), "{waiting} of {mark} bytes");
        }
        let mut end = End::with(role, |config| config.send_high_water = 0);
        assert!(!end.conn.is_full(), "or nothing could ever be sent");
        end.conn.send("x").unwrap();
        assert!(end.conn.is_full());
        let mut end = End::with(role, |config| config.send_high_water = 1 << 20);
        while !end.conn.is_full() {
            end.conn.send("").unwrap();
        }
        assert!(
            end.write().len() < 1 << 20,
            "many that are empty are full, too"
        );
    }
}

#[test]
fn law_3_send_frame_size_bounds_how_long_control_waits() {
    for role in BOTH {
        let mut end = End::with(role, |config| {
            config.send_frame_size = Some(1000);
            config.send_high_water = 1;
        });
        end.conn.send(vec![7; 10_000]).unwrap();
        let mut bytes = end.write_some(500, true);
        end.hear(&[Frame::new(PING, "?")]);
        end.events();
        bytes.extend(end.write_some(usize::MAX, true));
        let frames = Frame::read_all(&bytes, role);
        assert_eq!(frames.len(), 11);
        assert_eq!(frames[1], Frame::new(PONG, "?"));
        assert_eq!(frames[0], Frame::new(BINARY, [7; 1000]));
        assert_eq!(frames[2], Frame::new(CONTINUATION, [7; 1000]));
        assert_eq!(frames[10], Frame::new(FIN | CONTINUATION, [7; 1000]));
    }
}

#[test]
fn law_3_a_message_of_exactly_send_frame_size_is_one_frame() {
    for role in BOTH {
        for (size, frames) in [(0, 1), (99, 1), (100, 1), (101, 2), (200, 2), (201, 3)] {
            let mut end = End::with(role, |config| config.send_frame_size = Some(100));
            end.conn.send(vec![7; size]).unwrap();
            end.conn.ping(payload([1; 125])).unwrap();
            let written = end.write();
            assert_eq!(written.len(), frames + 1, "{size} bytes");
            assert_eq!(written[frames], Frame::new(PING, [1; 125]), "never cut");
        }
    }
}

#[test]
fn law_3_the_smallest_frame_size_is_one_byte() {
    let mut end = End::with(Role::Server, |config| config.send_frame_size = Some(0));
    end.conn.send("abc").unwrap();
    assert_eq!(
        end.write(),
        [
            Frame::new(TEXT, "a"),
            Frame::new(CONTINUATION, "b"),
            Frame::new(FIN | CONTINUATION, "c")
        ]
    );
}

#[test]
fn law_3_a_message_above_max_send_size_is_not_queued() {
    let mut end = End::with(Role::Client, |config| config.max_send_size = 10);
    end.conn.send(vec![0; 10]).unwrap();
    assert_eq!(
        end.conn.send(vec![0; 11]),
        Err(SendError::TooBig { max: 10 })
    );
    assert_eq!(
        end.conn.send_chunk(chunk(Kind::Binary, [0; 11], false)),
        Err(SendError::TooBig { max: 10 })
    );
    end.conn.send("fine").unwrap();
    assert_eq!(end.write(), [Frame::binary([0; 10]), Frame::text("fine")]);
}

// ---- 4. Deadlines -------------------------------------------------------------------------------

/// The only deadline that is on.
fn only(role: Role, change: impl FnOnce(&mut Config)) -> End {
    End::with(role, |config| {
        config.keep_alive = None;
        config.pong_timeout = None;
        config.close_timeout = None;
        config.write_timeout = None;
        change(config);
    })
}

fn timed_out(deadline: Deadline) -> [Result<Event, RecvError>; 1] {
    [Err(RecvError::TimedOut(deadline))]
}

#[test]
fn law_4_without_deadlines_nobody_asks_for_the_time() {
    let mut end = only(Role::Client, |_| {});
    end.conn.send("x").unwrap();
    end.write_some(1, false);
    end.hear(&[Frame::text("y"), Frame::new(BINARY, "z")]);
    end.events();
    end.conn.close(None);
    end.write_some(usize::MAX, false);
    end.give(&[Frame::close(1000, "")]);
    assert_eq!(end.conn.poll_timeout(), None);
}

#[test]
fn law_4_a_ping_goes_out_after_one_to_two_periods_of_silence() {
    for role in BOTH {
        let mut end = only(role, |config| config.keep_alive = Some(secs(7)));
        end.pass(Duration::from_millis(6_999));
        assert_eq!(end.write(), []);
        end.pass(Duration::from_millis(1));
        assert_eq!(end.write()[0].first, PING);

        let mut end = only(role, |config| config.keep_alive = Some(secs(7)));
        end.pass(secs(1));
        // One octet of a frame is life.
        let frame = Frame::text("hi").from(other(role));
        end.receive(&frame[..1]);
        assert_eq!(end.events(), []);
        end.pass(secs(12));
        assert_eq!(end.write(), [], "heard in this period");
        end.pass(secs(2));
        assert_eq!(end.write()[0].first, PING);
    }
}

#[test]
fn law_4_each_ping_has_its_own_payload_and_its_answer_is_not_asked_for_again() {
    let mut end = only(Role::Client, |config| {
        config.keep_alive = Some(secs(20));
        config.pong_timeout = Some(secs(20));
    });
    let mut seen = Vec::new();
    for _ in 0..3 {
        let mut ping = Vec::new();
        while ping.is_empty() {
            end.pass(secs(20));
            ping = end.write();
        }
        assert!(!seen.contains(&ping));
        end.give(&[Frame::new(PONG, &ping[0].payload)]);
        seen.push(ping);
    }
}

#[test]
fn law_4_the_pong_deadline_runs_from_when_the_last_byte_left() {
    for role in BOTH {
        let mut end = only(role, |config| {
            config.keep_alive = Some(secs(20));
            config.pong_timeout = Some(secs(10));
        });
        end.pass(secs(20));
        end.write_some(1, true);
        end.pass(secs(60));
        assert_eq!(end.events(), [], "it has not left yet");
        end.write_some(usize::MAX, true);
        end.pass(Duration::from_millis(9_999));
        assert_eq!(end.events(), []);
        end.pass(Duration::from_millis(1));
        assert_eq!(end.events(), timed_out(Deadline::Pong));
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Closed, "at once");
        assert!(end.conn.transmit().is_none());
        let closed = end.conn.closed().unwrap();
        assert_eq!(closed.code, 1006);
        assert_eq!(closed.cause, Some(RecvError::TimedOut(Deadline::Pong)));
    }
}

#[test]
fn law_4_the_pong_deadline_runs_from_the_keep_alive_ping_and_no_other() {
    for role in BOTH {
        let keep = |config: &mut Config| {
            config.keep_alive = Some(secs(20));
            config.pong_timeout = Some(secs(10));
        };
        let head = if role == Role::Client { 6 } else { 2 };
        // The application's comes behind it, and does not leave.
        let mut end = only(role, keep);
        end.pass(secs(20));
        end.conn.ping(payload("mine")).unwrap();
        assert_eq!(end.write_some(head + 4, true).len(), head + 4);
        end.pass(secs(10));
        assert_eq!(end.events(), timed_out(Deadline::Pong));
        // It comes before, and leaves alone.
        let mut end = only(role, |config| {
            keep(config);
            config.send_high_water = 1;
        });
        end.conn.ping(payload("mine")).unwrap();
        end.pass(secs(20));
        assert_eq!(end.write_some(head + 4, true).len(), head + 4);
        end.pass(secs(60));
        assert_eq!(end.events(), [], "it has not left yet");
        end.write();
        end.pass(secs(10));
        assert_eq!(end.events(), timed_out(Deadline::Pong));
    }
}

#[test]
fn law_4_any_input_is_life() {
    let mut end = only(Role::Client, |config| {
        config.keep_alive = Some(secs(20));
        config.pong_timeout = Some(secs(10));
    });
    end.pass(secs(20));
    assert_eq!(end.write()[0].first, PING);
    end.pass(secs(9));
    // Half a frame, and no Pong.
    end.receive(&[0x81]);
    assert_eq!(end.events(), []);
    end.pass(secs(15));
    assert_eq!(end.events(), []);
    assert_eq!(end.conn.state(), State::Open);
}

#[test]
fn law_4_the_pong_deadline_is_not_judged_while_input_waits() {
    let mut end = only(Role::Client, |config| {
        config.keep_alive = Some(secs(20));
        config.pong_timeout = Some(secs(10));
    });
    end.pass(secs(20));
    assert_eq!(end.write()[0].first, PING);
    // Read right before the deadline is judged, and not polled.
    end.tick();
    end.hear(&[Frame::text("late")]);
    end.pass(secs(10));
    assert_eq!(end.events(), [Ok(text("late"))]);
    assert_eq!(end.conn.state(), State::Open);
}

#[test]
fn law_4_no_pong_deadline_without_the_option() {
    let mut end = only(Role::Client, |config| config.keep_alive = Some(secs(20)));
    end.pass(secs(20));
    assert_eq!(end.write()[0].first, PING);
    end.pass(secs(3600));
    assert_eq!(end.events(), []);
    assert_eq!(end.conn.state(), State::Open);
}

#[test]
fn law_4_latency_runs_from_when_the_ping_left_to_its_own_pong() {
    let mut end = only(Role::Client, |_| {});
    assert_eq!(end.conn.latency(), None);
    end.conn.ping(payload("probe")).unwrap();
    end.write_some(3, true);
    end.pass(secs(5)); // It has not left.
    end.write_some(usize::MAX, true);
    end.pass(secs(2));
    end.give(&[Frame::new(PONG, "another")]);
    end.pass(secs(1));
    assert_eq!(end.conn.latency(), None);
    end.give(&[Frame::new(PONG, "probe")]);
    end.tick();
    assert_eq!(end.conn.latency(), Some(secs(3)));
    end.pass(secs(9));
    end.give(&[Frame::new(PONG, "probe")]);
    end.tick();
    assert_eq!(end.conn.latency(), Some(secs(3)), "unsolicited");
}

/// The next Ping may leave before the time is told that the last one was answered.
#[test]
fn law_4_latency_is_measured_though_each_pong_is_followed_by_a_ping() {
    for role in BOTH {
        let mut end = only(role, |_| {});
        end.conn.ping(payload("0")).unwrap();
        end.write();
        for round in 1..=10 {
            end.pass(secs(round));
            let pong = Frame::new(PONG, (round - 1).to_string());
            assert!(matches!(end.give(&[pong])[..], [Ok(Event::Pong(_))]));
            end.conn.ping(payload(round.to_string())).unwrap();
            end.write();
            end.tick();
            // Every other Ping leaves while the one before it waits to be measured.
            assert_eq!(end.conn.latency(), Some(secs(round - 1 + round % 2)));
        }
    }
}

#[test]
fn law_4_the_keep_alive_ping_measures_latency_too() {
    let mut end = End::new(Role::Server);
    end.pass(secs(20));
    let ping = end.write();
    end.pass(secs(4));
    end.give(&[Frame::new(PONG, &ping[0].payload)]);
    end.tick();
    assert_eq!(end.conn.latency(), Some(secs(4)));
}

#[test]
fn law_4_the_close_deadline_runs_from_our_close() {
    for role in BOTH {
        let mut end = only(role, |config| config.close_timeout = Some(secs(8)));
        end.conn.close(None);
        end.write();
        end.pass(secs(3));
        // Life is no excuse, nor is a second call.
        assert_eq!(end.give(&[Frame::text("more")]), [Ok(text("more"))]);
        end.conn.close(None);
        end.pass(Duration::from_millis(4_999));
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Closing);
        end.pass(Duration::from_millis(1));
        assert_eq!(end.events(), timed_out(Deadline::Close));
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Closed);
    }
}

#[test]
fn law_4_the_close_deadline_is_judged_though_input_waits() {
    let mut end = only(Role::Client, |config| config.close_timeout = Some(secs(8)));
    end.conn.close(None);
    end.write();
    end.tick();
    end.hear(&[Frame::text("and on and on")]);
    end.pass(secs(8));
    assert_eq!(end.events(), timed_out(Deadline::Close));
}

#[test]
fn law_4_the_close_deadline_runs_from_the_peers_close() {
    for reply in [true, false] {
        for role in BOTH {
            let mut end = only(role, |config| {
                config.close_timeout = Some(secs(8));
                config.reply_to_close = reply;
            });
            end.give(&[Frame::close(1000, "")]);
            // The peer neither ends its direction nor takes our answer.
            end.pass(Duration::from_millis(7_999));
            assert_eq!(end.conn.state(), State::Closing);
            end.pass(Duration::from_millis(1));
            assert_eq!(end.events(), [], "a Close was received: no error");
            assert_eq!(end.conn.state(), State::Closed);
            let closed = end.conn.closed().unwrap();
            assert_eq!((closed.code, closed.clean), (1000, false));
        }
    }
}

#[test]
fn law_4_the_close_deadline_runs_from_a_failure() {
    for role in BOTH {
        let mut end = only(role, |config| config.close_timeout = Some(secs(8)));
        end.give(&[Frame::new(0x83, "")]);
        end.write();
        end.pass(Duration::from_millis(7_999));
        assert_eq!(end.conn.state(), State::Closing, "drains");
        assert_eq!(end.give(&[Frame::text("discarded")]), []);
        end.pass(Duration::from_millis(1));
        assert_eq!(end.events(), [], "there was an error already");
        assert_eq!(end.conn.state(), State::Closed);
    }
}

#[test]
fn law_4_the_write_deadline_runs_while_output_waits_and_not_a_byte_leaves() {
    for role in BOTH {
        let mut end = only(role, |config| config.write_timeout = Some(secs(30)));
        end.conn.send(vec![7; 1000]).unwrap();
        end.write_some(0, false);
        end.pass(secs(29));
        end.write_some(1, false); // a byte leaves
        end.pass(secs(29));
        end.write_some(0, false); // none does
        end.pass(Duration::from_millis(999));
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Open);
        end.pass(Duration::from_millis(1));
        assert_eq!(end.events(), timed_out(Deadline::Write));
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Closed);
        assert!(end.conn.transmit().is_none());
        assert_eq!(end.conn.send("x"), Err(SendError::Closed));
    }
}

#[test]
fn law_4_the_write_deadline_runs_while_the_transport_holds_bytes_back() {
    let mut end = only(Role::Client, |config| config.write_timeout = Some(secs(30)));
    end.conn.send("swallowed by TLS").unwrap();
    end.write_some(usize::MAX, false);
    assert!(end.conn.transmit().is_none());
    end.pass(secs(30));
    assert_eq!(end.events(), timed_out(Deadline::Write));
}

#[test]
fn law_4_the_write_deadline_ends_with_the_last_byte_and_the_flush() {
    let mut end = only(Role::Client, |config| config.write_timeout = Some(secs(30)));
    end.conn.send("x").unwrap();
    end.write_some(0, false);
    end.tick();
    end.write();
    assert_eq!(end.conn.poll_timeout(), None);
    end.pass(secs(100));
    assert_eq!(end.conn.state(), State::Open);
}

#[test]
fn law_4_the_write_deadline_is_not_put_off_by_input() {
    let mut end = only(Role::Server, |config| config.write_timeout = Some(secs(30)));
    end.conn.send("x").unwrap();
    end.write_some(0, false);
    for _ in 0..29 {
        end.pass(secs(1));
        assert_eq!(end.give(&[Frame::new(PONG, "")]).len(), 1);
        end.write_some(0, false);
    }
    end.pass(secs(1));
    assert_eq!(end.events(), timed_out(Deadline::Write));
}

#[test]
fn law_4_the_message_deadline_runs_from_the_first_frame_to_the_last() {
    for role in BOTH {
        let mut end = only(role, |config| config.message_timeout = Some(secs(30)));
        end.give(&[Frame::new(TEXT, "a")]);
        end.pass(secs(29));
        assert_eq!(
            end.give(&[Frame::new(FIN | CONTINUATION, "b")]),
            [Ok(text("ab"))]
        );
        end.pass(secs(29));
        assert_eq!(end.conn.state(), State::Open, "it ended in time");
        end.give(&[Frame::new(TEXT, "a")]);
        for _ in 0..29 {
            end.pass(secs(1));
            assert_eq!(end.give(&[Frame::new(CONTINUATION, "")]), []);
        }
        end.pass(secs(1));
        assert_eq!(end.events(), timed_out(Deadline::Message));
        assert_eq!(end.events(), []);
        assert_eq!(end.write()[0].payload[..2], 1008_u16.to_be_bytes());
        assert_eq!(end.conn.state(), State::Closing);
    }
}

#[test]
fn law_4_a_slow_frame_is_a_slow_message() {
    let mut end = only(Role::Client, |config| {
        config.message_timeout = Some(secs(30));
    });
    end.receive(&[0x82, 100, 1, 2, 3]);
    assert_eq!(end.events(), []);
    end.pass(secs(30));
    assert_eq!(end.events(), timed_out(Deadline::Message));
}

#[test]
fn law_4_the_message_deadline_is_not_judged_while_the_end_waits_to_be_polled() {
    let mut end = only(Role::Client, |config| {
        config.message_timeout = Some(secs(30))
    });
    end.give(&[Frame::new(TEXT, "be")]);
    end.receive(&[0x80, 3, b'g', b'u', b'n']);
    end.pass(secs(100));
    assert_eq!(end.events(), [Ok(text("begun"))]);
    assert_eq!(end.conn.state(), State::Open);
}

#[test]
fn law_4_the_message_deadline_is_not_put_off_by_what_comes_with_it() {
    for role in BOTH {
        let mut end = only(role, |config| config.message_timeout = Some(secs(30)));
        end.give(&[Frame::new(TEXT, "a")]);
        end.pass(Duration::from_millis(29_999));
        // A driver reads before it tells the time, and polls after that.
        end.now = end.now.checked_add(secs(1)).unwrap();
        end.hear(&[Frame::new(CONTINUATION, "b")]);
        end.tick();
        assert_eq!(end.events(), [], "its end might have come");
        end.tick();
        assert_eq!(end.events(), timed_out(Deadline::Message));
    }
}

#[test]
fn law_4_the_idle_deadline_is_not_put_off_by_what_comes_with_it() {
    for role in BOTH {
        let mut end = only(role, |config| config.idle_timeout = Some(secs(60)));
        end.tick();
        end.now = end.now.checked_add(secs(60)).unwrap();
        end.hear(&[Frame::new(PONG, "")]);
        end.tick();
        assert_eq!(end.events().len(), 1, "it might have been data");
        end.tick();
        assert_eq!(end.events(), timed_out(Deadline::Idle));
    }
}

#[test]
fn law_4_the_idle_deadline_wants_data() {
    for role in BOTH {
        let mut end = only(role, |config| config.idle_timeout = Some(secs(60)));
        end.pass(secs(30));
        assert_eq!(end.give(&[Frame::text("x")]), [Ok(text("x"))]);
        end.pass(secs(30));
        end.pass(secs(30));
        assert_eq!(end.give(&[Frame::new(BINARY, "")]), []);
        end.pass(secs(30));
        end.pass(secs(59));
        assert_eq!(
            end.give(&[Frame::new(PING, ""), Frame::new(PONG, "")])
                .len(),
            2
        );
        assert_eq!(end.conn.state(), State::Open);
        end.pass(secs(1));
        assert_eq!(end.events(), timed_out(Deadline::Idle));
        let frames = end.write();
        assert_eq!(frames.last().unwrap().payload[..2], 1001_u16.to_be_bytes());
    }
}

#[test]
fn law_4_data_inside_a_long_frame_is_data() {
    for role in BOTH {
        let mut end = only(role, |config| config.idle_timeout = Some(secs(60)));
        let frame = Frame::binary([7; 100]).from(other(role));
        let (header, payload) = frame.split_at(frame.len() - 100);
        end.receive(header);
        end.events();
        for octet in payload {
            end.receive(&[*octet]);
            end.events();
            end.pass(secs(30));
            assert_eq!(end.conn.state(), State::Open);
        }
    }
}

#[test]
fn law_4_from_the_first_close_on_only_the_closing_handshake_has_a_deadline() {
    let mut end = only(Role::Client, |config| {
        config.keep_alive = Some(secs(20));
        config.pong_timeout = Some(secs(20));
        config.message_timeout = Some(secs(20));
        config.idle_timeout = Some(secs(20));
    });
    end.give(&[Frame::new(TEXT, "begun")]);
    end.conn.close(None);
    end.write();
    end.pass(secs(3600));
    assert_eq!(end.write(), [], "no Ping");
    assert_eq!(end.events(), []);
    assert_eq!(end.conn.poll_timeout(), None);
    assert_eq!(end.conn.state(), State::Closing);
}

#[test]
fn law_4_a_write_deadline_beyond_time_asks_for_it_once() {
    let mut end = only(Role::Server, |config| {
        config.write_timeout = Some(Duration::MAX);
    });
    end.conn.send("x").unwrap();
    end.write_some(0, false);
    end.tick();
    end.write_some(0, false);
    assert_eq!(end.conn.poll_timeout(), None);
}

#[test]
fn law_4_a_message_that_begins_after_our_close_has_no_deadline_of_its_own() {
    for role in BOTH {
        let mut end = only(role, |config| config.message_timeout = Some(secs(20)));
        end.conn.close(None);
        end.write();
        end.give(&[Frame::new(TEXT, "begun")]);
        end.pass(secs(3600));
        assert_eq!(end.events(), []);
        let last = Frame::new(FIN | CONTINUATION, " and ended");
        assert_eq!(end.give(&[last]), [Ok(text("begun and ended"))]);
    }
}

#[test]
fn law_4_what_comes_behind_a_deadline_is_not_parsed() {
    for role in BOTH {
        let mut end = only(role, |config| config.close_timeout = Some(secs(8)));
        end.hear(&[Frame::new(TEXT, "half of a mess")]);
        assert_eq!(end.events(), []);
        end.conn.close(None);
        end.write();
        end.pass(secs(8));
        end.hear(&[Frame::new(FIN | CONTINUATION, "age")]);
        assert_eq!(end.events(), timed_out(Deadline::Close));
        assert_eq!(end.conn.state(), State::Closed);
    }
}

#[test]
fn law_4_a_deadline_beyond_time_never_comes() {
    for role in BOTH {
        let mut end = End::with(role, |config| {
            for deadline in [
                &mut config.keep_alive,
                &mut config.pong_timeout,
                &mut config.close_timeout,
                &mut config.write_timeout,
                &mut config.message_timeout,
                &mut config.idle_timeout,
            ] {
                *deadline = Some(Duration::MAX);
            }
        });
        end.now = Instant::from_epoch(Duration::MAX);
        end.tick();
        end.conn.send("x").unwrap();
        end.write_some(0, false);
        end.tick();
        end.give(&[Frame::new(TEXT, "begun")]);
        end.tick();
        assert_eq!(end.conn.state(), State::Open);
        end.conn.close(None);
        end.write_some(0, false);
        end.tick();
        assert_eq!(end.conn.poll_timeout(), None);
        assert_eq!(end.events(), []);
    }
}

// ---- 5. A message belongs to the pull method that first saw it ----------------------------------

/// "größer" in fragments that cut its characters, with a Ping between, and a message behind it.
fn fragmented(role: Role) -> (Vec<u8>, usize) {
    let whole = "größer".as_bytes();
    let frames = [
        Frame::new(TEXT, &whole[..3]),
        Frame::new(CONTINUATION, &whole[3..5]),
        Frame::new(PING, "p"),
        Frame::new(CONTINUATION, ""),
        Frame::new(FIN | CONTINUATION, &whole[5..]),
    ];
    let mut bytes = wire(&frames, role);
    let len = bytes.len();
    bytes.extend(Frame::binary("next").from(role));
    (bytes, len)
}

#[test]
fn law_5_chunks_after_a_partial_event_begin_with_all_that_was_gathered() {
    for role in BOTH {
        let (bytes, len) = fragmented(other(role));
        for cut in 0..len {
            let mut end = End::new(role);
            end.receive(&bytes[..cut]);
            let mut got: Vec<_> = end
                .events()
                .into_iter()
                .map(|event| match event.unwrap() {
                    Event::Ping(payload) => Ok(Event::Ping(payload)),
                    other => panic!("{other:?}"),
                })
                .collect();
            end.receive(&bytes[cut..]);
            got.extend(end.chunks());
            let (events, rest) = joined(got);
            assert_eq!(rest, []);
            assert_eq!(
                events,
                [
                    Ok(Event::Ping(payload("p"))),
                    Ok(text("größer")),
                    Ok(binary("next"))
                ],
                "switched after {cut} bytes"
            );
        }
    }
}

#[test]
fn law_5_an_event_after_partial_chunks_skips_the_rest_of_that_message() {
    for role in BOTH {
        let (bytes, len) = fragmented(other(role));
        for cut in 0..=len {
            let mut end = End::new(role);
            end.receive(&bytes[..cut]);
            let chunks = end.chunks();
            let begun = chunks
                .iter()
                .any(|event| matches!(event, Ok(Event::Data(_))));
            end.receive(&bytes[cut..]);
            let events = end.events();
            let messages: Vec<_> = events
                .into_iter()
                .filter(|event| matches!(event, Ok(Event::Data(_)) | Err(_)))
                .collect();
            if begun {
                assert_eq!(messages, [Ok(binary("next"))], "switched after {cut} bytes");
            } else {
                // Nothing of it was given to anybody, so nothing of it is lost.
                assert_eq!(
                    messages,
                    [Ok(text("größer")), Ok(binary("next"))],
                    "switched after {cut} bytes"
                );
            }
        }
    }
}

#[test]
fn law_5_an_event_that_finds_nothing_skips_as_well() {
    for role in BOTH {
        let (bytes, len) = fragmented(other(role));
        let mut end = End::new(role);
        end.receive(&bytes[..len - 1]);
        assert!(!end.chunks().is_empty());
        assert_eq!(end.events(), []);
        end.receive(&bytes[len - 1..]);
        let (events, rest) = joined(end.chunks());
        assert_eq!((events, rest), (vec![Ok(binary("next"))], vec![]));
    }
}

#[test]
fn law_5_methods_that_alternate_at_every_byte_never_mix_messages_up() {
    for role in BOTH {
        let (bytes, len) = fragmented(other(role));
        for first in [0, 1] {
            let mut end = End::new(role);
            let (mut pieces, mut next) = (String::new(), Vec::new());
            for (i, byte) in bytes.iter().enumerate() {
                end.receive(&[*byte]);
                if i % 2 == first {
                    for event in end.chunks() {
                        match event.unwrap() {
                            Event::Data(chunk) if i < len => {
                                pieces.push_str(chunk.data.as_text().unwrap());
                            }
                            Event::Data(chunk) => next.extend_from_slice(chunk.data.as_bytes()),
                            _ => {}
                        }
                    }
                } else {
                    for event in end.events() {
                        // Pieces of each message came out before its end did.
                        assert!(!matches!(event, Ok(Event::Data(_)) | Err(_)), "{event:?}");
                    }
                }
            }
            // What comes after the first piece is skipped by poll_event.
            assert!("größer".starts_with(&pieces) && !pieces.is_empty());
            assert!(b"next".starts_with(&next) && !next.is_empty(), "{next:?}");
        }
    }
}

#[test]
fn law_5_what_is_skipped_is_still_checked_and_counted() {
    let begin = [Frame::new(TEXT, "begun")];
    let bad = [Frame::new(FIN | CONTINUATION, b"\xFF")];
    let many = vec![Frame::new(CONTINUATION, ""); 9];
    let big = [Frame::new(CONTINUATION, [b'x'; 101])];
    let cases: [(&[Frame], ProtocolError); 3] = [
        (&bad, ProtocolError::Utf8),
        (&many, ProtocolError::TooManyFragments { max: 9 }),
        (&big, ProtocolError::StreamTooBig { max: 105 }),
    ];
    for (frames, error) in cases {
        let mut end = End::with(Role::Server, |config| {
            config.max_fragments = 9;
            config.max_stream_size = 105;
        });
        end.hear(&begin);
        assert_eq!(
            end.chunks(),
            [Ok(Event::Data(chunk(Kind::Text, "begun", false)))]
        );
        assert_eq!(end.give(frames), [Err(protocol(error))]);
    }
}

// ---- 6. max_message_size bounds what is assembled -----------------------------------------------

#[test]
fn law_6_a_message_of_max_message_size_is_taken_and_one_byte_more_is_not() {
    let whole = |size| vec![Frame::binary(vec![7; size])];
    let halves = |size| {
        vec![
            Frame::new(BINARY, vec![7; 50]),
            Frame::new(FIN | CONTINUATION, vec![7; size - 50]),
        ]
    };
    let error = ProtocolError::MessageTooBig { max: 100 };
    for role in BOTH {
        for make in [&whole as &dyn Fn(usize) -> Vec<Frame>, &halves] {
            let mut end = End::with(role, |config| config.max_message_size = 100);
            assert_eq!(end.give(&make(100)), [Ok(binary([7; 100]))]);
            assert_eq!(end.give(&make(101)), [Err(protocol(error))]);
            assert_eq!(end.write(), [Frame::close(1009, &error.to_string())]);
        }
    }
}

#[test]
fn law_6_small_limits_hold_for_small_messages() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.max_message_size = 3);
        assert_eq!(end.give(&[Frame::text("abc")]), [Ok(text("abc"))]);
        assert_eq!(
            end.give(&[Frame::text("abcd")]),
            [Err(protocol(ProtocolError::MessageTooBig { max: 3 }))]
        );
        let mut end = End::with(role, |config| config.max_frame_size = Some(3));
        assert_eq!(end.give(&[Frame::text("abc")]), [Ok(text("abc"))]);
        let fragments = [Frame::new(TEXT, "abc"), Frame::new(FIN, "def")];
        assert_eq!(end.give(&fragments), [Ok(text("abcdef"))]);
        assert_eq!(
            end.give(&[Frame::text("abcd")]),
            [Err(protocol(ProtocolError::FrameTooBig { max: 3 }))]
        );
        assert_eq!(end.write()[0].payload[..2], 1009_u16.to_be_bytes());
    }
}

#[test]
fn law_6_the_announced_length_is_judged_before_its_payload_comes() {
    for role in BOTH {
        let key = (role == Role::Server).then_some(Frame::KEY);
        let max = 1 << 20;
        for (limit, error) in [
            (None, ProtocolError::MessageTooBig { max }),
            (Some(max), ProtocolError::FrameTooBig { max }),
        ] {
            let mut end = End::with(role, |config| config.max_frame_size = limit);
            end.receive(&Frame::header(FIN | BINARY, max + 1, key));
            assert_eq!(end.events(), [Err(protocol(error))]);
        }
    }
}

/// A frame of 4 MiB: the only limit is that of the method that pulls.
#[test]
fn law_6_a_frame_may_be_as_large_as_who_pulls_allows() {
    const SIZE: usize = 4 << 20;
    let content: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
    // What comes of it, cut into reads, under a limit for whole messages and one for frames.
    let pull = |role, chunks, whole, frame| {
        let mut end = End::with(role, |config| {
            config.max_message_size = whole;
            config.max_frame_size = frame;
        });
        let (mut events, mut pieces) = (Vec::new(), Vec::new());
        for bytes in Frame::binary(&content).from(other(role)).chunks(10_000) {
            end.receive(bytes);
            if chunks {
                pieces.extend(end.chunks());
            } else {
                events.extend(end.events());
            }
            if end.conn.state() != State::Open {
                break;
            }
        }
        events.extend(joined(pieces).0);
        events
    };
    let default = 1 << 20;
    for role in BOTH {
        let too_big = |error| [Err(protocol(error))];
        assert!(pull(role, false, 8 << 20, None) == [Ok(binary(&content[..]))]);
        assert!(pull(role, true, default, None) == [Ok(binary(&content[..]))]);
        let max = default as u64;
        let error = ProtocolError::MessageTooBig { max };
        assert_eq!(pull(role, false, default, None), too_big(error));
        let error = ProtocolError::FrameTooBig { max };
        for chunks in [false, true] {
            let frame = Some(max);
            assert_eq!(pull(role, chunks, 8 << 20, frame), too_big(error));
        }
    }
}

#[test]
fn law_6_chunks_are_bounded_by_max_stream_size_only() {
    let pieces = |size: usize| {
        vec![
            Frame::new(BINARY, vec![7; 150]),
            Frame::new(FIN | CONTINUATION, vec![7; size - 150]),
        ]
    };
    for role in BOTH {
        let mut end = End::with(role, |config| {
            config.max_message_size = 100;
            config.max_stream_size = 200;
        });
        end.hear(&pieces(200));
        assert_eq!(joined(end.chunks()).0, [Ok(binary([7; 200]))]);
        end.hear(&pieces(201));
        let error = ProtocolError::StreamTooBig { max: 200 };
        assert_eq!(end.chunks().last(), Some(&Err(protocol(error))));
        assert_eq!(end.write(), [Frame::close(1009, &error.to_string())]);
    }
}

/// The short way takes several messages at once for `poll_event`; those behind the first may be pulled in
/// chunks.
#[test]
fn law_6_max_stream_size_holds_for_chunks_behind_a_whole_message() {
    let frames = [Frame::binary([1; 50]), Frame::binary([2; 50])];
    let error = ProtocolError::StreamTooBig { max: 10 };
    for role in BOTH {
        for together in [true, false] {
            let mut end = End::with(role, |config| config.max_stream_size = 10);
            if together {
                end.hear(&frames);
            } else {
                end.hear(&frames[..1]);
            }
            assert_eq!(end.conn.poll_event(), Ok(Some(binary([1; 50]))));
            if !together {
                end.hear(&frames[1..]);
            }
            assert_eq!(end.conn.poll_chunk(), Err(protocol(error)), "{together}");
            assert_eq!(end.write(), [Frame::close(1009, &error.to_string())]);
        }
    }
}

/// A message that is all there may take the short way; one that comes in two reads takes the long way.
#[test]
fn law_6_the_short_and_the_long_way_agree_on_every_limit() {
    type Limit = fn(&mut Config, usize);
    // With whom each holds: with those who pull whole messages, with those who pull chunks.
    let limits: [(Limit, [bool; 2]); 3] = [
        (|it, max| it.max_frame_size = Some(max as u64), [true, true]),
        (|it, max| it.max_message_size = max, [true, false]),
        (|it, max| it.max_stream_size = max as u64, [false, true]),
    ];
    let judge = |role, len: usize, cut: usize, chunks, limit: &dyn Fn(&mut Config)| {
        let frames = [Frame::binary(""), Frame::binary(vec![7; len])];
        let bytes = wire(&frames, other(role));
        let (now, later) = bytes.split_at(bytes.len() - cut);
        let mut end = End::with(role, limit);
        end.receive(now);
        assert_eq!(end.conn.poll_event(), Ok(Some(binary(""))));
        let (mut events, mut pieces) = (Vec::new(), Vec::new());
        for bytes in [b"", later] {
            end.receive(bytes);
            if chunks {
                pieces.extend(end.chunks());
            } else {
                events.extend(end.events());
            }
        }
        events.extend(joined(pieces).0);
        assert_eq!(events.len(), 1);
        events.remove(0)
    };
    for role in BOTH {
        for (len, (limit, holds)) in (0..=4096).flat_map(|len| limits.map(|limit| (len, limit))) {
            for (max, chunks) in [(len, false), (len, true), (len - 1, false), (len - 1, true)] {
                let Ok(max) = usize::try_from(max) else {
                    continue;
                };
                let len = len as usize;
                let judge = |cut| judge(role, len, cut, chunks, &|config| limit(config, max));
                let (short, long) = (judge(0), judge(len.min(1)));
                let case = || format!("{role:?}, {len} bytes, limit {max}, chunks: {chunks}");
                assert!(short == long, "{}", case());
                let fits = len <= max || !holds[usize::from(chunks)];
                assert_eq!(short.is_ok(), fits, "{}", case());
            }
        }
    }
}

// ---- 7. Our Close closes sending only -----------------------------------------------------------

#[test]
fn law_7_data_is_delivered_until_the_peers_close() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.close(Some(close_frame(1000, "done")));
        assert_eq!(end.conn.send("late"), Err(SendError::Closed));
        assert_eq!(end.conn.ping(payload("late")), Err(SendError::Closed));
        assert_eq!(end.conn.pong(payload("late")), Err(SendError::Closed));
        assert_eq!(end.write(), [Frame::close(1000, "done")]);
        let frames = [
            Frame::text("one"),
            Frame::new(TEXT, "t"),
            Frame::new(FIN, "wo"),
            Frame::close(1000, "done too"),
            Frame::text("never"),
        ];
        assert_eq!(
            end.give(&frames),
            [
                Ok(text("one")),
                Ok(text("two")),
                Ok(Event::Close(Some(close_frame(1000, "done too"))))
            ]
        );
        assert_eq!(end.write(), [], "one Close is enough");
    }
}

#[test]
fn law_7_our_close_waits_behind_the_messages_queued_before() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.send_high_water = 1);
        for i in 0..5 {
            end.conn.send(vec![i; 10]).unwrap();
        }
        end.conn.close(None);
        let frames = end.write();
        assert_eq!(frames.len(), 6);
        assert_eq!(frames[4], Frame::binary([4; 10]));
        assert_eq!(frames[5], Frame::new(CLOSE, ""));
    }
}

#[test]
fn law_7_an_owed_close_drops_the_messages_that_wait() {
    for role in BOTH {
        for user_closes in [false, true] {
            let mut end = End::with(role, |config| config.send_high_water = 1);
            for i in 0..5 {
                end.conn.send(vec![i; 10]).unwrap();
            }
            if user_closes {
                end.conn.close(Some(close_frame(1001, "mine")));
            }
            end.give(&[Frame::close(1000, "yours")]);
            assert_eq!(
                end.write(),
                [Frame::binary([0; 10]), Frame::close(1000, "yours")]
            );
            assert!(!end.conn.is_full(), "nothing waits");
        }
    }
}

#[test]
fn law_7_without_reply_to_close_we_finish_what_we_were_sending() {
    for role in BOTH {
        let mut end = End::with(role, |config| {
            config.reply_to_close = false;
            config.send_high_water = 1;
        });
        end.conn.send("one").unwrap();
        end.conn.send_chunk(chunk(Kind::Text, "tw", false)).unwrap();
        assert_eq!(
            end.give(&[Frame::close(1000, "bye")]),
            [Ok(Event::Close(Some(close_frame(1000, "bye"))))]
        );
        assert_eq!(end.conn.state(), State::Closing);
        end.conn.send_chunk(chunk(Kind::Text, "o", true)).unwrap();
        end.conn.close(Some(close_frame(1001, "mine")));
        assert_eq!(
            end.write(),
            [
                Frame::text("one"),
                Frame::new(TEXT, "tw"),
                Frame::new(FIN, "o"),
                Frame::close(1001, "mine")
            ]
        );
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        let closed = end.conn.closed().unwrap();
        assert!(closed.clean);
        assert_eq!((closed.code, closed.initiator), (1000, Initiator::Peer));
    }
}

#[test]
fn law_7_with_reply_to_close_the_answer_is_queued_at_once() {
    for role in BOTH {
        let mut end = End::new(role);
        end.hear(&[Frame::close(3000, "why")]);
        assert!(end.conn.poll_event().unwrap().is_some());
        assert_eq!(end.conn.send("late"), Err(SendError::Closed));
        assert_eq!(end.write(), [Frame::close(3000, "why")]);
    }
}

#[test]
fn law_7_the_pong_for_the_latest_ping_leaves_before_our_own_close() {
    let mut end = End::new(Role::Server);
    end.hear(&[Frame::new(PING, "1")]);
    end.events();
    assert!(end.conn.transmit().is_some());
    end.hear(&[Frame::new(PING, "2")]);
    end.events();
    end.conn.close(None);
    assert_eq!(
        end.write(),
        [
            Frame::new(PONG, "1"),
            Frame::new(PONG, "2"),
            Frame::new(CLOSE, "")
        ]
    );
}

// ---- 8. The end ---------------------------------------------------------------------------------

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
                assert_eq!(end.events(), [Err(RecvError::Lost(lost))]);
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
                assert_eq!(closed.cause, Some(RecvError::Lost(lost)));
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
            // The end turns up before, between and after the events are polled.
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
                        Err(RecvError::Lost(lost))
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
                    end.conn.handle_eof(); // Whoever reads again meets the end again.
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
            // More arrives before anybody polls again.
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
            // More arrives before anybody polls again.
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
    assert_eq!(end.events(), [Err(RecvError::Entropy)]);
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
    assert_eq!(end.events(), [Err(RecvError::Entropy)]);
    assert_eq!(end.conn.state(), State::Closed);
}

// ---- 9. UTF-8 fails fast ------------------------------------------------------------------------

#[test]
fn law_9_text_fails_at_the_first_byte_that_cannot_be_right() {
    // What cannot be continued, and after how many octets that is known.
    let cases: [(&[u8], usize); 9] = [
        (b"ab\xFF", 3),
        (b"ab\xC0\x80", 3),
        (b"ab\xC3\x28", 4),
        (b"ab\xE0\x80\x80", 4),
        (b"ab\xED\xA0\x80", 4),
        (b"ab\xE2\x82\x28", 5),
        (b"ab\xF0\x8F\x80\x80", 4),
        (b"ab\xF4\x90\x80\x80", 4),
        (b"ab\x80", 3),
    ];
    for role in BOTH {
        for (octets, known) in cases {
            for fragmented in [false, true] {
                for by_chunk in [false, true] {
                    let mut end = End::new(role);
                    let poll = |end: &mut End| match by_chunk {
                        true => end.chunks().into_iter().any(|event| event.is_err()),
                        false => end.events().into_iter().any(|event| event.is_err()),
                    };
                    // The payload is announced longer than it is: there is more to come.
                    let key = (role == Role::Server).then_some([0; 4]);
                    if !fragmented {
                        end.receive(&Frame::header(FIN | TEXT, 100, key));
                    }
                    for (i, octet) in octets.iter().enumerate() {
                        if fragmented {
                            let opcode = if i == 0 { TEXT } else { CONTINUATION };
                            end.hear(&[Frame::new(opcode, [*octet])]);
                        } else {
                            end.receive(&[*octet]);
                        }
                        assert_eq!(poll(&mut end), i + 1 == known, "{octets:x?} at {i}");
                        if i + 1 == known {
                            break;
                        }
                    }
                    assert_eq!(end.write()[0].payload[..2], 1007_u16.to_be_bytes());
                }
            }
        }
    }
}

#[test]
fn law_9_text_chunks_end_between_characters() {
    let whole = "aß€𝄞".repeat(20);
    for role in BOTH {
        for step in [1, 2, 3, 5, 7, 11] {
            let mut end = End::new(role);
            let frames: Vec<u8> = whole
                .as_bytes()
                .chunks(13)
                .enumerate()
                .map(|(i, part)| Frame::new(if i == 0 { TEXT } else { CONTINUATION }, part))
                .chain([Frame::new(FIN | CONTINUATION, "")])
                .flat_map(|frame| frame.from(other(role)))
                .collect();
            let mut got = String::new();
            let mut fins = 0;
            for part in frames.chunks(step) {
                end.receive(part);
                for event in end.chunks() {
                    let Ok(Event::Data(Chunk { data, fin })) = event else {
                        panic!("{event:?}");
                    };
                    // `Message::Text` cannot hold half a character; nothing must be lost either.
                    got.push_str(data.as_text().unwrap());
                    fins += u32::from(fin);
                }
            }
            assert_eq!((got.as_str(), fins), (whole.as_str(), 1));
        }
    }
}

// ---- 10. Idle costs nothing (its memory: memory.rs) ---------------------------------------------

#[test]
fn law_10_a_server_draws_no_randomness() {
    let mut end = End::with(Role::Server, |config| {
        config.entropy = |_| panic!("a server masks nothing");
    });
    end.conn.send(vec![7; 10_000]).unwrap();
    end.conn.ping(payload("x")).unwrap();
    end.give(&[Frame::new(PING, ""), Frame::close(1000, "")]);
    assert_eq!(end.write().len(), 4);
}

// ---- The halves apart ---------------------------------------------------------------------------

#[test]
fn halves_that_are_driven_apart_do_the_same() {
    let end = End::new(Role::Server);
    let (mut rx, mut tx) = end.conn.split();
    let bytes = wire(
        &[Frame::new(PING, "p"), Frame::close(1000, "")],
        Role::Client,
    );
    assert_eq!(rx.receive(&bytes), bytes.len());
    assert_eq!(rx.poll_event(), Ok(Some(Event::Ping(payload("p")))));
    rx.meet(&mut tx);
    assert!(!rx.has_control(), "owed once");
    assert!(matches!(rx.poll_event(), Ok(Some(Event::Close(_)))));
    rx.meet(&mut tx);
    assert_eq!(rx.poll_event(), Ok(None));
    let mut written = Vec::new();
    while let Some(transmit) = tx.transmit() {
        let all = transmit.copy_to_bytes(transmit.remaining());
        written.extend_from_slice(&all);
        tx.handle_sent(true);
    }
    assert_eq!(
        Frame::read_all(&written, Role::Server),
        [Frame::new(PONG, "p"), Frame::close(1000, "")]
    );
    assert!(tx.is_closed() && tx.wants_shutdown());
    rx.meet(&mut tx);
    assert!(!rx.is_done());
    rx.handle_eof();
    assert_eq!(rx.poll_event(), Ok(None));
    assert!(rx.is_done() && rx.closed().unwrap().clean);
}

/// The halves of a connection whose deadlines have begun.
fn halves(role: Role, change: impl FnOnce(&mut Config)) -> (Receiver, Sender) {
    let mut end = End::with(role, change);
    end.tick();
    end.conn.split()
}

fn write_all(tx: &mut Sender) {
    while let Some(transmit) = tx.transmit() {
        transmit.advance(usize::MAX);
        tx.handle_sent(true);
    }
}

fn at(seconds: u64) -> Instant {
    Instant::from_epoch(secs(seconds))
}

#[test]
fn a_deadline_of_one_half_ends_the_other_when_they_meet() {
    for role in BOTH {
        // The peer takes nothing.
        let (mut rx, mut tx) = halves(role, |config| config.write_timeout = Some(secs(10)));
        tx.send("a").unwrap();
        tx.transmit().unwrap();
        tx.handle_sent(false);
        assert_eq!(tx.handle_timeout(at(0)), Ok(()));
        assert_eq!(tx.handle_timeout(at(10)), Err(Deadline::Write));
        assert_eq!(rx.poll_event(), Ok(None), "it is not known yet");
        rx.meet(&mut tx);
        let error = RecvError::TimedOut(Deadline::Write);
        assert_eq!(rx.poll_event(), Err(error));
        assert!(rx.is_done());
        assert_eq!(rx.closed().unwrap().cause, Some(error));
        rx.meet(&mut tx);
        assert_eq!(rx.poll_event(), Ok(None), "exactly one error");

        // The peer says nothing.
        let (mut rx, mut tx) = halves(role, |config| {
            config.keep_alive = Some(secs(20));
            config.pong_timeout = Some(secs(20));
        });
        assert_eq!(rx.handle_timeout(at(20)), Ok(()));
        rx.meet(&mut tx);
        write_all(&mut tx);
        rx.meet(&mut tx);
        assert_eq!(rx.handle_timeout(at(21)), Ok(()));
        assert_eq!(rx.handle_timeout(at(41)), Err(Deadline::Pong));
        rx.meet(&mut tx);
        assert_eq!(tx.end(), Some(RecvError::TimedOut(Deadline::Pong)));
        assert_eq!(tx.send("a"), Err(SendError::Closed));
    }
}

#[test]
fn a_sender_that_aborts_ends_the_receiver_when_they_meet() {
    for role in BOTH {
        let (mut rx, mut tx) = halves(role, |_| {});
        rx.receive(&Frame::text("unread").from(other(role)));
        tx.abort();
        assert_eq!(tx.send("a"), Err(SendError::Closed));
        rx.meet(&mut tx);
        assert!(rx.is_done());
        assert_eq!(rx.poll_event(), Ok(None));
        let closed = rx.closed().unwrap();
        assert_eq!((closed.code, closed.initiator), (1006, Initiator::Local));
    }
}

#[test]
fn either_half_tells_how_it_ended_the_connection() {
    let lost = RecvError::Lost(Lost::Reset);
    for role in BOTH {
        for (closes, initiator) in [(false, Initiator::Peer), (true, Initiator::Local)] {
            let (_, mut tx) = halves(role, |_| {});
            if closes {
                tx.close(None);
            }
            assert_eq!(tx.closed(), None);
            tx.handle_end(lost);
            assert_eq!(tx.closed(), Some(Closed::abnormal(initiator, Some(lost))));
        }
        let (_, mut tx) = halves(role, |_| {});
        tx.handle_end(RecvError::TimedOut(Deadline::Write));
        assert_eq!(tx.closed().unwrap().initiator, Initiator::Local);
        let (_, mut tx) = halves(role, |_| {});
        tx.abort();
        assert_eq!(tx.closed(), Some(Closed::abnormal(Initiator::Local, None)));
        // A failure is known before the peer was told.
        let (mut rx, _) = halves(role, |_| {});
        rx.receive(&Frame::text(b"\xFF").from(other(role)));
        let error = rx.poll_event().unwrap_err();
        let expected = Closed::abnormal(Initiator::Local, Some(error));
        assert_eq!(rx.closed(), Some(expected));
        assert!(!rx.is_done());
    }
}

#[test]
fn a_message_that_is_given_up_unfinished_closes_with_1011() {
    for role in BOTH {
        let (_, mut tx) = halves(role, |_| {});
        tx.abandon();
        assert!(!tx.is_closing(), "nothing was begun");
        tx.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
        tx.abandon();
        assert_eq!(tx.send("b"), Err(SendError::Closed));
        let transmit = tx.transmit().unwrap();
        let written = transmit.copy_to_bytes(transmit.remaining());
        assert_eq!(
            Frame::read_all(&written, role),
            [Frame::new(TEXT, "a"), Frame::close(1011, "")]
        );
    }
}

#[test]
fn a_transport_that_cannot_be_written_to_is_read_to_its_end() {
    for role in BOTH {
        let (mut rx, mut tx) = halves(role, |_| {});
        tx.handle_end(RecvError::Lost(Lost::Reset));
        rx.meet(&mut tx);
        assert_eq!(rx.poll_event(), Ok(None));
        rx.receive(&Frame::text("on its way").from(other(role)));
        assert_eq!(rx.poll_event(), Ok(Some(text("on its way"))));
        rx.receive(&Frame::close(1000, "").from(other(role)));
        assert!(matches!(rx.poll_event(), Ok(Some(Event::Close(_)))));
        rx.meet(&mut tx);
        assert!(!rx.is_done());
        rx.handle_eof();
        assert_eq!(rx.poll_event(), Ok(None));
        assert!(rx.is_done() && !rx.closed().unwrap().clean);
    }
}

#[test]
fn a_transport_that_is_left_open_after_both_closes_is_no_failure() {
    for role in BOTH {
        let (mut rx, mut tx) = halves(role, |config| config.close_timeout = Some(secs(5)));
        tx.close(None);
        write_all(&mut tx);
        rx.meet(&mut tx);
        assert!(!tx.is_peer_closed() && !tx.wants_shutdown());
        rx.receive(&Frame::close(1000, "").from(other(role)));
        assert!(matches!(rx.poll_event(), Ok(Some(Event::Close(_)))));
        rx.meet(&mut tx);
        // §7.1.1: the server ends the transport first.
        assert!(tx.is_peer_closed());
        assert_eq!(tx.wants_shutdown(), role == Role::Server);
        assert_eq!(rx.handle_timeout(at(1)), Ok(()));
        assert!(!rx.is_done());
        assert_eq!(rx.handle_timeout(at(6)), Ok(()));
        assert!(rx.is_done() && rx.poll_timeout().is_none());
        assert_eq!(rx.poll_event(), Ok(None));
        assert!(rx.closed().unwrap().clean);
        rx.meet(&mut tx);
        assert_eq!(tx.end(), None, "no failure");
    }
}

#[test]
fn counters_tell_which_messages_were_written_and_which_were_dropped() {
    let mut end = End::with(Role::Server, |config| config.send_high_water = 1);
    let (mut rx, mut tx) = {
        for i in 0..4 {
            end.conn.send(vec![i; 10]).unwrap();
        }
        end.conn.split()
    };
    assert_eq!((tx.accepted(), tx.flushed()), (4, 0));
    tx.transmit().unwrap().advance(12);
    tx.handle_sent(false);
    assert_eq!(tx.flushed(), 0, "written, not flushed");
    tx.handle_sent(true);
    assert_eq!(tx.flushed(), 1);
    tx.transmit().unwrap().advance(3);
    tx.handle_sent(true);
    assert_eq!(tx.flushed(), 1);
    // The peer closes: what is not framed is dropped.
    rx.receive(&Frame::close(1000, "").from(Role::Client));
    rx.poll_event().unwrap().unwrap();
    rx.meet(&mut tx);
    while let Some(transmit) = tx.transmit() {
        transmit.advance(usize::MAX);
        tx.handle_sent(true);
    }
    assert_eq!(tx.flushed(), 2);
    assert!(!tx.has_dropped(2) && tx.has_dropped(3));
}

#[test]
fn what_is_sent_after_a_close_is_told_so_though_a_message_is_unfinished() {
    for role in BOTH {
        let mut end = End::new(role);
        let piece = |kind, fin| chunk(kind, "a", fin);
        end.conn.send_chunk(piece(Kind::Text, false)).unwrap();
        end.conn.close(None);
        assert_eq!(end.conn.send("whole"), Err(SendError::Closed));
        for kind in [Kind::Text, Kind::Binary] {
            assert_eq!(
                end.conn.send_chunk(piece(kind, true)),
                Err(SendError::Closed)
            );
        }
    }
}

#[test]
fn a_streamed_message_is_not_mixed_with_others() {
    let mut end = End::new(Role::Client);
    let piece = |text, fin| chunk(Kind::Text, text, fin);
    end.conn.send_chunk(piece("a", false)).unwrap();
    assert_eq!(end.conn.send("whole"), Err(SendError::Unfinished));
    assert_eq!(
        end.conn.send_chunk(chunk(Kind::Binary, "b", false)),
        Err(SendError::KindChanged)
    );
    end.conn.ping(payload("between")).unwrap();
    end.conn.send_chunk(piece("", false)).unwrap();
    end.conn.send_chunk(piece("", true)).unwrap();
    end.conn.send(Message::from("whole")).unwrap();
    assert_eq!(
        end.write(),
        [
            Frame::new(TEXT, "a"),
            Frame::new(PING, "between"),
            Frame::new(CONTINUATION, ""),
            Frame::new(FIN | CONTINUATION, ""),
            Frame::text("whole")
        ]
    );
}
