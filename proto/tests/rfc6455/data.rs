//! §5.6 and §6: data frames, the examples of §5.7, sending and receiving.

use bowline_proto::{Event, Message, Role, SendError};
use testing::{
    ends::{BOTH, End, binary, payload, text},
    frames::{BINARY, CONTINUATION, FIN, Frame, TEXT},
};

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
