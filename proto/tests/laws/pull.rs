//! Law 5: a message belongs to the pull method that first saw it.

use bowline_proto::{Event, Kind, ProtocolError, Role};
use testing::{
    ends::{BOTH, End, binary, chunk, joined, other, payload, text},
    frames::{CONTINUATION, FIN, Frame, PING, TEXT, wire},
};

use crate::protocol;

/// Returns "größer" in fragments that cut its characters, with a Ping in between, and a message after it.
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
            assert!(rest.is_empty());
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
                // Nothing of it was given to the application, so nothing of it is lost.
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
