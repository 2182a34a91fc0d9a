//! RFC 6455 §5 to §10: a test for each MUST and SHOULD that binds an endpoint, named by its section.
//! The opening handshake (§4) is in handshake.rs; the table of all of them in tests/README.md.

mod support;

use std::str;

use bowline_proto::{
    CloseCode, CloseFrame, Event, Initiator, Kind, Lost, Message, ProtocolError, RecvError, Role,
    SendError, State,
};
use bytes::{Buf, Bytes};
use support::{
    BINARY, BOTH, CLOSE, CONTINUATION, End, FIN, Frame, PING, PONG, TEXT, binary, chunk,
    close_frame, config, connection, joined, other, payload, text,
};

fn fails(error: ProtocolError) -> [Result<Event, RecvError>; 1] {
    [Err(RecvError::Protocol(error))]
}

/// The code in the Close that is written.
fn close_code(end: &mut End) -> u16 {
    let frames = end.write();
    let close = frames.last().expect("a Close");
    assert_eq!(close.first, CLOSE);
    u16::from_be_bytes(close.payload[..2].try_into().unwrap())
}

// ---- §5.1 Overview: masking by role -------------------------------------------------------------

#[test]
fn s5_1_a_client_masks_every_frame() {
    let mut end = End::with(Role::Client, |config| config.send_frame_size = Some(2000));
    end.conn.send("text").unwrap();
    end.conn.send("").unwrap();
    end.conn.send(vec![7; 5000]).unwrap();
    end.conn.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
    end.conn.ping(payload("p")).unwrap();
    end.conn.send_chunk(chunk(Kind::Text, "b", true)).unwrap();
    end.conn.pong(payload("p")).unwrap();
    end.give(&[Frame::new(PING, "?")]);
    end.conn.close(Some(close_frame(1000, "bye")));
    // `Frame::read` refuses an unmasked frame from a client.
    let frames = end.write();
    assert_eq!(frames.len(), 11);
    assert_eq!(frames[0], Frame::text("text"));
}

#[test]
fn s5_1_a_server_masks_no_frame() {
    let mut end = End::with(Role::Server, |config| config.send_frame_size = Some(2000));
    end.conn.send("text").unwrap();
    end.conn.send(vec![7; 5000]).unwrap();
    end.conn.ping(payload("p")).unwrap();
    end.conn.close(Some(close_frame(1000, "bye")));
    // `Frame::read` refuses a masked frame from a server.
    assert_eq!(end.write().len(), 6);
}

#[test]
fn s5_1_a_server_refuses_an_unmasked_frame() {
    for frame in [
        Frame::text("a"),
        Frame::new(PING, ""),
        Frame::new(CLOSE, ""),
    ] {
        let mut end = End::new(Role::Server);
        end.receive(&frame.encode(None));
        assert_eq!(end.events(), fails(ProtocolError::Unmasked));
        assert_eq!(close_code(&mut end), 1002);
    }
}

#[test]
fn s5_1_a_client_refuses_a_masked_frame() {
    for frame in [
        Frame::text("a"),
        Frame::new(PING, ""),
        Frame::new(CLOSE, ""),
    ] {
        let mut end = End::new(Role::Client);
        end.receive(&frame.encode(Some(Frame::KEY)));
        assert_eq!(end.events(), fails(ProtocolError::Masked));
        assert_eq!(close_code(&mut end), 1002);
    }
}

// ---- §5.2 Base framing protocol -----------------------------------------------------------------

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

/// A header whose length is written in `form` bytes: 1, 2 or 8.
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

/// What an endpoint has to do after exactly two octets of a frame.
#[derive(Debug, PartialEq)]
enum Verdict {
    Fail,
    Wait,
    Event(Event),
}

/// The message that is under way, with nothing in it.
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
                // Of several faults the same one is told.
                assert!(errors.windows(2).all(|two| two[0] == two[1]), "{errors:?}");
            }
        }
    }
}

// ---- §5.3 Client-to-server masking --------------------------------------------------------------

