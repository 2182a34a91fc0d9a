//! A peer that does not read, and wake-ups without a reason.

use std::time::Duration;

use allocation_counter::measure;
use bowline_proto::State;
use bytes::Buf;
use testing::polls::Polls;

use crate::{
    Test,
    driver::{End, ROLES, config},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "bp_002_a_message_above_the_mark_is_taken_and_nothing_behind_it_is_asked_for",
        bp_002_a_message_above_the_mark_is_taken_and_nothing_behind_it_is_asked_for,
    ),
    (
        "bp_006_a_window_that_opens_after_a_minute_gets_all_in_order",
        bp_006_a_window_that_opens_after_a_minute_gets_all_in_order,
    ),
    (
        "bp_013_wakes_for_nothing_change_nothing",
        bp_013_wakes_for_nothing_change_nothing,
    ),
];

fn bp_002_a_message_above_the_mark_is_taken_and_nothing_behind_it_is_asked_for() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        assert!(!end.conn.is_full());
        end.conn.send(vec![7; 1 << 20]).unwrap();
        assert!(end.conn.is_full());
        end.write();
        assert!(!end.conn.is_full());
        assert_eq!(end.sent()[0].payload.len(), 1 << 20);
    }
}

fn bp_006_a_window_that_opens_after_a_minute_gets_all_in_order() {
    for role in ROLES {
        let minutes = Some(Duration::from_secs(120));
        let mut end = End::new(
            role,
            &config(|config| {
                config.write_timeout = minutes;
                config.keep_alive = None;
            }),
        );
        end.writable = false;
        for i in 0..100_u8 {
            end.conn.send(vec![i; 3000]).unwrap();
            end.write();
        }
        end.wait(Duration::from_secs(60));
        assert_eq!(end.conn.state(), State::Open);
        end.writable = true;
        end.write();
        let sent = end.sent();
        assert_eq!(sent.len(), 100);
        for (frame, i) in sent.iter().zip(0..) {
            assert!(frame.payload == [i; 3000]);
        }
        assert!(
            end.conn
                .transmit()
                .is_none_or(|output| !output.has_remaining())
        );
    }
}

fn bp_013_wakes_for_nothing_change_nothing() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        let before = (end.conn.state(), end.conn.poll_timeout());
        let allocated = measure(|| {
            for _ in 0..100_000 {
                assert_eq!(end.conn.poll_event(), Ok(None));
                assert!(end.conn.transmit().is_none());
                end.conn.handle_sent(true);
                end.conn.handle_timeout(end.now);
            }
        });
        assert_eq!(allocated.count_total, 0);
        assert_eq!((end.conn.state(), end.conn.poll_timeout()), before);
    }
}
