//! Law 3: data waits as messages, not as bytes.

use bowline_proto::{Kind, Role, SendError};
use bytes::Buf;
use testing::{
    ends::{BOTH, End, chunk, payload},
    frames::{BINARY, CONTINUATION, FIN, Frame, PING, PONG, TEXT},
};

#[test]
fn law_3_owed_control_overtakes_the_messages_that_wait() {
    for role in BOTH {
        let mut end = End::new(role);
        let body = vec![7; 40 << 10];
        for _ in 0..10 {
            end.conn.send(body.clone()).unwrap();
        }
        end.hear(&[Frame::new(PING, "?")]);
        end.events();
        let frames = end.write();
        let place = frames.iter().position(|frame| frame.first == PONG).unwrap();
        // At most 64 KiB and one frame are bytes already.
        assert!(place <= 2, "the Pong came after {place} messages");
        assert_eq!(frames.len(), 11);
    }
}

#[test]
fn law_3_no_more_than_the_high_water_mark_and_a_frame_waits_as_bytes() {
    for role in BOTH {
        for mark in [1, 1000, 64 << 10] {
            let mut end = End::with(role, |config| config.send_high_water = mark);
            for _ in 0..200 {
                end.conn.send(vec![7; 1000]).unwrap();
            }
            let waiting = end.conn.transmit().unwrap().remaining();
            assert!(waiting >= mark && waiting < mark + 1014, "{waiting} bytes");
            assert!(end.conn.is_full());
            assert_eq!(end.write().len(), 200);
            assert!(!end.conn.is_full());
        }
    }
}

#[test]
fn law_3_full_from_the_high_water_mark_on() {
    for role in BOTH {
        for mark in [1, 100, 1 << 20] {
            let mut end = End::with(role, |config| config.send_high_water = mark);
            assert!(!end.conn.is_full());
            let header = if role == Role::Client { 6 } else { 2 };
            let mut waiting = 0;
            while waiting < mark {
                assert!(!end.conn.is_full(), "{waiting} of {mark} bytes");
                end.conn.send("ten octets").unwrap();
                waiting += header + 10;
            }
            assert!(end.conn.is_full(), "{waiting} of {mark} bytes");
        }
        let mut end = End::with(role, |config| config.send_high_water = 0);
        assert!(!end.conn.is_full(), "or nothing could ever be sent");
        end.conn.send("x").unwrap();
        assert!(end.conn.is_full());
        let mut end = End::with(role, |config| config.send_high_water = 1 << 20);
        while !end.conn.is_full() {
            end.conn.send("").unwrap();
        }
        assert!(
            end.write().len() < 1 << 20,
            "many that are empty are full, too"
        );
    }
}

#[test]
fn law_3_send_frame_size_bounds_how_long_control_waits() {
    for role in BOTH {
        let mut end = End::with(role, |config| {
            config.send_frame_size = Some(1000);
            config.send_high_water = 1;
        });
        end.conn.send(vec![7; 10_000]).unwrap();
        let mut bytes = end.write_some(500, true);
        end.hear(&[Frame::new(PING, "?")]);
        end.events();
        bytes.extend(end.write_some(usize::MAX, true));
        let frames = Frame::read_all(&bytes, role);
        assert_eq!(frames.len(), 11);
        assert_eq!(frames[1], Frame::new(PONG, "?"));
        assert_eq!(frames[0], Frame::new(BINARY, [7; 1000]));
        assert_eq!(frames[2], Frame::new(CONTINUATION, [7; 1000]));
        assert_eq!(frames[10], Frame::new(FIN | CONTINUATION, [7; 1000]));
    }
}

#[test]
fn law_3_a_message_of_exactly_send_frame_size_is_one_frame() {
    for role in BOTH {
        for (size, frames) in [(0, 1), (99, 1), (100, 1), (101, 2), (200, 2), (201, 3)] {
            let mut end = End::with(role, |config| config.send_frame_size = Some(100));
            end.conn.send(vec![7; size]).unwrap();
            end.conn.ping(payload([1; 125])).unwrap();
            let written = end.write();
            assert_eq!(written.len(), frames + 1, "{size} bytes");
            assert_eq!(written[frames], Frame::new(PING, [1; 125]), "never cut");
        }
    }
}

#[test]
fn law_3_the_smallest_frame_size_is_one_byte() {
    let mut end = End::with(Role::Server, |config| config.send_frame_size = Some(0));
    end.conn.send("abc").unwrap();
    assert_eq!(
        end.write(),
        [
            Frame::new(TEXT, "a"),
            Frame::new(CONTINUATION, "b"),
            Frame::new(FIN | CONTINUATION, "c")
        ]
    );
}

#[test]
fn law_3_a_message_above_max_send_size_is_not_queued() {
    let mut end = End::with(Role::Client, |config| config.max_send_size = 10);
    end.conn.send(vec![0; 10]).unwrap();
    assert_eq!(
        end.conn.send(vec![0; 11]),
        Err(SendError::TooBig { max: 10 })
    );
    assert_eq!(
        end.conn.send_chunk(chunk(Kind::Binary, [0; 11], false)),
        Err(SendError::TooBig { max: 10 })
    );
    end.conn.send("fine").unwrap();
    assert_eq!(end.write(), [Frame::binary([0; 10]), Frame::text("fine")]);
}