#[test]
fn s5_3_every_frame_has_a_fresh_key() {
    let mut end = End::with(Role::Client, |config| config.send_frame_size = Some(10));
    end.conn.send(vec![0; 5000]).unwrap();
    let bytes = end.write_some(usize::MAX, true);
    // The payload is all zero, so that it is its key, over and over.
    let keys: Vec<&[u8]> = bytes.chunks(16).map(|frame| &frame[2..6]).collect();
    assert_eq!(keys.len(), 500);
    assert_eq!(
        bytes
            .chunks(16)
            .map(|frame| &frame[6..10])
            .collect::<Vec<_>>(),
        keys
    );
    let mut distinct = keys.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert!(distinct.len() > 495, "{} of 500", distinct.len());
}

#[test]
fn s5_3_keys_come_from_the_applications_source_of_entropy() {
    let mut end = End::with(Role::Client, |config| {
        config.entropy = |bytes| {
            bytes.fill(0xA5);
            Ok(())
        };
    });
    end.conn.send("x").unwrap();
    assert_eq!(
        end.write_some(usize::MAX, true),
        [0x81, 0x81, 0xA5, 0xA5, 0xA5, 0xA5, b'x' ^ 0xA5]
    );
}

#[test]
fn s5_3_masking_is_undone_at_every_phase_of_the_key() {
    let whole: String = "aß€𝄞".repeat(8);
    for (i, _) in whole.char_indices() {
        for first in 0..=17.min(i) {
            let mut end = End::new(Role::Server);
            // The cut moves the key's phase between two frames, then within one.
            let (a, b) = whole.as_bytes()[..i].split_at(first);
            let frames = [Frame::new(TEXT, a), Frame::new(FIN | CONTINUATION, b)];
            assert_eq!(end.give(&frames), [Ok(text(&whole[..i]))]);
            let bytes = Frame::text(&whole[..i]).from(Role::Client);
            let (a, b) = bytes.split_at((6 + first).min(bytes.len()));
            end.receive(a);
            let mut events = end.events();
            end.receive(b);
            events.extend(end.events());
            assert_eq!(events, [Ok(text(&whole[..i]))]);
        }
    }
}

#[test]
fn s5_3_masking_is_applied_at_every_phase_of_the_key() {
    for piece in [1, 2, 3, 5, 6, 7] {
        for len in 0..70 {
            let mut end = End::with(Role::Client, |config| config.send_frame_size = Some(piece));
            let body: Vec<u8> = (0..len).collect();
            end.conn.send(body.clone()).unwrap();
            let written: Vec<u8> = end.write().into_iter().flat_map(|f| f.payload).collect();
            assert_eq!(written, body);
        }
    }
}

#[test]
fn s5_3_what_the_application_keeps_is_not_masked_under_its_hands() {
    for (offset, len) in [(0, 100), (0, 10_000), (3, 9_000), (0, 200_000)] {
        let shared = Bytes::from(vec![7; len]);
        let mut end = End::new(Role::Client);
        end.conn.send(shared.slice(offset..)).unwrap();
        end.conn.send(shared.clone()).unwrap();
        let frames = end.write();
        assert_eq!(frames[0], Frame::binary(vec![7; len - offset]));
        assert_eq!(frames[1], Frame::binary(vec![7; len]));
        assert!(shared.iter().all(|octet| *octet == 7));
    }
}

// ---- §5.4 Fragmentation -------------------------------------------------------------------------

#[test]
fn s5_4_fragmented_and_unfragmented_messages_are_received() {
    for role in BOTH {
        let frames = [
            Frame::text("whole"),
            Frame::new(TEXT, "in "),
            Frame::new(CONTINUATION, "three "),
            Frame::new(FIN | CONTINUATION, "parts"),
            Frame::new(BINARY, ""),
            Frame::new(FIN | CONTINUATION, ""),
        ];
        assert_eq!(
            End::new(role).give(&frames),
            [
                Ok(text("whole")),
                Ok(text("in three parts")),
                Ok(binary(""))
            ]
        );
    }
}

#[test]
fn s5_4_control_frames_come_between_fragments() {
    for role in BOTH {
        let mut end = End::new(role);
        let frames = [
            Frame::new(BINARY, "a"),
            Frame::new(PING, "1"),
            Frame::new(CONTINUATION, "b"),
            Frame::new(PONG, "2"),
            Frame::new(FIN | CONTINUATION, "c"),
            Frame::new(TEXT, "d"),
            Frame::close(1000, ""),
        ];
        assert_eq!(
            end.give(&frames),
            [
                Ok(Event::Ping(payload("1"))),
                Ok(Event::Pong(payload("2"))),
                Ok(binary("abc")),
                Ok(Event::Close(Some(close_frame(1000, ""))))
            ]
        );
    }
}

