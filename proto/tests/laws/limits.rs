//! Law 6: `max_message_size` bounds what is assembled.

use bowline_proto::{Config, ProtocolError, Role, State};
use testing::{
    ends::{BOTH, End, binary, joined, other, text},
    frames::{self, BINARY, CONTINUATION, FIN, Frame, TEXT, wire},
    polls::Polls,
};

use crate::protocol;

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
            end.receive(&frames::header(FIN | BINARY, max + 1, key));
            assert_eq!(end.events(), [Err(protocol(error))]);
        }
    }
}

/// A frame of 4 MiB: only the limit of the pull method applies.
#[test]
fn law_6_a_frame_may_be_as_large_as_who_pulls_allows() {
    const SIZE: usize = 4 << 20;
    let content: Vec<u8> = (0..SIZE).map(|i| (i % 251) as u8).collect();
    // Receives it, cut into reads, under a limit for whole messages and one for frames.
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

/// The fast path takes several messages at once for `poll_event`; those after the first may be pulled in chunks.
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

/// A message that has come whole may take the fast path; one that comes in two reads takes the parser.
#[test]
fn law_6_the_short_and_the_long_way_agree_on_every_limit() {
    type Limit = fn(&mut Config, usize);
    // For each limit, whether it holds for whole messages, and whether it holds for chunks.
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
