//! Inflating for chunks, and skipping.

use allocation_counter::measure;
use bowline_proto::{Config, ConnectionError, Event, Lost, ProtocolError, Role};
use testing::{
    ends::{
        BOTH, End, binary,
        deflate::{self, Deflater, USUAL, compressed, json},
        joined, other, payload, text,
    },
    frames::{BINARY, CONTINUATION, FIN, Frame, PING, RSV1, TEXT, wire},
    polls::Polls,
};

use crate::{
    KIB,
    bombs::{bomb, frames},
};

#[test]
fn chunks_of_a_bomb_are_small_and_hold_no_more_than_one_read() {
    let bomb = bomb(64);
    for role in BOTH {
        let mut end = deflate::end(role, USUAL, |_| {});
        let wire = compressed(BINARY, &bomb).from(other(role));
        let mut total = 0;
        let info = measure(|| {
            for part in wire.chunks(16 << 10) {
                end.receive(part);
                while let Some(Event::Data(chunk)) = end.conn.poll_chunk().unwrap() {
                    assert!(chunk.data.len() <= 16 << 10);
                    total += chunk.data.len();
                }
            }
        });
        assert_eq!(total, 64 << 20);
        assert!(info.bytes_max < 100 * KIB, "{}", info.bytes_max);
        // A skipped message holds as little.
        let mut end = deflate::end(role, USUAL, |_| {});
        let (first, rest) = wire.split_at(100);
        end.receive(first);
        assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
        let info = measure(|| {
            for part in rest.chunks(16 << 10) {
                end.receive(part);
                skip(&mut end);
            }
        });
        assert!(info.bytes_max < 100 * KIB, "{}", info.bytes_max);
        assert_eq!(end.give(&[Frame::text("next")]), [Ok(text("next"))]);
    }
}

/// Asks until there is nothing more to skip, and returns how often.
fn skip(end: &mut End) -> usize {
    let mut steps = 1;
    while {
        assert_eq!(end.conn.poll_event(), Ok(None));
        end.conn.is_skipping()
    } {
        assert!(end.conn.recv_buf().is_none(), "it is not at the end");
        steps += 1;
    }
    steps
}

#[test]
fn a_message_is_skipped_in_steps_of_a_chunk() {
    let bomb = bomb(8);
    for role in BOTH {
        for takes_chunks in [false, true] {
            // The smallest ones inflate to less than a step.
            for size in [usize::MAX, 1000, 10] {
                let mut end = deflate::end(role, USUAL, |_| {});
                let mut frames = frames(&bomb, size);
                frames.push(Frame::new(PING, "behind"));
                frames.push(Frame::text("next"));
                end.hear(&frames);
                assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
                let mut steps = 0;
                let mut event = None;
                while event.is_none() {
                    let info = measure(|| {
                        event = match takes_chunks && steps > 0 {
                            true => end.conn.poll_chunk().unwrap().map(|event| match event {
                                Event::Ping(payload) => Event::Ping(payload),
                                other => panic!("{other:?}"),
                            }),
                            false => end.conn.poll_event().unwrap(),
                        };
                    });
                    // The inflated data is allocated, and dropped.
                    assert!(info.bytes_total < 64 * KIB, "{}", info.bytes_total);
                    assert_eq!(end.conn.is_skipping(), event.is_none());
                    steps += 1;
                }
                assert!((505..=512).contains(&steps), "{steps} for {size}");
                assert_eq!(event, Some(Event::Ping(payload("behind"))));
                assert_eq!(end.events(), [Ok(text("next"))]);
            }
        }
    }
}

#[test]
fn an_end_waits_until_a_message_is_skipped_and_so_does_what_is_wrong_with_it() {
    let bomb = bomb(1);
    let content = [&vec![0; 1 << 20][..], &[0xFF]].concat();
    let no_text = Deflater::new(9, true).message(&content);
    for role in BOTH {
        // The transport ends after half of a message.
        let mut end = deflate::end(role, USUAL, |_| {});
        end.hear(&[Frame::new(RSV1 | BINARY, &bomb)]);
        assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
        assert_eq!(end.conn.poll_event(), Ok(None));
        end.conn.handle_eof();
        assert_eq!(
            skip_to_fault(&mut end),
            (62, ConnectionError::Lost(Lost::Eof))
        );
        // The last octet of a text is not a character.
        let mut end = deflate::end(role, USUAL, |_| {});
        end.hear(&[compressed(TEXT, &no_text)]);
        assert!(matches!(end.conn.poll_chunk(), Ok(Some(_))));
        let expected = ConnectionError::Protocol(ProtocolError::Utf8);
        assert_eq!(skip_to_fault(&mut end), (63, expected));
        assert!(!end.conn.is_skipping());
    }
}