#[test]
fn s5_4_a_continuation_of_nothing_fails_the_connection() {
    for role in BOTH {
        for first in [CONTINUATION, FIN | CONTINUATION] {
            for before in [&[][..], &[Frame::text("whole")], &[Frame::new(PING, "")]] {
                let mut end = End::new(role);
                end.give(before);
                let frame = Frame::new(first, "x");
                assert_eq!(end.give(&[frame]), fails(ProtocolError::Continuation));
                assert_eq!(close_code(&mut end), 1002);
            }
        }
    }
}

#[test]
fn s5_4_fragments_of_two_messages_are_not_interleaved() {
    for role in BOTH {
        for first in [TEXT, FIN | TEXT, BINARY, FIN | BINARY] {
            let mut end = End::new(role);
            end.give(&[Frame::new(TEXT, "begun"), Frame::new(PING, "")]);
            let frame = Frame::new(first, "x");
            assert_eq!(end.give(&[frame]), fails(ProtocolError::Interleaved));
        }
    }
}

#[test]
fn s5_4_a_sender_fragments_with_one_opcode_and_one_fin() {
    for role in BOTH {
        let mut end = End::new(role);
        for (piece, fin) in [("a", false), ("", false), ("b", false), ("c", true)] {
            end.conn.send_chunk(chunk(Kind::Text, piece, fin)).unwrap();
        }
        assert_eq!(
            end.write(),
            [
                Frame::new(TEXT, "a"),
                Frame::new(CONTINUATION, ""),
                Frame::new(CONTINUATION, "b"),
                Frame::new(FIN | CONTINUATION, "c")
            ]
        );
    }
}

#[test]
fn s5_4_a_sender_does_not_interleave_messages() {
    let mut end = End::new(Role::Server);
    end.conn.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
    assert_eq!(end.conn.send("b"), Err(SendError::Unfinished));
    assert_eq!(
        end.conn.send_chunk(chunk(Kind::Binary, "b", true)),
        Err(SendError::KindChanged),
        "all fragments are of the type of the first"
    );
}

#[test]
fn s5_4_fragments_are_delivered_in_the_order_sent() {
    for role in BOTH {
        let mut frames: Vec<_> = (0..200_u8).map(|i| Frame::new(CONTINUATION, [i])).collect();
        frames[0].first = BINARY;
        frames[199].first = FIN | CONTINUATION;
        let mut end = End::new(role);
        end.hear(&frames);
        assert_eq!(
            joined(end.chunks()).0,
            [Ok(binary((0..200).collect::<Vec<u8>>()))]
        );
    }
}

// ---- §5.5 Control frames ------------------------------------------------------------------------

#[test]
fn s5_5_a_control_frame_has_at_most_125_bytes() {
    for role in BOTH {
        for first in [CLOSE, PING, PONG] {
            for len in [126, 127, 65_536] {
                let mut end = End::new(role);
                let key = (role == Role::Server).then_some(Frame::KEY);
                end.receive(&Frame::header(first, len, key));
                assert_eq!(end.events(), fails(ProtocolError::ControlTooLong));
                assert_eq!(close_code(&mut end), 1002);
            }
        }
        let mut end = End::new(role);
        let longest = [b'x'; 125];
        assert_eq!(
            end.give(&[Frame::new(PING, longest), Frame::new(PONG, longest)]),
            [
                Ok(Event::Ping(payload(longest))),
                Ok(Event::Pong(payload(longest)))
            ]
        );
        assert_eq!(end.write(), [Frame::new(PONG, longest)]);
        let reason = "x".repeat(123);
        assert_eq!(
            end.give(&[Frame::close(1000, &reason)]),
            [Ok(Event::Close(Some(close_frame(1000, &reason))))]
        );
        assert_eq!(end.write(), [Frame::close(1000, &reason)]);
    }
}

#[test]
fn s5_5_a_control_frame_is_not_fragmented() {
    for role in BOTH {
        for first in [CLOSE, PING, PONG] {
            let mut end = End::new(role);
            let frame = Frame::new(first & !FIN, "");
            assert_eq!(end.give(&[frame]), fails(ProtocolError::FragmentedControl));
            assert_eq!(close_code(&mut end), 1002);
        }
    }
}

