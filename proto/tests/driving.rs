//! Calls that a driver makes on the two halves: the fast path, loans, and whether there is output.

use bowline_proto::{
    Connection, ConnectionError, Event, Kind, Lost, Message, Negotiated, Receiver, RecvBuf, Role,
    Sender,
    internal::{recv_small, send_small},
};
use bytes::{Buf, Bytes};
use testing::{
    ends::{BOTH, binary, chunk, config, connection, other, payload},
    frames::{BINARY, Frame, PING, TEXT, wire},
    polls::Polls,
};

fn halves(role: Role) -> (Receiver, Sender) {
    connection(role, &config(|_| {})).split()
}

fn receive(rx: &mut Receiver, role: Role, frames: &[Frame]) -> usize {
    let bytes = wire(frames, other(role));
    assert_eq!(rx.receive(&bytes), bytes.len());
    bytes.len()
}

/// The peer sends a Ping.
fn owe(rx: &mut Receiver, tx: &mut Sender, role: Role) {
    receive(rx, role, &[Frame::new(PING, "")]);
    rx.poll_event().unwrap();
    assert!(rx.has_control());
    rx.meet(tx);
    assert!(!rx.has_control(), "owed once");
}

/// Writes `most` bytes of the output.
fn write(tx: &mut Sender, most: usize, flushed: bool) -> usize {
    let transmit = tx.transmit().expect("there is output");
    let len = transmit.remaining().min(most);
    transmit.advance(len);
    tx.handle_sent(flushed);
    len
}

#[test]
fn the_short_way_takes_small_messages_and_leaves_all_else() {
    for role in BOTH {
        let (mut rx, _tx) = halves(role);
        assert_eq!(recv_small(&mut rx), None);
        let large = vec![7; 5000];
        let frames = [
            Frame::text("one"),
            Frame::binary("two"),
            Frame::binary(vec![3; 3000]),
            Frame::new(PING, "?"),
            Frame::text("three"),
            Frame::binary(&large),
            Frame::new(TEXT, "begun"),
        ];
        receive(&mut rx, role, &frames);
        assert_eq!(recv_small(&mut rx), Some("one".into()));
        assert_eq!(recv_small(&mut rx), Some(Message::Binary("two".into())));
        assert_eq!(recv_small(&mut rx), Some(vec![3; 3000].into()));
        assert_eq!(recv_small(&mut rx), None, "a Ping needs an answer");
        assert_eq!(rx.poll_event(), Ok(Some(Event::Ping(payload("?")))));
        assert_eq!(recv_small(&mut rx), Some("three".into()));
        assert_eq!(recv_small(&mut rx), None, "too large");
        assert_eq!(rx.poll_event(), Ok(Some(binary(large))));
        assert_eq!(recv_small(&mut rx), None, "a fragment");
        assert_eq!(rx.poll_event(), Ok(None));
        // After the beginning of a message.
        receive(&mut rx, role, &[Frame::new(0x80, " and ended")]);
        assert_eq!(recv_small(&mut rx), None);
        let whole = Message::from("begun and ended");
        assert_eq!(rx.poll_event(), Ok(Some(Event::Data(whole))));
    }
}

#[test]
fn a_receiver_wants_input_once_all_is_polled() {
    for role in BOTH {
        let (mut rx, _tx) = halves(role);
        assert!(rx.wants_input());
        receive(&mut rx, role, &[Frame::text("one"), Frame::text("two")]);
        for message in ["one", "two"] {
            assert!(!rx.wants_input(), "{message} waits");
            assert_eq!(recv_small(&mut rx), Some(message.into()));
        }
        assert!(rx.wants_input());
        receive(&mut rx, role, &[Frame::new(TEXT, "begun")]);
        assert_eq!(rx.poll_event(), Ok(None));
        assert!(rx.wants_input(), "inside a message");
        receive(&mut rx, role, &[Frame::new(0x80, " and ended")]);
        assert!(rx.poll_event().is_ok_and(|event| event.is_some()));
        assert_eq!(rx.poll_event(), Ok(None));
        assert!(rx.wants_input());
        // An end that came after small messages must still be reported.
        receive(&mut rx, role, &[Frame::text("one"), Frame::text("two")]);
        assert_eq!(recv_small(&mut rx), Some("one".into()));
        rx.handle_eof();
        assert_eq!(recv_small(&mut rx), Some("two".into()));
        assert!(!rx.wants_input());
        assert_eq!(rx.poll_event(), Err(ConnectionError::Lost(Lost::Eof)));
    }
}

