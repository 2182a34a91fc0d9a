//! Time that jumps, deadlines of any length, and the texts that a peer can influence.

use std::time::Duration;

use bowline_proto::{ConnectionError, Deadline, Event};
use testing::frames::{CLOSE, PING, TEXT};

use crate::{
    Test,
    driver::{End, ROLES, config},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "rs_006_deadlines_of_any_length_come_at_once_or_never",
        rs_006_deadlines_of_any_length_come_at_once_or_never,
    ),
    (
        "rs_008_an_hour_asleep_is_one_ping_and_one_timeout",
        rs_008_an_hour_asleep_is_one_ping_and_one_timeout,
    ),
    (
        "rs_010_a_keep_alive_ping_that_cannot_leave_is_not_queued_again",
        rs_010_a_keep_alive_ping_that_cannot_leave_is_not_queued_again,
    ),
    (
        "rs_014_what_the_peer_says_cannot_break_a_line_of_a_log",
        rs_014_what_the_peer_says_cannot_break_a_line_of_a_log,
    ),
];

const HOUR: Duration = Duration::from_secs(3600);

fn rs_006_deadlines_of_any_length_come_at_once_or_never() {
    let lengths = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
    let millis = Duration::from_millis(u64::MAX);
    for length in lengths.into_iter().chain([millis]) {
        let short = length < Duration::from_secs(1);
        for role in ROLES {
            let with = |which: usize| {
                let mut end = End::new(
                    role,
                    &config(|config| {
                        let of = |own: usize| (own == which).then_some(length);
                        config.keep_alive = of(0);
                        config.pong_timeout = of(0);
                        config.close_timeout = of(1);
                        config.write_timeout = of(2);
                        config.message_timeout = of(3);
                        config.idle_timeout = of(4);
                    }),
                );
                end.writable = which != 2;
                match which {
                    1 => end.conn.close(None),
                    2 => end.conn.send("x").unwrap(),
                    3 => end.frame(TEXT, "begun"),
                    _ => {}
                }
                end.write();
                end.wait(HOUR);
                end.errors
            };
            let deadlines = [
                Deadline::Pong,
                Deadline::Close,
                Deadline::Write,
                Deadline::Message,
                Deadline::Idle,
            ];
            for (which, deadline) in deadlines.into_iter().enumerate() {
                let expected = [ConnectionError::TimedOut(deadline)];
                let expected = if short { &expected[..] } else { &[] };
                assert_eq!(with(which), expected, "{length:?}");
            }
        }
    }
}

fn rs_008_an_hour_asleep_is_one_ping_and_one_timeout() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        let sleep = |end: &mut End| {
            end.now = end.now.checked_add(HOUR).unwrap();
            end.conn.handle_timeout(end.now);
            end.poll();
        };
        sleep(&mut end);
        assert_eq!(end.sent().len(), 1);
        assert_eq!(end.errors, []);
        // The time is passed, so the deadline begins.
        end.conn.handle_timeout(end.now);
        sleep(&mut end);
        assert_eq!(end.errors, [ConnectionError::TimedOut(Deadline::Pong)]);
        sleep(&mut end);
        assert_eq!((end.errors.len(), end.sent().len()), (1, 1));
        assert!(end.is_closed());
    }
}

fn rs_010_a_keep_alive_ping_that_cannot_leave_is_not_queued_again() {
    for role in ROLES {
        let mut end = End::new(role, &config(|config| config.write_timeout = None));
        end.writable = false;
        end.wait(HOUR);
        end.writable = true;
        end.write();
        let pings = end.sent();
        assert_eq!(pings.len(), 1);
        assert_eq!(pings[0].first, PING);
    }
}

fn rs_014_what_the_peer_says_cannot_break_a_line_of_a_log() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        let reason = "why\r\nINFO all is well\u{1b}[2J\u{7f}\u{85}\u{2028}";
        end.frame(CLOSE, [&1000_u16.to_be_bytes(), reason.as_bytes()].concat());
        end.eof();
        assert!(matches!(end.events[..], [Event::Close(Some(_))]));
        let closed = end.conn.closed().unwrap();
        assert_eq!(closed.reason, reason, "the application has it as it is");
        let line = closed.to_string();
        assert!(
            !line.contains(|c: char| c.is_control() || c == '\u{2028}'),
            "{line:?}"
        );
        assert!(line.len() < 1000);
    }
}