#[test]
fn s5_5_every_length_of_control_payload_arrives_at_every_cut() {
    for role in BOTH {
        for len in (0..=125).step_by(5) {
            let bytes = Frame::new(PING, vec![b'x'; len]).from(other(role));
            for cut in 0..bytes.len() {
                let mut end = End::new(role);
                end.receive(&bytes[..cut]);
                assert_eq!(end.events(), []);
                end.receive(&bytes[cut..]);
                assert_eq!(end.events(), [Ok(Event::Ping(payload(vec![b'x'; len])))]);
            }
        }
    }
}

#[test]
fn s5_5_a_control_frame_that_is_too_long_cannot_be_sent() {
    let error = CloseFrame::new(CloseCode::NORMAL, "x".repeat(124)).unwrap_err();
    assert_eq!((error.len, error.max), (124, 123));
    assert!(bowline_proto::ControlPayload::new(vec![0; 126]).is_err());
}

// ---- §5.5.1 Close -------------------------------------------------------------------------------

#[test]
fn s5_5_1_a_body_begins_with_a_code() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(
            end.give(&[Frame::new(CLOSE, [3])]),
            fails(ProtocolError::CloseBody)
        );
        assert_eq!(close_code(&mut end), 1002);
        let mut end = End::new(role);
        assert_eq!(end.give(&[Frame::new(CLOSE, "")]), [Ok(Event::Close(None))]);
        let mut end = End::new(role);
        assert_eq!(
            end.give(&[Frame::new(CLOSE, [0x0F, 0xA0, b'o', b'k'])]),
            [Ok(Event::Close(Some(close_frame(4000, "ok"))))]
        );
    }
}

#[test]
fn s5_5_1_a_reason_is_utf_8() {
    for role in BOTH {
        for bad in [&b"\x03\xE8\xFF"[..], b"\x03\xE8ok\xE2\x82"] {
            let mut end = End::new(role);
            assert_eq!(
                end.give(&[Frame::new(CLOSE, bad)]),
                fails(ProtocolError::Utf8)
            );
            assert_eq!(close_code(&mut end), 1007);
        }
    }
}

#[test]
fn s5_5_1_no_data_is_sent_after_a_close() {
    for role in BOTH {
        for ours in [false, true] {
            let mut end = End::new(role);
            match ours {
                true => end.conn.close(None),
                false => assert_eq!(end.give(&[Frame::new(CLOSE, "")]).len(), 1),
            }
            assert_eq!(end.conn.send("late"), Err(SendError::Closed));
            assert_eq!(
                end.conn.send_chunk(chunk(Kind::Text, "late", false)),
                Err(SendError::Closed)
            );
            assert_eq!(end.write(), [Frame::new(CLOSE, "")]);
            assert_eq!(end.conn.send("later"), Err(SendError::Closed));
            assert_eq!(end.write(), []);
        }
    }
}

#[test]
fn s5_5_1_a_close_is_answered_once_with_its_code() {
    for role in BOTH {
        for close in [
            Frame::new(CLOSE, ""),
            Frame::close(1000, ""),
            Frame::close(4999, "why"),
        ] {
            let mut end = End::new(role);
            let close = [close];
            assert_eq!(end.give(&close).len(), 1);
            assert_eq!(end.write(), close);
            end.hear(&close);
            assert_eq!(end.events(), []);
            assert_eq!(end.write(), []);
        }
    }
}

#[test]
fn s5_5_1_a_close_is_not_answered_after_our_own() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.close(Some(close_frame(1001, "")));
        assert_eq!(end.write(), [Frame::close(1001, "")]);
        assert_eq!(end.give(&[Frame::close(1000, "")]).len(), 1);
        assert_eq!(end.write(), []);
    }
}

#[test]
fn s5_5_1_both_ends_may_close_at_the_same_time() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.close(Some(close_frame(1001, "")));
        assert!(end.conn.transmit().is_some(), "on its way, not gone");
        assert_eq!(end.give(&[Frame::close(1000, "")]).len(), 1);
        assert_eq!(end.write(), [Frame::close(1001, "")], "one Close");
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        assert!(end.conn.closed().unwrap().clean);
    }
}

// ---- §5.5.2 Ping, §5.5.3 Pong -------------------------------------------------------------------