#[test]
fn unread_is_what_was_received_and_not_polled() {
    for role in BOTH {
        let (mut rx, _tx) = halves(role);
        assert_eq!(rx.unread(), 0);
        let all = receive(
            &mut rx,
            role,
            &[Frame::new(PING, "a"), Frame::new(PING, "")],
        );
        assert_eq!(rx.unread(), all);
        rx.poll_event().unwrap();
        assert_eq!(rx.unread(), all - if role == Role::Server { 7 } else { 3 });
        rx.poll_event().unwrap();
        assert_eq!(rx.unread(), 0);
    }
}

#[test]
fn a_lent_input_buffer_is_given_back_once_and_what_was_not_polled_stays() {
    for role in BOTH {
        let (mut rx, _tx) = halves(role);
        assert!(rx.wants_loan());
        assert!(rx.take_back().is_none());
        rx.lend(RecvBuf::new(8 << 10));
        assert!(!rx.wants_loan());
        let bytes = Frame::text("kept").from(other(role));
        rx.recv_buf().unwrap()[..bytes.len()].copy_from_slice(&bytes);
        rx.handle_input(bytes.len());
        assert_eq!(rx.take_back().map(|buf| buf.size()), Some(8 << 10));
        assert!(rx.take_back().is_none() && rx.wants_loan());
        assert_eq!(rx.poll_event(), Ok(Some(Event::Data("kept".into()))));
    }
}

#[test]
fn a_loan_without_room_for_what_waits_is_not_taken() {
    for role in BOTH {
        let (mut rx, _tx) = halves(role);
        receive(
            &mut rx,
            role,
            &[Frame::text("waits"), Frame::binary(vec![1; 9000])],
        );
        for len in [0, 1, 100, 9000, 10_000] {
            rx.lend(RecvBuf::new(len));
            assert!(rx.wants_loan(), "{len}");
        }
        assert_eq!(rx.poll_event(), Ok(Some(Event::Data("waits".into()))));
        rx.lend(RecvBuf::new(12_000));
        assert!(!rx.wants_loan());
        assert_eq!(rx.poll_event(), Ok(Some(binary(vec![1; 9000]))));
    }
}

#[test]
fn a_large_message_that_is_read_into_its_own_memory_wants_no_loan() {
    for role in BOTH {
        let (mut rx, _tx) = halves(role);
        let frame = Frame::new(0x80 | BINARY, vec![1; 100_000]).from(other(role));
        rx.receive(&frame[..20_000]);
        assert!(rx.wants_loan());
        assert_eq!(rx.poll_event(), Ok(None));
        assert!(!rx.wants_loan());
    }
}

#[test]
fn the_receiver_is_closed_by_the_peers_close_and_by_nothing_else() {
    for role in BOTH {
        for (frame, closed) in [
            (Frame::close(1000, ""), true),
            (Frame::new(0x83, ""), false),
        ] {
            let (mut rx, _tx) = halves(role);
            assert!(!rx.is_peer_closed());
            receive(&mut rx, role, &[frame]);
            assert_eq!(rx.poll_event().is_ok(), closed);
            assert_eq!(rx.is_peer_closed(), closed);
        }
    }
}

#[test]
fn nothing_received_is_no_input() {
    for role in BOTH {
        let (mut rx, _tx) = halves(role);
        assert_eq!(rx.receive(b""), 0);
        assert!(rx.recv_buf().is_some(), "there is nothing to poll");
    }
}

