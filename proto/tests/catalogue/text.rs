//! Text (RFC 6455 §8.1) that a table cannot describe: every byte at every place.

use bowline_proto::{CloseCode, ConnectionError, Event, ProtocolError, Role};
use testing::{
    ends::other,
    frames::{CONTINUATION, Frame, TEXT},
};

use crate::{
    Test,
    driver::{End, ROLES, config},
};

pub(crate) const TESTS: &[Test] = &[
    ("ut_032_blocks_have_no_seams", ut_032_blocks_have_no_seams),
    (
        "ut_033_four_bytes_exhaustively",
        ut_033_four_bytes_exhaustively,
    ),
    (
        "ut_035_key_phases_change_nothing",
        ut_035_key_phases_change_nothing,
    ),
];

/// Checks that the text is delivered, or fails with 1007 and nothing is delivered, as the standard library judges.
fn check(end: &End, payload: &[u8]) {
    match std::str::from_utf8(payload) {
        Ok(text) => {
            assert_eq!(end.errors, [], "{payload:x?}");
            assert_eq!(end.events, [Event::Data(text.to_owned().into())]);
        }
        Err(_) => {
            assert_eq!(end.events, [], "{payload:x?}");
            assert_eq!(end.errors, [ConnectionError::Protocol(ProtocolError::Utf8)]);
            assert_eq!(ProtocolError::Utf8.close_code(), CloseCode::INVALID_PAYLOAD);
        }
    }
}

fn ut_032_blocks_have_no_seams() {
    const LEN: usize = 131;
    let put = |at: usize, piece: &[u8]| {
        let mut payload = vec![b'a'; LEN];
        payload.splice(at..at + 1, piece.iter().copied());
        payload
    };
    let pieces = [
        &b"\xff"[..],
        b"\x80",
        b"\xc0",
        b"\xe2\x82",
        b"\xf0\x9f\x9a",
        "é".as_bytes(),
        "€".as_bytes(),
        "🚢".as_bytes(),
    ];
    for role in ROLES {
        let config = config(|_| {});
        for (at, piece) in (0..LEN).flat_map(|at| pieces.map(|piece| (at, piece))) {
            let payload = put(at, piece);
            let frame = Frame::text(&payload).from(other(role));
            let head = frame.len() - payload.len();
            // Whole, and cut before, inside and after the piece.
            for cut in [0, at, at + 1, at + 2, at + 3, at + 4] {
                let mut end = End::new(role, &config);
                let (front, back) = frame.split_at(frame.len().min(head + cut));
                end.feed(front);
                end.feed(back);
                check(&end, &payload);
            }
        }
    }
}

fn ut_033_four_bytes_exhaustively() {
    // Both ends of every range in the grammar of RFC 3629 §4.
    const BYTES: [u8; 24] = [
        0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec,
        0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
    ];
    let config = config(|_| {});
    let count = BYTES.len();
    for number in 0..count.pow(4) {
        let digit = |place: u32| BYTES[number / count.pow(place) % count];
        let payload = [digit(0), digit(1), digit(2), digit(3)];
        for cut in 1..4 {
            // A server is cheaper to create than a client; the key is zero.
            let mut input = vec![TEXT, 0x80 | cut as u8, 0, 0, 0, 0];
            input.extend_from_slice(&payload[..cut]);
            let end = 0x80 | CONTINUATION;
            input.extend_from_slice(&[end, 0x80 | (4 - cut) as u8, 0, 0, 0, 0]);
            input.extend_from_slice(&payload[cut..]);
            let mut end = End::new(Role::Server, &config);
            end.copy(&input);
            check(&end, &payload);
        }
    }
}

fn ut_035_key_phases_change_nothing() {
    let good = "κόσμε, 🚢 und ein wenig mehr".as_bytes().to_vec();
    let mut bad = good.clone();
    bad[20] = 0xff;
    let config = config(|_| {});
    for payload in [good, bad] {
        let frame = Frame::text(&payload).from(Role::Client);
        let head = frame.len() - payload.len();
        for first in 0..=payload.len() {
            for second in first..=payload.len() {
                let mut end = End::new(Role::Server, &config);
                end.feed(&frame[..head + first]);
                end.feed(&frame[head + first..head + second]);
                end.feed(&frame[head + second..]);
                check(&end, &payload);
            }
        }
    }
}