#[test]
fn s5_5_2_a_ping_is_answered_by_a_pong_with_its_payload() {
    for role in BOTH {
        for body in [&b""[..], b"x", &[0xFF; 125]] {
            let mut end = End::new(role);
            assert_eq!(
                end.give(&[Frame::new(PING, body)]),
                [Ok(Event::Ping(payload(body)))]
            );
            assert_eq!(end.write(), [Frame::new(PONG, body)]);
        }
    }
}

#[test]
fn s5_5_2_a_ping_inside_a_message_is_answered_before_it_ends() {
    let mut end = End::new(Role::Server);
    end.give(&[Frame::new(TEXT, "begun"), Frame::new(PING, "?")]);
    assert_eq!(end.write(), [Frame::new(PONG, "?")]);
}

#[test]
fn s5_5_2_no_pong_is_sent_after_a_close_was_received() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.reply_to_close = false);
        end.give(&[Frame::new(CLOSE, ""), Frame::new(PING, "?")]);
        assert_eq!(end.write(), []);
    }
}

#[test]
fn s5_5_3_only_the_latest_of_many_pings_need_be_answered() {
    for role in BOTH {
        let mut end = End::new(role);
        let pings: Vec<_> = (0..50_u8).map(|i| Frame::new(PING, [i])).collect();
        end.hear(&pings);
        let mut polled = 0;
        while let Some(event) = end.conn.poll_event().unwrap() {
            assert!(matches!(event, Event::Ping(_)));
            polled += 1;
        }
        assert_eq!(polled, 50);
        assert_eq!(end.write().last(), Some(&Frame::new(PONG, [49])));
    }
}

#[test]
fn s5_5_3_an_unsolicited_pong_is_not_answered() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(
            end.give(&[Frame::new(PONG, "beat")]),
            [Ok(Event::Pong(payload("beat")))]
        );
        assert_eq!(end.write(), []);
        assert_eq!(end.conn.state(), State::Open);
    }
}

#[test]
fn s5_5_3_an_unsolicited_pong_can_be_sent() {
    let mut end = End::new(Role::Client);
    end.conn.pong(payload("beat")).unwrap();
    assert_eq!(end.write(), [Frame::new(PONG, "beat")]);
}

// ---- §5.6 Data frames, §5.7 Examples ------------------------------------------------------------

#[test]
fn s5_6_text_is_text_and_binary_is_anything() {
    for role in BOTH {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(
            End::new(role).give(&[Frame::text("ä"), Frame::binary(&all)]),
            [Ok(text("ä")), Ok(binary(all))]
        );
    }
}

#[test]
fn s5_6_a_character_may_be_cut_between_frames() {
    let whole = "𝄞€";
    for role in BOTH {
        for cut in 0..=whole.len() {
            let (a, b) = whole.as_bytes().split_at(cut);
            let frames = [Frame::new(TEXT, a), Frame::new(FIN | CONTINUATION, b)];
            assert_eq!(End::new(role).give(&frames), [Ok(text(whole))]);
        }
    }
}

#[test]
fn s5_7_the_examples_are_understood() {
    let mut client = End::new(Role::Client);
    client.receive(&[0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]);
    client.receive(&[0x01, 0x03, 0x48, 0x65, 0x6C, 0x80, 0x02, 0x6C, 0x6F]);
    client.receive(&[0x89, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]);
    client.receive(&[[0x82, 0x7E, 0x01, 0x00].as_slice(), &[7; 256]].concat());
    let mut events = client.events();
    client.receive(&[0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0]);
    client.receive(&[7; 32 << 10]);
    events.extend(client.events());
    client.receive(&[7; 32 << 10]);
    events.extend(client.events());
    assert_eq!(
        events,
        [
            Ok(text("Hello")),
            Ok(text("Hello")),
            Ok(Event::Ping(payload("Hello"))),
            Ok(binary([7; 256])),
            Ok(binary([7; 65_536]))
        ]
    );
    let mut server = End::new(Role::Server);
    server.receive(&[
        0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58,
    ]);
    server.receive(&[
        0x8A, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58,
    ]);
    assert_eq!(
        server.events(),
        [Ok(text("Hello")), Ok(Event::Pong(payload("Hello")))]
    );
}