#[test]
fn there_is_output_until_all_of_it_was_taken() {
    for role in BOTH {
        // A message,
        let (_rx, mut tx) = halves(role);
        assert!(!tx.has_output());
        tx.send("a").unwrap();
        assert!(tx.has_output());
        write(&mut tx, 1, true);
        assert!(tx.has_output());
        write(&mut tx, usize::MAX, true);
        assert!(!tx.has_output() && tx.transmit().is_none());
        // a frame that is owed,
        let (mut rx, mut tx) = halves(role);
        owe(&mut rx, &mut tx, role);
        assert!(tx.has_output());
        // a message after that, which does not fill the queue by itself,
        tx.send("b").unwrap();
        assert!(tx.has_output() && !tx.is_full());
        write(&mut tx, usize::MAX, true);
        assert!(!tx.has_output());
        // and a Close.
        tx.close(None);
        assert!(tx.has_output());
        write(&mut tx, usize::MAX, true);
        assert!(!tx.has_output());
    }
}

#[test]
fn a_lent_output_buffer_is_asked_for_where_there_is_none_and_given_back_empty() {
    for role in BOTH {
        let (_rx, mut tx) = halves(role);
        let mut asked = false;
        tx.lend(|| {
            asked = true;
            None
        });
        assert!(asked && tx.take_back().is_none());
        tx.lend(|| Some(Box::default()));
        tx.send("a").unwrap();
        tx.lend(|| panic!("there is one"));
        assert!(tx.take_back().is_none(), "it is in use");
        let transmit = tx.transmit().unwrap();
        transmit.advance(transmit.remaining());
        assert!(tx.take_back().is_some_and(|buf| !buf.has_remaining()));
        assert!(tx.take_back().is_none());
    }
}

#[test]
fn the_short_way_out_is_for_small_messages_that_nothing_stands_before() {
    let small = |len: usize| vec![7; len].into();
    let lent = |role, mark| {
        let config = config(|config| config.send_high_water = mark);
        let (rx, mut tx) = connection(role, &config).split();
        assert!(
            !send_small(&mut tx, &small(1)),
            "there is nothing to gather it in"
        );
        tx.lend(|| Some(Box::default()));
        (rx, tx)
    };
    for role in BOTH {
        let (_rx, mut tx) = lent(role, 64 << 10);
        for (len, fits) in [(0, true), (4095, true), (4096, false), (1, true)] {
            assert_eq!(send_small(&mut tx, &small(len)), fits, "{len}");
        }
        assert_eq!((tx.accepted(), tx.flushed()), (3, 0));
        write(&mut tx, usize::MAX, true);
        assert_eq!(tx.flushed(), 3);
    }

    let (mut rx, mut tx) = lent(Role::Server, 64 << 10);
    owe(&mut rx, &mut tx, Role::Server);
    assert!(!send_small(&mut tx, &small(1)), "a Pong is owed");
    write(&mut tx, usize::MAX, true);

    tx.lend(|| Some(Box::default()));
    tx.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
    assert!(
        !send_small(&mut tx, &small(1)),
        "another message is under way"
    );
    tx.send_chunk(chunk(Kind::Text, "b", true)).unwrap();
    assert!(send_small(&mut tx, &small(1)));
    tx.close(None);
    assert!(!send_small(&mut tx, &small(1)), "our Close is queued");

    // Up to the mark, and not beyond, although more waits.
    let (_rx, mut tx) = lent(Role::Server, 102);
    assert!(send_small(&mut tx, &small(97)), "99 of 102 bytes");
    assert!(send_small(&mut tx, &small(1)));
    assert!(!send_small(&mut tx, &small(1)), "it is full");
    tx.send("behind").unwrap();
    write(&mut tx, 50, true);
    assert!(!send_small(&mut tx, &small(1)), "a message waits");
}

