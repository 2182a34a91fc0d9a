//! Inputs that are hostile by their number: memory depends on what arrived, and stays bounded.

use allocation_counter::measure;
use bowline_proto::{CloseCode, Config, Connection, ConnectionError, Event, ProtocolError};
use testing::{
    ends::other,
    frames::{self, BINARY, CONTINUATION, FIN, Frame, PING, PONG, TEXT},
    polls::Polls,
};

use crate::{
    Test,
    driver::{End, ROLES, config},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "fr_027_a_huge_length_reserves_nothing",
        fr_027_a_huge_length_reserves_nothing,
    ),
    (
        "fr_031_announced_lengths_cost_no_memory",
        fr_031_announced_lengths_cost_no_memory,
    ),
    (
        "fr_053_endless_empty_fragments_are_counted",
        fr_053_endless_empty_fragments_are_counted,
    ),
    (
        "fr_054_small_fragments_cost_no_object_each",
        fr_054_small_fragments_cost_no_object_each,
    ),
    (
        "fr_056_a_million_messages_are_taken_in_bounded_steps",
        fr_056_a_million_messages_are_taken_in_bounded_steps,
    ),
    (
        "fr_057_pings_to_a_stuck_peer_queue_no_more_than_three_frames",
        fr_057_pings_to_a_stuck_peer_queue_no_more_than_three_frames,
    ),
    (
        "fr_058_unsolicited_pongs_cost_nothing",
        fr_058_unsolicited_pongs_cost_nothing,
    ),
];

const KIB: u64 = 1 << 10;

fn unlimited(config: &mut Config) {
    config.max_message_size = usize::MAX;
    config.max_fragments = u32::MAX;
}

fn fr_027_a_huge_length_reserves_nothing() {
    // A length that no memory could hold is refused where `usize` has 32 bits, whatever the limits are.
    let len = ((1 << 63) - 1).min(usize::MAX as u64);
    for role in ROLES {
        for first in [TEXT, BINARY, FIN | TEXT, FIN | BINARY] {
            let mut end = End::new(role, &config(unlimited));
            let header = frames::header(first, len, end.key());
            let zeros = end.key().unwrap_or_default().repeat(25);
            let memory = measure(|| {
                end.feed(&header);
                end.feed(&zeros);
            });
            assert_eq!(end.errors, []);
            assert!(memory.bytes_max <= 32 * KIB, "{memory:?}");
            assert!(memory.bytes_current <= 4 * KIB as i64, "{memory:?}");
        }
    }
}

fn fr_031_announced_lengths_cost_no_memory() {
    const COUNT: usize = 10_000;
    for role in ROLES {
        let config = config(|_| {});
        let mut ends = Vec::with_capacity(COUNT);
        let memory = measure(|| {
            for _ in 0..COUNT {
                let mut end = End::new(role, &config);
                let header = frames::header(0x82, config.max_message_size as u64 - 1, end.key());
                end.feed(&header);
                assert_eq!(end.errors, []);
                ends.push(end);
            }
        });
        assert!(memory.bytes_max <= COUNT as u64 * 8 * KIB, "{memory:?}");
    }
}

fn fr_053_endless_empty_fragments_are_counted() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        let max = 16_384;
        let memory = measure(|| {
            end.frame(TEXT, "");
            for _ in 1..max {
                end.frame(CONTINUATION, "");
            }
        });
        assert_eq!(end.errors, []);
        assert!(memory.bytes_current <= 4 * KIB as i64, "{memory:?}");

        // One more is one too many.
        end.frame(CONTINUATION, "");
        assert_eq!(end.errors.len(), 1);
        let fragments = end.wire(CONTINUATION, "").repeat(10_000);
        let memory = measure(|| (0..1000).for_each(|_| end.feed(&fragments)));
        let error = ConnectionError::Protocol(ProtocolError::TooManyFragments { max });
        assert_eq!(end.errors, [error]);
        assert_eq!(end.events, []);
        assert_eq!(end.closes(), [CloseCode::POLICY_VIOLATION.get()]);
        assert!(memory.bytes_max <= 64 * KIB, "{memory:?}");
    }
}

fn fr_054_small_fragments_cost_no_object_each() {
    const COUNT: usize = 1 << 20;
    for role in ROLES {
        let mut end = End::new(role, &config(|config| config.max_fragments = u32::MAX));
        let first = end.wire(BINARY, "a");
        let next = end.wire(CONTINUATION, "a");
        let last = end.wire(FIN | CONTINUATION, "a");
        let wire = next.len() * COUNT;
        let memory = measure(|| {
            end.copy(&first);
            for _ in 2..COUNT {
                end.copy(&next);
            }
            end.copy(&last);
        });
        assert_eq!(end.events.len(), 1);
        assert!(matches!(&end.events[0], Event::Data(message) if message.len() == COUNT));
        assert!(memory.bytes_max <= 2 * wire as u64 + 4 * KIB, "{memory:?}");
        // A delivered message pins no more than the buffer that it grew in.
        assert!(memory.bytes_current <= 2 * COUNT as i64, "{memory:?}");
    }
}

fn fr_056_a_million_messages_are_taken_in_bounded_steps() {
    for role in ROLES {
        let End { mut conn, role, .. } = End::with_defaults(role);
        let input = Frame::text("").from(other(role)).repeat(1_000_000);
        let (mut rest, mut count) = (input.as_slice(), 0);
        while !rest.is_empty() {
            let taken = conn.receive(rest);
            assert!((1..=64 << 10).contains(&taken), "{taken} bytes at a time");
            rest = &rest[taken..];
            count += drain(&mut conn);
        }
        assert_eq!(count, 1_000_000);
    }
}

/// Returns how many empty texts are delivered.
fn drain(conn: &mut Connection) -> usize {
    let mut count = 0;
    while let Some(event) = conn.poll_event().expect("valid frames") {
        assert_eq!(event, Event::Data("".into()));
        count += 1;
    }
    count
}

fn fr_057_pings_to_a_stuck_peer_queue_no_more_than_three_frames() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        end.writable = false;
        end.events.reserve(512);
        let pings = end.wire(PING, [b'p'; 125]).repeat(500);
        let memory = measure(|| {
            for _ in 0..2000 {
                end.feed(&pings);
                assert_eq!(end.events.len(), 500);
                end.events.clear();
            }
            end.frame(0x89, "last");
        });
        assert!(memory.bytes_current <= 8 * KIB as i64, "{memory:?}");
        end.writable = true;
        end.write();
        let sent = end.sent();
        assert!(sent.len() <= 3, "{} frames", sent.len());
        assert!(sent.iter().all(|frame| frame.first == PONG));
        assert_eq!(sent.last().expect("a Pong").payload, b"last");
    }
}

fn fr_058_unsolicited_pongs_cost_nothing() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        end.events.reserve(512);
        let pongs = end.wire(PONG, [b'p'; 125]).repeat(500);
        let memory = measure(|| {
            for _ in 0..2000 {
                end.feed(&pongs);
                assert_eq!(end.events.len(), 500);
                end.events.clear();
            }
        });
        assert!(end.out.is_empty());
        assert_eq!(end.errors, []);
        assert!(memory.bytes_current <= 64 * KIB as i64, "{memory:?}");
        end.frame(0x81, "alive");
        assert_eq!(end.events, [Event::Data("alive".into())]);
    }
}
