//! Law 4, for all other deadlines: each starts with its cause.

use std::time::Duration;

use bowline_proto::{Deadline, Instant, Role, SendError, State};
use testing::{
    ends::{BOTH, End, other, secs, text},
    frames::{BINARY, CONTINUATION, FIN, Frame, PING, PONG, TEXT},
};

use crate::{only, timed_out};

#[test]
fn law_4_the_close_deadline_runs_from_our_close() {
    for role in BOTH {
        let mut end = only(role, |config| config.close_timeout = Some(secs(8)));
        end.conn.close(None);
        end.write();
        end.pass(secs(3));
        // Other input is no excuse, nor is a second call.
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
        // A driver reads before it passes the time, and polls after that.
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
