//! Law 4, for unsolicited Pongs: one in each period, whatever else happens, and no deadline after it.

use std::time::Duration;

use bowline_proto::{Config, ConnectionError, Deadline, Event, KeepAlive, Role, State};
use testing::{
    ends::{BOTH, End, payload, secs, text},
    frames::{BINARY, FIN, Frame, PING, PONG},
};

use crate::only;

/// A connection that sends an unsolicited Pong every 7 seconds, and has no other deadline.
fn beating(role: Role, change: impl FnOnce(&mut Config)) -> End {
    only(role, |config| {
        config.keep_alive = Some(secs(7));
        config.keep_alive_kind = KeepAlive::Pong;
        change(config);
    })
}

/// Lets time pass, and returns the frames that were written, each with the millisecond since then.
fn written(end: &mut End, duration: Duration) -> Vec<(u64, Frame)> {
    let begun = end.now;
    let until = begun.checked_add(duration).unwrap();
    let mut written = Vec::new();
    loop {
        end.tick();
        let millis = end.now.saturating_duration_since(begun).as_millis() as u64;
        written.extend(end.write().into_iter().map(|frame| (millis, frame)));
        end.tick();
        match end.conn.poll_timeout().filter(|at| *at <= until) {
            Some(at) => end.now = end.now.max(at),
            None => break,
        }
    }
    end.now = until;
    written
}

fn beat() -> Frame {
    Frame::new(PONG, "")
}

#[test]
fn law_4_an_unsolicited_pong_is_sent_in_each_period() {
    for role in BOTH {
        let mut end = beating(role, |_| {});
        let expected: Vec<_> = (1..=500).map(|i| (i * 7000, beat())).collect();
        assert_eq!(written(&mut end, secs(3500)), expected);
        assert_eq!(end.conn.state(), State::Open);
    }
}

#[test]
fn law_4_what_is_sent_or_received_does_not_put_off_the_next_unsolicited_pong() {
    for role in BOTH {
        let mut end = beating(role, |_| {});
        end.tick();
        for _ in 0..10 {
            end.pass(secs(6));
            end.give(&[Frame::text("in"), Frame::new(BINARY, "a part")]);
            end.give(&[Frame::new(FIN, "of it")]);
            end.conn.send("out").unwrap();
            assert_eq!(end.write(), [Frame::text("out")]);
            // Input that was not polled makes no difference.
            end.hear(&[Frame::text("unread")]);
            end.pass(Duration::from_millis(999));
            assert_eq!(end.write(), []);
            end.pass(Duration::from_millis(1));
            assert_eq!(end.write(), [beat()]);
            assert_eq!(end.events(), [Ok(text("unread"))]);
        }
    }
}

#[test]
fn law_4_no_deadline_follows_an_unsolicited_pong() {
    for role in BOTH {
        let mut end = beating(role, |config| config.pong_timeout = Some(secs(1)));
        assert_eq!(written(&mut end, secs(3600)).len(), 3600 / 7);
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Open);
        // The other deadlines remain.
        let mut end = beating(role, |config| config.idle_timeout = Some(secs(60)));
        assert_eq!(written(&mut end, secs(60)).len(), 60 / 7 + 1, "and a Close");
        let error = ConnectionError::TimedOut(Deadline::Idle);
        assert_eq!(end.events(), [Err(error)]);
    }
}

#[test]
fn law_4_a_clock_that_jumps_causes_one_unsolicited_pong() {
    for role in BOTH {
        let mut end = beating(role, |_| {});
        end.tick();
        end.now = end.now.checked_add(secs(3600)).unwrap();
        assert_eq!(
            written(&mut end, secs(20)),
            [(0, beat()), (7000, beat()), (14_000, beat())]
        );
    }
}

#[test]
fn law_4_unsolicited_pongs_do_not_measure_latency_and_pings_still_do() {
    for role in BOTH {
        let mut end = beating(role, |_| {});
        assert_eq!(written(&mut end, secs(70)).len(), 10);
        end.give(&[beat()]);
        end.tick();
        assert_eq!(end.conn.latency(), None);
        // These look like what keep-alive sends.
        for (seconds, like) in [(8, &[][..]), (9, &[0; 4]), (10, &1_u32.to_be_bytes())] {
            end.conn.ping(payload(like)).unwrap();
            assert_eq!(end.write(), [Frame::new(PING, like)]);
            assert!(!written(&mut end, secs(seconds)).is_empty());
            end.give(&[Frame::new(PONG, like)]);
            assert!(written(&mut end, secs(5)).len() <= 1);
            assert_eq!(end.conn.latency(), Some(secs(seconds)));
        }
    }
}

#[test]
fn law_4_no_unsolicited_pong_without_the_period_and_no_other_frame_with_it() {
    for role in BOTH {
        let mut end = beating(role, |config| config.keep_alive = None);
        end.tick();
        assert_eq!(end.conn.poll_timeout(), None);
        assert_eq!(written(&mut end, secs(3600)), []);
        let mut end = only(role, |config| config.keep_alive = Some(secs(7)));
        let frames = written(&mut end, secs(60));
        assert_eq!(frames, [(7000, Frame::new(PING, 1_u32.to_be_bytes()))]);
    }
}

#[test]
fn law_4_a_connection_that_closes_sends_no_unsolicited_pong() {
    for role in BOTH {
        // It waits for the peer's Close.
        let mut end = beating(role, |_| {});
        end.pass(secs(7));
        end.conn.close(None);
        assert_eq!(end.write(), [Frame::new(0x88, "")]);
        assert_eq!(written(&mut end, secs(60)), []);
        // The peer has closed, and the application has not answered yet.
        let mut end = beating(role, |config| config.reply_to_close = false);
        assert!(matches!(
            end.give(&[Frame::close(1000, "")])[..],
            [Ok(Event::Close(_))]
        ));
        assert_eq!(written(&mut end, secs(60)), []);
    }
}

/// A period of no length must neither keep a driver busy without end, nor fill the wire.
#[test]
fn law_4_an_unsolicited_pong_is_sent_at_most_once_a_millisecond() {
    for role in BOTH {
        for period in [Duration::ZERO, Duration::from_nanos(1)] {
            let mut end = beating(role, |config| config.keep_alive = Some(period));
            let expected: Vec<_> = (1..=50).map(|i| (i, beat())).collect();
            assert_eq!(written(&mut end, Duration::from_millis(50)), expected);
        }
    }
}

/// Any input is life, so one end that sends Pongs saves the other its Pings.
#[test]
fn law_4_unsolicited_pongs_are_life_to_a_peer_that_would_send_pings() {
    for role in BOTH {
        let mut end = End::new(role);
        for _ in 0..100 {
            end.pass(secs(19));
            assert_eq!(end.give(&[beat()]), [Ok(Event::Pong(payload("")))]);
            assert_eq!(end.write(), []);
        }
    }
}