#[test]
fn many_empty_messages_that_wait_are_full() {
    for role in BOTH {
        let (mut rx, mut tx) = halves(role);
        owe(&mut rx, &mut tx, role);
        for count in 0..4096 {
            assert!(!tx.is_full(), "{count}");
            tx.send("").unwrap();
        }
        assert!(tx.is_full());
    }
}

#[test]
fn what_had_left_before_the_end_was_not_dropped() {
    for role in BOTH {
        let (_rx, mut tx) = halves(role);
        tx.send("a").unwrap();
        write(&mut tx, usize::MAX, true);
        tx.send("b").unwrap();
        assert!(!tx.has_dropped(2), "it may still leave");
        tx.handle_end(ConnectionError::Lost(Lost::Reset));
        assert!(!tx.has_dropped(1) && tx.has_dropped(2));
    }
}

#[test]
fn what_has_left_is_told_though_more_waits_behind_it() {
    for role in BOTH {
        let (_rx, mut tx) = halves(role);
        let len = if role == Role::Client { 16 } else { 12 };
        tx.send("ten octets").unwrap();
        write(&mut tx, 5, true);
        tx.send("ten octets").unwrap();
        assert_eq!(tx.flushed(), 0);
        write(&mut tx, len, true);
        assert_eq!(tx.flushed(), 1);
        write(&mut tx, usize::MAX, true);
        assert_eq!(tx.flushed(), 2);
    }
}

#[test]
#[cfg(feature = "std")]
fn a_vectored_write_has_all_pieces_in_order() {
    use std::io::IoSlice;

    let large = Bytes::from(vec![7; 5000]);
    let (_rx, mut tx) = halves(Role::Server);
    tx.send("a").unwrap();
    assert!(!tx.transmit().unwrap().has_large());
    tx.send(large.clone()).unwrap();
    tx.send("b").unwrap();
    tx.send(large.clone()).unwrap();
    let frames = [
        Frame::text("a"),
        Frame::binary(&large),
        Frame::text("b"),
        Frame::binary(&large),
    ];
    let expected = wire(&frames, Role::Server);
    let transmit = tx.transmit().unwrap();
    assert!(transmit.has_large());
    for room in 0..6 {
        let mut slices = vec![IoSlice::new(b""); room];
        let count = transmit.chunks_vectored(&mut slices);
        assert_eq!(count, room.min(4));
        let pieces: Vec<&[u8]> = slices[..count].iter().map(|slice| &slice[..]).collect();
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        assert!(expected.starts_with(&pieces.concat()));
        assert_eq!(pieces.concat().len() == expected.len(), room >= 4);
    }
    // From the middle of a piece on.
    transmit.advance(4 + 3);
    let mut slices = [IoSlice::new(b""); 5];
    let count = transmit.chunks_vectored(&mut slices);
    let pieces: Vec<&[u8]> = slices[..count].iter().map(|slice| &slice[..]).collect();
    assert!(expected[7..] == pieces.concat());
}

#[test]
fn streaming_tells_the_kind_of_the_message_that_is_sent_in_pieces() {
    for role in BOTH {
        let (_rx, mut tx) = halves(role);
        for kind in [Kind::Text, Kind::Binary] {
            assert_eq!(tx.streaming(), None);
            tx.send_chunk(chunk(kind, "a", false)).unwrap();
            assert_eq!(tx.streaming(), Some(kind));
            tx.send_chunk(chunk(kind, "b", true)).unwrap();
        }
        assert_eq!(tx.streaming(), None);
    }
}

#[test]
fn a_connection_knows_its_subprotocol() {
    for role in BOTH {
        for subprotocol in [None, Some("chat")] {
            let mut negotiated = Negotiated::default();
            negotiated.subprotocol = subprotocol.map(Into::into);
            let config = config(|_| {});
            let connection = Connection::new(role, negotiated, config.clone());
            assert_eq!(connection.subprotocol(), subprotocol);
        }
    }
}
