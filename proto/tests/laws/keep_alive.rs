//! Law 4, for Pings: when they are sent, when their Pong is due, and how latency is measured.

use std::time::Duration;

use bowline_proto::{Config, ConnectionError, Deadline, Event, Role, State};
use testing::{
    ends::{BOTH, End, other, payload, secs, text},
    frames::{BINARY, Frame, PING, PONG},
};

use crate::{only, timed_out};

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
        // One octet of a frame counts as life.
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
        assert_eq!(
            closed.cause,
            Some(ConnectionError::TimedOut(Deadline::Pong))
        );
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
        // The application's Ping comes after it, and is not sent.
        let mut end = only(role, keep);
        end.pass(secs(20));
        end.conn.ping(payload("mine")).unwrap();
        assert_eq!(end.write_some(head + 4, true).len(), head + 4);
        end.pass(secs(10));
        assert_eq!(end.events(), timed_out(Deadline::Pong));
        // The application's Ping comes before it, and is the only one that is sent.
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
    // Input that is read right before the deadline is judged, and not polled.
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
    end.pass(secs(5)); // It was not sent.
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

/// The next Ping may be sent before the time is passed that measures the previous one.
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
            // Every other Ping is sent while the one before it waits to be measured.
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
