//! The counters of a connection.

use bowline_proto::{
    Chunk, CloseCode, Connection, Event, KeepAlive, Lost, Message, Pull, Role, Stats, Traffic,
    handshake::Server,
};
use bytes::Buf;
use testing::{
    ends::{BOTH, End, config, connection, other, payload, secs},
    frames::{CONTINUATION, FIN, Frame, PING, TEXT, wire},
};

fn counts(traffic: Traffic) -> [u64; 4] {
    [
        traffic.messages,
        traffic.payload,
        traffic.wire,
        traffic.pings,
    ]
}

#[test]
fn each_direction_is_counted_in_messages_payload_and_octets() {
    for role in BOTH {
        let mut end = End::new(role);
        assert_eq!(end.conn.stats(), Stats::default());
        let frames = [
            Frame::text("größer"),
            Frame::new(PING, "p"),
            Frame::binary([7; 5000]),
            Frame::new(TEXT, "in "),
            Frame::new(FIN | CONTINUATION, "two"),
        ];
        end.hear(&frames);
        end.events();
        let octets = wire(&frames, other(role)).len() as u64;
        let payload_len = "größer".len() as u64 + 5000 + 6;
        assert_eq!(
            counts(end.conn.stats().received),
            [3, payload_len, octets, 1]
        );

        end.conn.send("größer").unwrap();
        end.conn.ping(payload("p")).unwrap();
        let piece = |data: &str, fin| Chunk {
            data: Message::from(data),
            fin,
        };
        end.conn.send_chunk(piece("in ", false)).unwrap();
        end.conn.send_chunk(piece("two", true)).unwrap();
        let queued = end.conn.stats().sent;
        assert_eq!((queued.messages, queued.wire), (2, 0), "nothing has left");
        let octets = end.write_some(usize::MAX, true).len() as u64;
        assert_eq!(
            counts(end.conn.stats().sent),
            [2, "größer".len() as u64 + 6, octets, 1]
        );
        assert_eq!(end.conn.stats().dropped, 0);
    }
}

/// Each way to take a message counts it the same.
#[test]
fn pieces_that_are_taken_back_count_once_they_are_taken() {
    let mut end = End::new(Role::Server);
    end.hear(&[Frame::new(TEXT, "abc")]);
    let (mut rx, _) = end.conn.split();
    let event = rx.poll_data(Pull::Chunks).unwrap();
    let Some(Event::Data(chunk)) = event else {
        panic!("{event:?}")
    };
    assert_eq!(rx.traffic().payload, 3);
    rx.put_back(chunk);
    assert_eq!(rx.traffic().payload, 0);
    let rest = Frame::new(FIN | CONTINUATION, "de").from(Role::Client);
    assert_eq!(rx.receive(&rest), rest.len());
    rx.poll_data(Pull::Messages).unwrap().unwrap();
    assert_eq!((rx.traffic().messages, rx.traffic().payload), (1, 5));
}

#[test]
fn a_message_that_is_skipped_does_not_count() {
    let mut end = End::new(Role::Server);
    end.hear(&[Frame::new(TEXT, "abc")]);
    assert_eq!(end.chunks().len(), 1);
    end.hear(&[Frame::new(FIN | CONTINUATION, "de"), Frame::text("next")]);
    assert_eq!(end.events().len(), 1);
    let received = end.conn.stats().received;
    assert_eq!((received.messages, received.payload), (1, 3 + 4));
}

#[test]
fn the_pings_of_keep_alive_count() {
    let mut end = End::new(Role::Server);
    end.pass(secs(40));
    assert_eq!(end.write().len(), 1);
    let sent = end.conn.stats().sent;
    assert_eq!((sent.pings, sent.messages), (1, 0));
}

#[test]
fn unsolicited_pongs_of_keep_alive_count_only_on_the_wire() {
    for (role, octets) in [(Role::Client, 6), (Role::Server, 2)] {
        let mut end = End::with(role, |config| config.keep_alive_kind = KeepAlive::Pong);
        end.pass(secs(20));
        assert_eq!(end.write().len(), 1);
        assert_eq!(counts(end.conn.stats().sent), [0, 0, octets, 0]);
    }
}

#[test]
fn what_the_end_leaves_unsent_is_dropped() {
    let full = || {
        let mut conn = connection(Role::Server, &config(|config| config.send_high_water = 1));
        for _ in 0..3 {
            conn.send(vec![7; 9]).unwrap();
        }
        conn
    };
    let lost = |conn: &mut Connection| conn.handle_error(Lost::Reset);
    let aborted = Connection::abort;
    for end in [lost as fn(&mut Connection), aborted] {
        let mut conn = full();
        end(&mut conn);
        let _ = conn.poll_data(Pull::Messages);
        assert_eq!((conn.stats().dropped, conn.stats().sent.messages), (3, 3));
    }
    // The first is a frame already: the answer to a Close comes after it, and instead of the others.
    let mut conn = full();
    let close = Frame::close(CloseCode::NORMAL.get(), "").from(Role::Client);
    assert_eq!(conn.receive(&close), close.len());
    conn.poll_data(Pull::Messages).unwrap();
    written(&mut conn);
    assert_eq!(conn.stats().dropped, 2);
}

/// One end has read exactly what the other has written. The response of the handshake is counted by neither.
#[test]
fn the_opening_handshake_is_not_counted() {
    let request = "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    let mut server = Server::new(config(|_| {}));
    let room = server.exchange().recv_buf().unwrap();
    room[..request.len()].copy_from_slice(request.as_bytes());
    server.exchange().handle_input(request.len());
    let mut conn = server.poll().unwrap().unwrap().open();
    conn.send("x").unwrap();
    written(&mut conn);
    let stats = conn.stats();
    assert_eq!((counts(stats.sent), stats.received.wire), ([1, 1, 3, 0], 0));
}

fn written(conn: &mut Connection) {
    while let Some(transmit) = conn.transmit() {
        transmit.advance(transmit.remaining());
        conn.handle_sent(true);
    }
}
