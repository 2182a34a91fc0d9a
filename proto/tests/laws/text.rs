//! Law 9: UTF-8 fails fast.

use bowline_proto::{Chunk, Event, Role};
use testing::{
    ends::{BOTH, End, other},
    frames::{self, CONTINUATION, FIN, Frame, TEXT},
};

#[test]
fn law_9_text_fails_at_the_first_byte_that_cannot_be_right() {
    // Texts that cannot be continued, and the number of octets after which that is known.
    let cases: [(&[u8], usize); 9] = [
        (b"ab\xFF", 3),
        (b"ab\xC0\x80", 3),
        (b"ab\xC3\x28", 4),
        (b"ab\xE0\x80\x80", 4),
        (b"ab\xED\xA0\x80", 4),
        (b"ab\xE2\x82\x28", 5),
        (b"ab\xF0\x8F\x80\x80", 4),
        (b"ab\xF4\x90\x80\x80", 4),
        (b"ab\x80", 3),
    ];
    for role in BOTH {
        for (octets, known) in cases {
            for fragmented in [false, true] {
                for by_chunk in [false, true] {
                    let mut end = End::new(role);
                    let poll = |end: &mut End| match by_chunk {
                        true => end.chunks().into_iter().any(|event| event.is_err()),
                        false => end.events().into_iter().any(|event| event.is_err()),
                    };
                    // The announced payload is longer than what is sent, so more may come.
                    let key = (role == Role::Server).then_some([0; 4]);
                    if !fragmented {
                        end.receive(&frames::header(FIN | TEXT, 100, key));
                    }
                    for (i, octet) in octets.iter().enumerate() {
                        if fragmented {
                            let opcode = if i == 0 { TEXT } else { CONTINUATION };
                            end.hear(&[Frame::new(opcode, [*octet])]);
                        } else {
                            end.receive(&[*octet]);
                        }
                        assert_eq!(poll(&mut end), i + 1 == known, "{octets:x?} at {i}");
                        if i + 1 == known {
                            break;
                        }
                    }
                    assert_eq!(end.write()[0].payload[..2], 1007_u16.to_be_bytes());
                }
            }
        }
    }
}

#[test]
fn law_9_text_chunks_end_between_characters() {
    let whole = "aß€𝄞".repeat(20);
    for role in BOTH {
        for step in [1, 2, 3, 5, 7, 11] {
            let mut end = End::new(role);
            let frames: Vec<u8> = whole
                .as_bytes()
                .chunks(13)
                .enumerate()
                .map(|(i, part)| Frame::new(if i == 0 { TEXT } else { CONTINUATION }, part))
                .chain([Frame::new(FIN | CONTINUATION, "")])
                .flat_map(|frame| frame.from(other(role)))
                .collect();
            let mut got = String::new();
            let mut fins = 0;
            for part in frames.chunks(step) {
                end.receive(part);
                for event in end.chunks() {
                    let Ok(Event::Data(Chunk { data, fin })) = event else {
                        panic!("{event:?}");
                    };
                    // `Message::Text` cannot hold half a character, but nothing may be lost either.
                    got.push_str(data.as_text().unwrap());
                    fins += u32::from(fin);
                }
            }
            assert_eq!((got.as_str(), fins), (whole.as_str(), 1));
        }
    }
}
