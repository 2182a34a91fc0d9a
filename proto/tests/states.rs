//! The memory that compression holds: the states of a connection, and the shared ones.

use std::sync::{Mutex, MutexGuard, PoisonError};

use allocation_counter::measure;
use bowline_proto::{
    Event, Kind, Prepared, Role,
    deflate::{Agreed, Deflate},
};
use bytes::Bytes;
use testing::{
    ends::{
        BOTH, End, binary, chunk, config,
        deflate::{self, Deflater, Random, USUAL, all, both, compressed, json},
    },
    frames::{BINARY, CLOSE, CONTINUATION, FIN, Frame, RSV1, TEXT},
};

const KIB: u64 = 1 << 10;

/// The number of states of each kind that are kept.
const KEPT: usize = 32;

fn ends(count: usize) -> Vec<End> {
    let end = |_| deflate::end(Role::Server, both(12, false), |_| {});
    (0..count).map(end).collect()
}

/// Each end receives half a message.
fn begin(ends: &mut [End], data: &[u8]) {
    for end in ends {
        end.give(&[Frame::new(RSV1 | BINARY, &data[..data.len() / 2])]);
    }
}

/// Locks the pool against other tests, and makes sure that all inflating states in it are in use.
fn alone(data: &[u8]) -> (MutexGuard<'static, ()>, Vec<End>) {
    static ONE: Mutex<()> = Mutex::new(());
    let guard = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut busy = ends(KEPT);
    begin(&mut busy, data);
    (guard, busy)
}

/// Returns what a connection holds after a compressed message in each direction, beyond what it held before.
fn state(options: Deflate, agreed: Agreed) -> (i64, i64) {
    let content = json(2000);
    let data = Deflater::new(6, false).message(&content);
    let _alone = alone(&data);
    let mut end = deflate::end(Role::Server, agreed, |config| {
        config.deflate = Some(options)
    });
    let sending = measure(|| {
        end.conn.send(Bytes::copy_from_slice(&content)).unwrap();
        end.write();
    })
    .bytes_current;
    let receiving = measure(|| {
        let events = end.give(&[compressed(BINARY, &data)]);
        assert_eq!(events, [Ok(binary(&content[..]))]);
    })
    .bytes_current;
    (sending, receiving)
}

#[test]
fn states_are_as_large_as_documented() {
    for (bits, memory_level, kib) in [(15, 8, 371), (12, 5, 161), (9, 1, 134)] {
        let mut options = all();
        options.memory_level = memory_level;
        let (sending, receiving) = state(options, both(bits, true));
        let sending = sending as u64 / KIB;
        assert!(
            (kib - 1..=kib + 1).contains(&sending),
            "{sending} KiB for {bits}, {memory_level}"
        );
        let receiving = receiving as u64 / KIB;
        assert!((46..=47).contains(&receiving), "{receiving} KiB");
    }
}

#[test]
fn without_takeover_connections_share_a_few_states() {
    let content = json(2000);
    let data = Deflater::new(6, false).message(&content);
    let _alone = alone(&data);
    let mut ends = ends(200);
    let round = |ends: &mut Vec<End>| {
        for end in ends {
            end.conn.send(content.clone()).unwrap();
            end.write();
            end.give(&[compressed(BINARY, &data)]);
        }
    };
    let first = measure(|| round(&mut ends)).bytes_current as u64;
    assert!(first < 512 * KIB, "{first}");
    let info = measure(|| round(&mut ends));
    assert_eq!(info.bytes_current, 0);
    // No state was allocated: 200 of 46 and of 161 KiB would be needed.
    assert!(info.bytes_total < 200 * 30 * KIB, "{}", info.bytes_total);
    // Another thread finds them.
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(measure(|| round(&mut ends)).bytes_current, 0));
    });
    // Messages in progress have one state each, and return it; not all of them are kept.
    let busy = &mut ends[..2 * KEPT];
    let under_way = measure(|| begin(busy, &data)).bytes_current;
    assert!(
        under_way as u64 > (2 * KEPT as u64 - 1) * 45 * KIB,
        "{under_way}"
    );
    let rest = &data[data.len() / 2..];
    let ended = measure(|| {
        for end in busy {
            let events = end.give(&[Frame::new(FIN | CONTINUATION, rest)]);
            assert_eq!(events.len(), 1);
        }
    })
    .bytes_current;
    let kept = (under_way + ended) as u64;
    let most = (KEPT as u64 - 1) * 48 * KIB + KIB;
    assert!(
        ((KEPT as u64 - 1) * 45 * KIB..most).contains(&kept),
        "{kept}"
    );
}

#[test]
fn without_takeover_nothing_is_held_between_messages() {
    let data = Deflater::new(6, false).message(&[7; 100_000]);
    let _alone = alone(&data);
    for role in BOTH {
        // No other test uses a state of this shape.
        let mut end = deflate::end(role, both(14, false), |_| {});
        let round = |end: &mut End| {
            end.conn.send(vec![7; 500_000]).unwrap();
            let (first, rest) = (
                Frame::new(RSV1 | TEXT, ""),
                Frame::new(FIN | CONTINUATION, &data),
            );
            let events = end.give(&[first, rest]);
            assert!(matches!(&events[..], [Ok(Event::Data(message))] if message.len() == 100_000));
            for (payload, fin) in [(&[7; 1000][..], false), (&[], true)] {
                end.conn
                    .send_chunk(chunk(Kind::Binary, payload, fin))
                    .unwrap();
            }
            end.write();
        };
        round(&mut end);
        assert_eq!(measure(|| round(&mut end)).bytes_current, 0);
    }
}

#[test]
fn preparing_uses_the_states_that_all_share() {
    let mut options = all();
    // No other test uses this shape either.
    options.send.bits = 13;
    let config = config(|config| config.deflate = Some(options));
    let content = Bytes::from(json(3000));
    let _alone = alone(&Deflater::new(6, false).message(&content));
    drop(Prepared::new(content.clone(), &config));
    let info = measure(|| drop(Prepared::new(content.clone(), &config)));
    assert!(info.bytes_total < 16 * KIB, "{}", info.bytes_total);
}

#[test]
fn without_takeover_a_message_that_does_not_shrink_leaves_nothing_behind() {
    let _alone = alone(&Deflater::new(6, false).message(&json(2000)));
    let mut random = Random(7);
    // More than one step of compression.
    let noise: Vec<u8> = (0..100_000).map(|_| random.draw() as u8).collect();
    let mut ends = ends(40);
    let held = measure(|| {
        for end in &mut ends {
            end.conn.send(noise.clone()).unwrap();
            assert_eq!(end.write(), [Frame::binary(&noise)]);
        }
    })
    .bytes_current;
    // One state is kept for the next connection, shared by all.
    assert!(held < 512 * KIB as i64, "{held}");
}

#[test]
fn with_takeover_a_state_lives_as_long_as_its_connection() {
    let content = json(2000);
    let data = Deflater::new(6, false).message(&content);
    let _alone = alone(&data);
    let total = measure(|| {
        for i in 0..20 {
            let mut end = deflate::end(Role::Server, USUAL, |_| {});
            end.conn.send(content.clone()).unwrap();
            end.write();
            end.give(&[compressed(BINARY, &data)]);
            // After a Close the states are not needed any more, nor after any other end.
            if i % 2 == 0 {
                end.conn.close(None);
                end.write();
                end.give(&[Frame::new(CLOSE, "")]);
            } else {
                end.conn.abort();
            }
            std::mem::forget(end);
        }
    })
    .bytes_current;
    assert!(total < 20 << 10, "{total}");
}
