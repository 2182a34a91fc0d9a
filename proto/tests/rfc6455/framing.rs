//! §5.2: the base framing protocol.

use bowline_proto::{Event, Kind, ProtocolError, Role};
use bytes::Buf;
use testing::{
    ends::{BOTH, End, binary, config, connection, other, payload, text},
    frames::{BINARY, CLOSE, FIN, Frame, PING, TEXT},
    polls::Polls,
};

use crate::{close_code, fails};

#[test]
fn s5_2_a_reserved_bit_fails_the_connection() {
    for role in BOTH {
        for rsv in [0x10, 0x20, 0x40, 0x50, 0x70] {
            for first in [FIN | TEXT, BINARY, PING] {
                let mut end = End::new(role);
                let frame = Frame::new(first | rsv, "x");
                assert_eq!(end.give(&[frame]), fails(ProtocolError::ReservedBits));
                assert_eq!(close_code(&mut end), 1002);
            }
        }
    }
}

#[test]
fn s5_2_an_unknown_opcode_fails_the_connection() {
    for role in BOTH {
        for opcode in [3, 4, 5, 6, 7, 0xB, 0xC, 0xD, 0xE, 0xF] {
            let mut end = End::new(role);
            let frame = Frame::new(FIN | opcode, "x");
            assert_eq!(end.give(&[frame]), fails(ProtocolError::Opcode(opcode)));
            assert_eq!(close_code(&mut end), 1002);
        }
    }
}

/// Returns a header whose length is written in `form` bytes: 1, 2 or 8.
fn long_header(role: Role, form: usize, len: u64) -> Vec<u8> {
    let masked = if role == Role::Server { 0x80 } else { 0 };
    let mut bytes = vec![FIN | BINARY];
    match form {
        1 => bytes.push(masked | len as u8),
        2 => {
            bytes.push(masked | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend([0; 4].iter().filter(|_| role == Role::Server));
    bytes
}

#[test]
fn s5_2_a_length_must_have_its_shortest_form() {
    for role in BOTH {
        for (form, len) in [(2, 0), (2, 125), (8, 0), (8, 125), (8, 126), (8, 65_535)] {
            let mut end = End::new(role);
            end.receive(&long_header(role, form, len));
            assert_eq!(end.events(), fails(ProtocolError::Length));
            assert_eq!(close_code(&mut end), 1002);
        }
        for (form, len) in [(1, 0), (1, 125), (2, 126), (2, 65_535), (8, 65_536)] {
            let mut end = End::new(role);
            let mut bytes = long_header(role, form, len);
            bytes.resize(bytes.len() + len as usize, 7);
            let mut events = Vec::new();
            for part in bytes.chunks(32 << 10) {
                end.receive(part);
                events.extend(end.events());
            }
            assert_eq!(events, [Ok(binary(vec![7; len as usize]))]);
        }
    }
}

#[test]
fn s5_2_the_top_bit_of_a_64_bit_length_must_be_0() {
    for role in BOTH {
        for len in [1 << 63, u64::MAX] {
            let mut end = End::with(role, |config| config.max_message_size = usize::MAX);
            end.receive(&long_header(role, 8, len));
            assert_eq!(end.events(), fails(ProtocolError::Length));
        }
    }
}

#[test]
fn s5_2_lengths_are_written_in_their_shortest_form() {
    for role in BOTH {
        for len in [0, 1, 125, 126, 127, 65_535, 65_536, 65_537] {
            let mut end = End::new(role);
            end.conn.send(vec![7; len]).unwrap();
            // `Frame::read` refuses any other form.
            assert_eq!(end.write(), [Frame::binary(vec![7; len])]);
        }
    }
}

/// The required reaction of an endpoint after exactly two octets of a frame.
#[derive(Debug, PartialEq)]
enum Verdict {
    Fail,
    Wait,
    Event(Event),
}

/// The current message, of which nothing has come.
type Begun = Option<Kind>;

/// Written from §5.1, §5.2, §5.4 and §5.5.
fn verdict(role: Role, begun: Begun, first: u8, second: u8) -> Verdict {
    let (fin, rsv, opcode) = (first & 0x80 != 0, first & 0x70, first & 0xF);
    let (masked, len) = (second & 0x80 != 0, second & 0x7F);
    let known = matches!(opcode, 0..=2 | 8..=10);
    if rsv != 0 || !known || masked != (role == Role::Server) {
        return Verdict::Fail;
    }
    if opcode >= 8 {
        if !fin || len > 125 {
            return Verdict::Fail;
        }
    } else if (opcode == 0) != begun.is_some() {
        return Verdict::Fail;
    }
    if masked || len > 0 {
        return Verdict::Wait; // for the key, the rest of the length, the payload
    }
    match (opcode, fin) {
        (8, _) => Verdict::Event(Event::Close(None)),
        (9, _) => Verdict::Event(Event::Ping(payload(""))),
        (10, _) => Verdict::Event(Event::Pong(payload(""))),
        (_, false) => Verdict::Wait,
        (0, true) if begun == Some(Kind::Text) => Verdict::Event(text("")),
        (1, true) => Verdict::Event(text("")),
        (_, true) => Verdict::Event(binary("")),
    }
}

#[test]
fn s5_2_all_first_two_octets_in_every_state() {
    let config = config(|_| {});
    for role in BOTH {
        for begun in [None, Some(Kind::Text), Some(Kind::Binary)] {
            let opening = begun.map(|kind| match kind {
                Kind::Text => Frame::new(TEXT, "").from(other(role)),
                Kind::Binary => Frame::new(BINARY, "").from(other(role)),
            });
            for two in 0..=u16::MAX {
                let [first, second] = two.to_be_bytes();
                let mut errors = Vec::new();
                // Together, then one by one.
                for parts in [&[&[first, second][..]][..], &[&[first], &[second]]] {
                    let mut conn = connection(role, &config);
                    if let Some(opening) = &opening {
                        conn.receive(opening);
                        assert_eq!(conn.poll_event(), Ok(None));
                    }
                    let mut got = Verdict::Wait;
                    for part in parts {
                        conn.receive(part);
                        match conn.poll_event() {
                            Ok(None) => continue,
                            Ok(Some(event)) => got = Verdict::Event(event),
                            Err(error) => {
                                got = Verdict::Fail;
                                errors.push(error);
                            }
                        }
                        break;
                    }
                    let expected = verdict(role, begun, first, second);
                    assert_eq!(got, expected, "{role:?} {begun:?} {first:#x} {second:#x}");
                    if got == Verdict::Fail && role == Role::Server {
                        let transmit = conn.transmit().unwrap();
                        let close = transmit.chunk();
                        assert_eq!((close[0], &close[2..4]), (CLOSE, &[0x03, 0xEA][..]));
                    }
                }
                // Of several faults the same one is reported.
                assert!(errors.windows(2).all(|two| two[0] == two[1]), "{errors:?}");
            }
        }
    }
}