#[test]
fn s5_7_the_examples_are_written() {
    let mut server = End::new(Role::Server);
    server.conn.send("Hello").unwrap();
    assert_eq!(
        server.write_some(usize::MAX, true),
        [0x81, 0x05, 0x48, 0x65, 0x6C, 0x6C, 0x6F]
    );
    let mut client = End::with(Role::Client, |config| {
        config.entropy = |bytes| {
            for key in bytes.chunks_mut(4) {
                key.copy_from_slice(&Frame::KEY);
            }
            Ok(())
        };
    });
    client.conn.send("Hello").unwrap();
    assert_eq!(
        client.write_some(usize::MAX, true),
        [
            0x81, 0x85, 0x37, 0xFA, 0x21, 0x3D, 0x7F, 0x9F, 0x4D, 0x51, 0x58
        ]
    );
}

// ---- §6.1 Sending data, §6.2 Receiving data -----------------------------------------------------

#[test]
fn s6_1_the_first_frame_has_the_opcode_and_the_last_has_fin() {
    for role in BOTH {
        for (message, opcode) in [
            (Message::from("text"), TEXT),
            (Message::from(b"data".to_vec()), BINARY),
        ] {
            for size in [None, Some(1), Some(3), Some(4)] {
                let mut end = End::with(role, |config| config.send_frame_size = size);
                end.conn.send(message.clone()).unwrap();
                let firsts: Vec<u8> = end.write().iter().map(|frame| frame.first).collect();
                assert_eq!(firsts[0] & 0xF, opcode);
                assert!(firsts[1..].iter().all(|first| first & 0xF == CONTINUATION));
                let mut fins = firsts.iter().map(|first| first & FIN != 0);
                assert_eq!(fins.clone().filter(|fin| *fin).count(), 1);
                assert_eq!(fins.next_back(), Some(true));
            }
        }
    }
}

#[test]
fn s6_1_nothing_is_sent_unless_the_connection_is_open() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.handle_eof();
        end.events();
        assert_eq!(end.conn.send("x"), Err(SendError::Closed));
        assert!(end.conn.transmit().is_none());
    }
}

#[test]
fn s6_2_a_message_is_the_payloads_of_its_frames_unmasked() {
    let mut end = End::new(Role::Server);
    let frames = [
        Frame::new(BINARY, [1, 2, 3]),
        Frame::new(CONTINUATION, [4]),
        Frame::new(FIN | CONTINUATION, [5, 6]),
    ];
    for (i, frame) in frames.iter().enumerate() {
        end.receive(&frame.encode(Some([i as u8, 0xFF, 7, 99])));
    }
    end.hear(&[Frame::text("the next")]);
    assert_eq!(
        end.events(),
        [Ok(binary([1, 2, 3, 4, 5, 6])), Ok(text("the next"))]
    );
}

// ---- §7.1 Definitions ---------------------------------------------------------------------------

#[test]
fn s7_1_1_a_server_closes_the_transport_first() {
    for ours in [false, true] {
        let mut end = End::new(Role::Server);
        if ours {
            end.conn.close(None);
            end.write();
            assert!(!end.conn.wants_shutdown(), "the peer's Close is to come");
        }
        end.give(&[Frame::new(CLOSE, "")]);
        end.write();
        assert!(end.conn.wants_shutdown());
        assert_eq!(
            end.conn.state(),
            State::Closing,
            "until the peer ends its direction"
        );
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        assert_eq!(end.conn.state(), State::Closed);
    }
}

#[test]
fn s7_1_1_a_client_waits_for_the_server_to_close_the_transport() {
    for ours in [false, true] {
        let mut end = End::new(Role::Client);
        if ours {
            end.conn.close(None);
            end.write();
        }
        end.give(&[Frame::new(CLOSE, "")]);
        end.write();
        assert!(!end.conn.wants_shutdown());
        assert_eq!(end.conn.state(), State::Closing);
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        assert!(end.conn.wants_shutdown());
        assert_eq!(end.conn.state(), State::Closed);
    }
}

#[test]
fn s7_1_2_a_close_has_the_code_and_the_reason_that_were_given() {
    for role in BOTH {
        for (frame, written) in [
            (None, Frame::new(CLOSE, "")),
            (Some(close_frame(1000, "")), Frame::close(1000, "")),
            (Some(close_frame(4000, "grün")), Frame::close(4000, "grün")),
            (Some(CloseCode::GOING_AWAY.into()), Frame::close(1001, "")),
        ] {
            let mut end = End::new(role);
            end.conn.close(frame);
            assert_eq!(end.conn.state(), State::Closing);
            assert_eq!(end.write(), [written]);
        }
    }
}

