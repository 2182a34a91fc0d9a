//! Law 7: our Close closes sending only.

use bowline_proto::{Event, Initiator, Kind, Role, SendError, State};
use testing::{
    ends::{BOTH, End, chunk, close_frame, payload, text},
    frames::{CLOSE, FIN, Frame, PING, PONG, TEXT},
    polls::Polls,
};

#[test]
fn law_7_data_is_delivered_until_the_peers_close() {
    for role in BOTH {
        let mut end = End::new(role);
        end.conn.close(Some(close_frame(1000, "done")));
        assert_eq!(end.conn.send("late"), Err(SendError::Closed));
        assert_eq!(end.conn.ping(payload("late")), Err(SendError::Closed));
        assert_eq!(end.conn.pong(payload("late")), Err(SendError::Closed));
        assert_eq!(end.write(), [Frame::close(1000, "done")]);
        let frames = [
            Frame::text("one"),
            Frame::new(TEXT, "t"),
            Frame::new(FIN, "wo"),
            Frame::close(1000, "done too"),
            Frame::text("never"),
        ];
        assert_eq!(
            end.give(&frames),
            [
                Ok(text("one")),
                Ok(text("two")),
                Ok(Event::Close(Some(close_frame(1000, "done too"))))
            ]
        );
        assert_eq!(end.write(), [], "one Close is enough");
    }
}

#[test]
fn law_7_our_close_waits_behind_the_messages_queued_before() {
    for role in BOTH {
        let mut end = End::with(role, |config| config.send_high_water = 1);
        for i in 0..5 {
            end.conn.send(vec![i; 10]).unwrap();
        }
        end.conn.close(None);
        let frames = end.write();
        assert_eq!(frames.len(), 6);
        assert_eq!(frames[4], Frame::binary([4; 10]));
        assert_eq!(frames[5], Frame::new(CLOSE, ""));
    }
}

#[test]
fn law_7_an_owed_close_drops_the_messages_that_wait() {
    for role in BOTH {
        for user_closes in [false, true] {
            let mut end = End::with(role, |config| config.send_high_water = 1);
            for i in 0..5 {
                end.conn.send(vec![i; 10]).unwrap();
            }
            if user_closes {
                end.conn.close(Some(close_frame(1001, "mine")));
            }
            end.give(&[Frame::close(1000, "yours")]);
            assert_eq!(
                end.write(),
                [Frame::binary([0; 10]), Frame::close(1000, "yours")]
            );
            assert!(!end.conn.is_full(), "nothing waits");
        }
    }
}

#[test]
fn law_7_without_reply_to_close_we_finish_what_we_were_sending() {
    for role in BOTH {
        let mut end = End::with(role, |config| {
            config.reply_to_close = false;
            config.send_high_water = 1;
        });
        end.conn.send("one").unwrap();
        end.conn.send_chunk(chunk(Kind::Text, "tw", false)).unwrap();
        assert_eq!(
            end.give(&[Frame::close(1000, "bye")]),
            [Ok(Event::Close(Some(close_frame(1000, "bye"))))]
        );
        assert_eq!(end.conn.state(), State::Closing);
        end.conn.send_chunk(chunk(Kind::Text, "o", true)).unwrap();
        end.conn.close(Some(close_frame(1001, "mine")));
        assert_eq!(
            end.write(),
            [
                Frame::text("one"),
                Frame::new(TEXT, "tw"),
                Frame::new(FIN, "o"),
                Frame::close(1001, "mine")
            ]
        );
        end.conn.handle_eof();
        assert_eq!(end.events(), []);
        let closed = end.conn.closed().unwrap();
        assert!(closed.clean);
        assert_eq!((closed.code, closed.initiator), (1000, Initiator::Peer));
    }
}

#[test]
fn law_7_with_reply_to_close_the_answer_is_queued_at_once() {
    for role in BOTH {
        let mut end = End::new(role);
        end.hear(&[Frame::close(3000, "why")]);
        assert!(end.conn.poll_event().unwrap().is_some());
        assert_eq!(end.conn.send("late"), Err(SendError::Closed));
        assert_eq!(end.write(), [Frame::close(3000, "why")]);
    }
}

#[test]
fn law_7_the_pong_for_the_latest_ping_leaves_before_our_own_close() {
    let mut end = End::new(Role::Server);
    end.hear(&[Frame::new(PING, "1")]);
    end.events();
    assert!(end.conn.transmit().is_some());
    end.hear(&[Frame::new(PING, "2")]);
    end.events();
    end.conn.close(None);
    assert_eq!(
        end.write(),
        [
            Frame::new(PONG, "1"),
            Frame::new(PONG, "2"),
            Frame::new(CLOSE, "")
        ]
    );
}
