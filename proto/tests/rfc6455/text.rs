//! §8.1: text is UTF-8.

use std::str;

use bowline_proto::{ConnectionError, Event, Message, ProtocolError, Role};
use testing::{
    ends::{BOTH, End, config, connection},
    frames::{FIN, Frame, TEXT},
    polls::Polls,
};

use crate::{close_code, fails};

/// Checks the verdict of a fresh connection on one text message, and on the same message in two reads, in two
/// frames, and in pieces. They must agree with `core`.
fn judge(bytes: &[u8], cuts: &[usize]) {
    let expected = str::from_utf8(bytes).ok();
    let key = Some([0; 4]);
    let check = |got: Result<Option<Event>, ConnectionError>, how: &str| match (expected, got) {
        (Some(whole), Ok(Some(Event::Data(message)))) => {
            assert_eq!(message.as_text(), Some(whole), "{how}");
        }
        (None, Err(ConnectionError::Protocol(ProtocolError::Utf8))) => {}
        (_, got) => panic!("{bytes:x?} {how}: {got:?}"),
    };
    CONFIG.with(|config| {
        let mut conn = connection(Role::Server, config);
        conn.receive(&Frame::text(bytes).encode(key));
        check(conn.poll_event(), "whole");
        for &cut in cuts {
            let mut conn = connection(Role::Server, config);
            let wire = Frame::text(bytes).encode(key);
            let at = wire.len() - bytes.len() + cut;
            conn.receive(&wire[..at]);
            let mut got = conn.poll_event();
            if got == Ok(None) {
                conn.receive(&wire[at..]);
                got = conn.poll_event();
            }
            check(got, "in two reads");
            let mut conn = connection(Role::Server, config);
            conn.receive(&Frame::new(TEXT, &bytes[..cut]).encode(key));
            conn.receive(&Frame::new(FIN, &bytes[cut..]).encode(key));
            check(conn.poll_event(), "in two frames");
        }
    });
}

thread_local! {
    static CONFIG: std::sync::Arc<bowline_proto::Config> = config(|_| {});
}

#[test]
fn s8_1_every_bad_octet_at_every_position_of_ascii() {
    for position in 0..=130 {
        for octet in 0x80..=0xFF {
            let mut bytes = [b'a'; 131];
            bytes[position] = octet;
            let cuts: &[usize] = if octet % 16 == 0 { &[position] } else { &[] };
            judge(&bytes, cuts);
        }
        judge(&[b'a'; 131][position..], &[]);
    }
}

#[test]
fn s8_1_every_pair_of_octets() {
    for first in 0x80..=0xFF {
        for second in 0..=0xFF {
            let cuts: &[usize] = if second % 16 == 0 { &[1] } else { &[] };
            judge(&[first, second], cuts);
        }
    }
}

#[test]
fn s8_1_every_lead_with_continuations_at_their_borders() {
    let borders = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xFF];
    for first in 0xE0..=0xF8 {
        for second in borders {
            for third in borders {
                judge(&[b'x', first, second, third], &[2, 3]);
                for fourth in [0x7F, 0x80, 0xBF, 0xC0] {
                    judge(&[first, second, third, fourth], &[2, 3]);
                }
            }
        }
    }
}

#[test]
fn s8_1_every_character_of_two_and_three_octets_at_every_offset() {
    let characters = ('\u{80}'..='\u{FFFF}').collect::<String>();
    for offset in 0..64 {
        let mut all = "a".repeat(offset);
        all.push_str(&characters);
        whole_and_in_pieces(&all, 4093 + offset);
    }
}

#[test]
fn s8_1_every_character_of_four_octets() {
    let characters = ('\u{10000}'..=char::MAX).collect::<String>();
    for offset in 0..4 {
        let mut all = "a".repeat(offset);
        all.push_str(&characters[..1 << 20]);
        whole_and_in_pieces(&all, 8191);
        all.truncate(offset);
        all.push_str(&characters[characters.len() - (1 << 20)..]);
        whole_and_in_pieces(&all, 8191);
    }
}

/// Receives text in pieces of `step` octets, so that characters are cut everywhere.
fn whole_and_in_pieces(all: &str, step: usize) {
    let mut end = End::with(Role::Client, |config| config.max_message_size = 8 << 20);
    let wire = Frame::text(all).from(Role::Server);
    let mut events = Vec::new();
    for part in wire.chunks(step) {
        end.receive(part);
        events.extend(end.events());
    }
    let [Ok(Event::Data(Message::Text(got)))] = &events[..] else {
        panic!("{} events", events.len());
    };
    assert!(got.as_str() == all);
}

#[test]
fn s8_1_a_character_cut_at_the_end_of_a_message_fails_it() {
    for character in ["ß", "€", "𝄞"] {
        for before in 0..=70 {
            let whole = ["a".repeat(before).as_str(), character].concat();
            for missing in 1..character.len() {
                let bytes = &whole.as_bytes()[..whole.len() - missing];
                judge(bytes, &[before, bytes.len()]);
            }
        }
    }
}

#[test]
fn s8_1_text_that_is_not_utf_8_fails_with_1007() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(
            end.give(&[Frame::text(b"\xFF")]),
            fails(ProtocolError::Utf8)
        );
        assert_eq!(close_code(&mut end), 1007);
        let mut end = End::new(role);
        end.hear(&[Frame::text(b"\xFF")]);
        let error = ConnectionError::Protocol(ProtocolError::Utf8);
        assert_eq!(end.chunks(), [Err(error)]);
    }
}