#[test]
fn s7_1_3_the_closing_handshake_begins_with_the_first_close() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(end.conn.state(), State::Open);
        end.give(&[Frame::new(CLOSE, "")]);
        assert_eq!(end.conn.state(), State::Closing);
    }
}

#[test]
fn s7_1_4_closed_cleanly_after_both_closes() {
    for role in BOTH {
        for (ours, initiator) in [(true, Initiator::Local), (false, Initiator::Peer)] {
            let mut end = End::new(role);
            if ours {
                end.conn.close(None);
                end.write();
            }
            end.give(&[Frame::close(1000, "")]);
            end.write();
            end.conn.handle_eof();
            end.events();
            let closed = end.conn.closed().unwrap();
            assert!(closed.clean);
            assert_eq!(closed.initiator, initiator);
        }
    }
}

#[test]
fn s7_1_5_the_close_code_is_the_peers_or_1005_or_1006() {
    for role in BOTH {
        for (frames, code) in [
            (&[Frame::close(3001, "r")][..], 3001),
            (&[Frame::new(CLOSE, "")], 1005),
            (&[], 1006),
        ] {
            let mut end = End::new(role);
            end.give(frames);
            end.write();
            end.conn.handle_eof();
            end.events();
            assert_eq!(end.conn.closed().unwrap().code, code);
        }
    }
}

#[test]
fn s7_1_6_the_close_reason_is_the_peers_or_empty() {
    for role in BOTH {
        for (frames, reason) in [
            (&[Frame::close(1000, "grün")][..], "grün"),
            (&[Frame::close(1000, "")], ""),
            (&[], ""),
        ] {
            let mut end = End::new(role);
            end.give(frames);
            end.write();
            end.conn.handle_eof();
            end.events();
            assert_eq!(end.conn.closed().unwrap().reason, reason);
        }
    }
}

#[test]
fn s7_1_7_a_connection_that_fails_processes_nothing_more() {
    for role in BOTH {
        let mut end = End::new(role);
        let frames = [
            Frame::new(0x83, ""),
            Frame::text("never"),
            Frame::new(PING, "never"),
            Frame::close(1000, "never"),
        ];
        assert_eq!(end.give(&frames), fails(ProtocolError::Opcode(3)));
        assert_eq!(end.give(&frames[1..]), []);
        let frames = end.write();
        assert_eq!(frames.len(), 1, "no Pong, no second Close");
        end.conn.handle_eof();
        end.events();
        assert_eq!(
            end.conn.closed().unwrap().code,
            1006,
            "not even the peer's Close"
        );
    }
}

#[test]
fn s7_1_7_a_connection_that_fails_says_why_and_closes_the_transport() {
    for role in BOTH {
        let mut end = End::new(role);
        end.give(&[Frame::new(0x83, "")]);
        let frames = end.write();
        let reason = ProtocolError::Opcode(3).to_string();
        assert_eq!(frames, [Frame::close(1002, &reason)]);
        assert!(end.conn.wants_shutdown(), "a client too");
    }
}

#[test]
fn s7_1_7_every_failure_fits_a_close() {
    let errors = [
        ProtocolError::FrameTooBig { max: u64::MAX },
        ProtocolError::MessageTooBig { max: u64::MAX },
        ProtocolError::StreamTooBig { max: u64::MAX },
        ProtocolError::TooManyFragments { max: u32::MAX },
        ProtocolError::CloseCode(u16::MAX),
        ProtocolError::ReservedBits,
        ProtocolError::ControlTooLong,
        ProtocolError::Length,
        ProtocolError::Continuation,
        ProtocolError::Interleaved,
    ];
    for error in errors {
        assert!(CloseFrame::new(error.close_code(), error.to_string()).is_ok());
    }
}

// ---- §7.2 Abnormal closures ---------------------------------------------------------------------

#[test]
fn s7_2_1_a_transport_that_is_lost_fails_the_connection() {
    for role in BOTH {
        for lost in [Lost::Reset, Lost::Failed] {
            let mut end = End::new(role);
            end.conn.handle_error(lost);
            assert_eq!(end.events(), [Err(RecvError::Lost(lost))]);
            assert_eq!(end.conn.state(), State::Closed);
            assert!(!end.conn.closed().unwrap().clean);
        }
    }
}

// ---- §7.4 Status codes --------------------------------------------------------------------------