/// Skips until that fails, and returns in how many steps.
fn skip_to_fault(end: &mut End) -> (usize, ConnectionError) {
    let mut steps = 0;
    loop {
        match end.conn.poll_event() {
            Ok(None) => steps += 1,
            other => return (steps, other.unwrap_err()),
        }
        assert!(end.conn.is_skipping());
    }
}

#[test]
fn a_stream_is_bounded_while_it_is_inflated() {
    let bomb = bomb(2);
    for role in BOTH {
        for max in [0, 1000, 65_536, 1_000_000] {
            for skipping in [false, true] {
                let limit = |config: &mut Config| config.max_stream_size = max;
                let mut end = deflate::end(role, USUAL, limit);
                end.hear(&[compressed(BINARY, &bomb)]);
                let mut total = 0;
                let error = loop {
                    match end.conn.poll_chunk() {
                        Ok(Some(Event::Data(chunk))) => total += chunk.data.len() as u64,
                        Err(error) => break error,
                        other => panic!("{other:?}"),
                    }
                    if skipping {
                        break skip_to_fault(&mut end).1;
                    }
                };
                let expected = ProtocolError::StreamTooBig { max };
                assert_eq!(error, ConnectionError::Protocol(expected));
                assert!(total <= max);
            }
        }
    }
}

#[test]
fn what_is_too_big_is_so_before_what_is_wrong_behind_it_however_it_is_cut() {
    let mut data = Deflater::new(6, false).message(&json(300));
    data.extend([0, 0, 0xFF, 0xFF, 0x07]); // A block of an unknown type.
    for role in BOTH {
        for (max, expected) in [
            (100, ProtocolError::MessageTooBig { max: 100 }),
            (10_000, ProtocolError::Deflate),
        ] {
            let wire = wire(&[compressed(BINARY, &data)], other(role));
            for cut in [1, 7, 100, usize::MAX] {
                let limit = |config: &mut Config| config.max_message_size = max;
                let mut end = deflate::end(role, USUAL, limit);
                let mut events = Vec::new();
                for part in wire.chunks(cut.min(wire.len())) {
                    end.receive(part);
                    events.extend(end.events());
                }
                let expected = [Err(ConnectionError::Protocol(expected))];
                assert_eq!(events, expected, "in pieces of {cut}");
            }
        }
    }
}

#[test]
fn a_message_of_which_nothing_was_given_out_can_still_be_had_whole() {
    for role in BOTH {
        let content = json(200_000);
        let data = Deflater::new(6, false).message(&content);
        let (one, two) = data.split_at(data.len() / 2);
        // Whole messages first: everything gathered comes in one chunk.
        let mut end = deflate::end(role, USUAL, |_| {});
        assert_eq!(end.give(&[Frame::new(RSV1 | BINARY, one)]), []);
        end.hear(&[Frame::new(FIN | CONTINUATION, two)]);
        let (events, _) = joined(end.chunks());
        assert!(events == [Ok(binary(content.clone()))]);
        // By then all or nearly all of the inflated data is in blocks of 16 KiB.
        for len in [1, 2].map(|blocks| blocks << 14) {
            for content in [len - 1, len, len + 1, len + 50].map(json) {
                let data = Deflater::new(6, false).message(&content);
                let (one, two) = data.split_at(data.len() - 1);
                let mut end = deflate::end(role, USUAL, |_| {});
                assert_eq!(end.give(&[Frame::new(RSV1 | BINARY, one)]), []);
                end.hear(&[Frame::new(FIN | CONTINUATION, two)]);
                let (events, _) = joined(end.chunks());
                assert!(events == [Ok(binary(content))]);
            }
        }
        // Chunks first, but none came.
        let mut end = deflate::end(role, USUAL, |_| {});
        end.hear(&[Frame::new(RSV1 | BINARY, "")]);
        assert_eq!(end.chunks(), []);
        end.hear(&[Frame::new(FIN | CONTINUATION, data)]);
        assert!(end.events() == [Ok(binary(content))]);
    }
}

#[test]
fn a_small_message_that_is_kept_pins_no_large_block() {
    let mut end = deflate::end(Role::Server, USUAL, |_| {});
    let data = Deflater::new(6, false).message(&[7; 100]);
    end.give(&[compressed(BINARY, &data)]);
    let mut kept = Vec::new();
    let bytes = measure(|| {
        for _ in 0..100 {
            end.hear(&[compressed(BINARY, &data)]);
            kept.push(end.conn.poll_event().unwrap());
        }
        assert_eq!(end.events(), []);
    })
    .bytes_current;
    assert!(bytes < 100 * 300, "{bytes} for 100 messages of 100");
}
