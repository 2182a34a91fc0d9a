//! Prepared messages.

use allocation_counter::measure;
use bowline_proto::{Config, Kind, Message, Prepared, Role, deflate::Deflate};
use bytes::Buf;
use testing::{
    ends::{
        BOTH, End, chunk, config,
        deflate::{self, Inflater, Random, all, both, connection, json, window},
        payload,
    },
    frames::{BINARY, FIN, Frame, PING, PONG, RSV1, TEXT},
};

use crate::KIB;

fn prepared(content: &[u8], options: Option<Deflate>) -> Prepared {
    let config = config(|config| config.deflate = options);
    Prepared::new(content.to_vec(), &config)
}

/// Returns what the end sends of it.
fn send(end: &mut End, prepared: &Prepared) -> Vec<Frame> {
    end.conn.send(prepared).unwrap();
    end.write()
}

#[test]
fn a_prepared_message_is_shared_by_all_connections_that_can_use_it() {
    let content = json(100_000);
    let prepared = prepared(&content, Some(all()));
    assert!(prepared.message() == &Message::from(content.clone()));
    let config = config(|_| {});
    let mut plain = testing::ends::connection(Role::Server, &config);
    let mut small = connection(Role::Server, both(15, false), &config);
    for (conn, frames) in [(&mut plain, false), (&mut small, true)] {
        let mut pointers = Vec::new();
        for _ in 0..20 {
            conn.send(&prepared).unwrap();
            while let Some(transmit) = conn.transmit() {
                pointers.push((transmit.chunk().as_ptr(), transmit.remaining()));
                let frame = Frame::read_all(transmit.chunk(), Role::Server).remove(0);
                let peer = &mut Inflater::new(window(15, false));
                assert_eq!(frame.first & RSV1 != 0, frames);
                assert!(peer.frames(&[frame]) == content);
                transmit.advance(transmit.remaining());
                conn.handle_sent(true);
            }
        }
        assert_eq!(pointers.len(), 20);
        pointers.dedup();
        assert_eq!(pointers.len(), 1, "the same memory each time");
    }
}

#[test]
fn a_prepared_message_costs_no_copy() {
    let prepared = prepared(&json(1 << 20), Some(all()));
    let config = config(|_| {});
    let mut conn = connection(Role::Server, both(15, false), &config);
    let info = measure(|| {
        for _ in 0..10 {
            conn.send(&prepared).unwrap();
            while let Some(transmit) = conn.transmit() {
                transmit.advance(transmit.remaining());
                conn.handle_sent(true);
            }
        }
    });
    assert!(info.bytes_total < 16 * KIB, "{}", info.bytes_total);
}

#[test]
fn a_prepared_message_falls_back_where_its_frames_do_not_fit() {
    // It refers back further than 4 KiB.
    let content = json(20_000);
    let prepared = prepared(&content, Some(all()));
    let sent = send(
        &mut deflate::end(Role::Server, both(15, false), |_| {}),
        &prepared,
    );
    assert_eq!(sent.len(), 1);
    for (what, role, agreed, size) in [
        ("takeover", Role::Server, both(15, true), None),
        ("a smaller window", Role::Server, both(12, false), None),
        ("a client", Role::Client, both(15, false), None),
        ("small frames", Role::Server, both(15, false), Some(100)),
    ] {
        let mut end = deflate::end(role, agreed, |config| config.send_frame_size = size);
        let mut peer = Inflater::new(agreed.send);
        for i in 0..3 {
            let frames = send(&mut end, &prepared);
            assert_eq!(frames.len() > 1, size.is_some(), "{what}");
            assert_eq!(frames[0].first & !FIN, RSV1 | BINARY, "{what}");
            assert!(peer.messages(&frames) == [content.clone()], "{what} {i}");
            end.conn.send(content.clone()).unwrap();
            assert!(
                peer.messages(&end.write()) == [content.clone()],
                "{what} {i}"
            );
        }
        // With takeover the second message refers to the first.
        if agreed.send.takeover {
            let again = send(&mut end, &prepared);
            assert!(again[0].payload.len() < sent[0].payload.len() / 2);
        }
    }
    // A window of the options, not of the connection, bounds it.
    let mut options = all();
    options.send.bits = 9;
    let small = self::prepared(&content, Some(options));
    let mut end = deflate::end(Role::Server, both(12, false), |_| {});
    let frames = send(&mut end, &small);
    assert!(Inflater::new(window(9, false)).messages(&frames) == [content.clone()]);
}

#[test]
fn a_prepared_message_is_plain_where_that_is_better() {
    let mut random = Random(5);
    let noise: Vec<u8> = (0..5000).map(|_| random.draw() as u8).collect();
    let mut large = Deflate::default();
    large.threshold = 1000;
    for (content, options) in [
        (noise, Some(all())),
        (json(999), Some(large)),
        (json(3000), None),
        (Vec::new(), Some(all())),
    ] {
        let prepared = prepared(&content, options);
        for takeover in [false, true] {
            let mut end = deflate::end(Role::Server, both(15, takeover), |_| {});
            assert!(send(&mut end, &prepared) == [Frame::binary(&content)]);
        }
        // Compression was not agreed on, or the client masks.
        for role in BOTH {
            assert!(send(&mut End::new(role), &prepared) == [Frame::binary(&content)]);
        }
    }
    let text = Prepared::new("text", &Config::new(testing::ends::entropy));
    for role in BOTH {
        assert_eq!(send(&mut End::new(role), &text), [Frame::text("text")]);
    }
}

#[test]
fn a_prepared_message_waits_its_turn() {
    let prepared = prepared(&json(3000), Some(all()));
    let mut end = deflate::end(Role::Server, both(15, false), |config| {
        config.send_high_water = 1;
        config.max_send_size = 3000;
    });
    end.conn.send("first").unwrap();
    assert!(end.conn.transmit().is_some());
    end.conn.send(&prepared).unwrap();
    end.conn.ping(payload("last")).unwrap();
    // A frame that is owed overtakes it.
    end.give(&[Frame::new(PING, "?")]);
    let frames = end.write();
    let firsts: Vec<u8> = frames.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [FIN | TEXT, PONG, FIN | RSV1 | BINARY, PING]);
    let large = self::prepared(&json(3001), Some(all()));
    let error = bowline_proto::SendError::TooBig { max: 3000 };
    assert_eq!(end.conn.send(&large), Err(error));
    end.conn
        .send_chunk(chunk(Kind::Binary, "a", false))
        .unwrap();
    let error = bowline_proto::SendError::Unfinished;
    assert_eq!(end.conn.send(&prepared), Err(error));
}