/// §7.4.1, §7.4.2 and the IANA registry (1012 to 1014).
fn may_be_sent(code: u16) -> bool {
    match code {
        0..=999 => false,                   // "not used"
        1004 | 1005 | 1006 | 1015 => false, // reserved; "MUST NOT be set as a status code"
        1000..=1014 => true,                // defined
        1016..=2999 => false,               // "for definition by this protocol"
        3000..=4999 => true,                // libraries, applications
        5000.. => false,
    }
}

#[test]
fn s7_4_all_close_codes_that_can_be_received() {
    let config = config(|_| {});
    for role in BOTH {
        for code in 0..=u16::MAX {
            let mut conn = connection(role, &config);
            conn.receive(&Frame::close(code, "").from(other(role)));
            let got = conn.poll_event();
            if may_be_sent(code) {
                assert_eq!(got, Ok(Some(Event::Close(Some(close_frame(code, ""))))));
            } else {
                let error = ProtocolError::CloseCode(code);
                assert_eq!(got, Err(RecvError::Protocol(error)));
            }
            if role == Role::Server {
                let reply = if may_be_sent(code) { code } else { 1002 };
                let transmit = conn.transmit().unwrap();
                assert_eq!(transmit.chunk()[2..4], reply.to_be_bytes());
            }
        }
    }
}

#[test]
fn s7_4_all_close_codes_that_can_be_sent() {
    let config = config(|_| {});
    for code in 0..=u16::MAX {
        let Some(close) = CloseCode::new(code) else {
            assert!(!may_be_sent(code));
            continue;
        };
        assert!(may_be_sent(code));
        for role in BOTH {
            let mut conn = connection(role, &config);
            conn.close(Some(close.into()));
            let written = Frame::read_all(conn.transmit().unwrap().chunk(), role);
            assert_eq!(written, [Frame::close(code, "")]);
        }
    }
}

// ---- §8.1 UTF-8 ---------------------------------------------------------------------------------

/// What a fresh connection says of one text message, and of the same message in two reads, in two
/// frames, and piece by piece. They must agree with `core`.
fn judge(bytes: &[u8], cuts: &[usize]) {
    let expected = str::from_utf8(bytes).ok();
    let key = Some([0; 4]);
    let check = |got: Result<Option<Event>, RecvError>, how: &str| match (expected, got) {
        (Some(whole), Ok(Some(Event::Data(message)))) => {
            assert_eq!(message.as_text(), Some(whole), "{how}");
        }
        (None, Err(RecvError::Protocol(ProtocolError::Utf8))) => {}
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

/// In pieces of `step` octets, so that characters are cut everywhere.
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
        let error = RecvError::Protocol(ProtocolError::Utf8);
        assert_eq!(end.chunks(), [Err(error)]);
    }
}

// ---- §10 Security considerations ----------------------------------------------------------------

#[test]
fn s10_3_keys_are_drawn_anew_for_equal_payloads() {
    let mut end = End::new(Role::Client);
    end.conn.send("the same").unwrap();
    let first = end.write_some(usize::MAX, true);
    end.conn.send("the same").unwrap();
    assert_ne!(first, end.write_some(usize::MAX, true));
}

#[test]
fn s10_4_frames_messages_and_fragments_have_limits() {
    for role in BOTH {
        let key = (role == Role::Server).then_some(Frame::KEY);
        let max = 1 << 20;
        for (limit, error) in [
            (None, ProtocolError::MessageTooBig { max }),
            (Some(max), ProtocolError::FrameTooBig { max }),
        ] {
            let mut end = End::with(role, |config| config.max_frame_size = limit);
            end.receive(&Frame::header(FIN | BINARY, u64::MAX >> 1, key));
            assert_eq!(end.events(), fails(error));
            assert_eq!(close_code(&mut end), 1009);
        }
    }
}

#[test]
fn s10_7_data_from_either_end_is_validated_and_refused_with_a_code() {
    for role in BOTH {
        for (frame, code) in [
            (Frame::text(b"\xC0\x80"), 1007),
            (Frame::new(0x87, ""), 1002),
            (Frame::close(2000, ""), 1002),
            (Frame::new(CLOSE, b"\x03\xE8\xC0\x80"), 1007),
        ] {
            let mut end = End::new(role);
            assert!(matches!(
                end.give(&[frame])[..],
                [Err(RecvError::Protocol(_))]
            ));
            assert_eq!(close_code(&mut end), code);
        }
    }
}
