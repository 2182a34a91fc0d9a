//! Law 2: owed control never grows.

use bowline_proto::{ConnectionError, ControlPayload, Deadline, Event, KeepAlive, Role};
use bytes::Buf;
use testing::{
    ends::{BOTH, End, payload, secs},
    frames::{CLOSE, Frame, PING, PONG},
};

use crate::at;

#[test]
fn law_2_100_000_unread_pings_leave_at_most_three_unsent_control_frames() {
    for role in BOTH {
        let mut end = End::new(role);
        for i in 0..100_000_u32 {
            end.hear(&[Frame::new(PING, i.to_be_bytes())]);
            assert!(matches!(end.events()[..], [Ok(Event::Ping(_))]));
            if let Some(transmit) = end.conn.transmit() {
                assert!(transmit.remaining() < 64, "one frame waits as bytes");
            }
            end.conn.handle_sent(false);
        }
        // The keep-alive Ping and a Close have their own slots.
        end.now = end.now.checked_add(secs(19)).unwrap();
        end.conn.close(None);
        let frames = end.write();
        assert!(frames.len() <= 3, "{frames:?}");
        assert_eq!(
            frames[frames.len() - 2..],
            [
                Frame::new(PONG, 99_999_u32.to_be_bytes()),
                Frame::new(CLOSE, "")
            ],
            "the latest Ping is answered"
        );
    }
}

#[test]
fn law_2_an_owed_close_leaves_behind_the_owed_pong_and_drops_the_owed_ping() {
    let mut end = End::new(Role::Server);
    end.hear(&[Frame::new(PING, "1")]);
    end.events();
    assert!(end.conn.transmit().is_some());
    end.pass(secs(20)); // "heard": the first period gives no Ping
    end.pass(secs(20));
    end.hear(&[
        Frame::new(PING, "2"),
        Frame::new(PING, "3"),
        Frame::close(1000, "bye"),
    ]);
    end.events();
    assert_eq!(
        end.write(),
        [
            Frame::new(PONG, "1"),
            Frame::new(PONG, "3"),
            Frame::close(1000, "bye")
        ]
    );
}

#[test]
fn law_2_a_keep_alive_ping_is_not_lost_when_a_pong_is_owed() {
    let mut end = End::new(Role::Client);
    // Nothing is received for 20 s, so a Ping is owed; then the peer sends two Pings, and one Pong is out.
    end.hear(&[Frame::new(PING, "1")]);
    end.events();
    assert!(end.conn.transmit().is_some(), "the transport takes nothing");
    end.pass(secs(20));
    end.pass(secs(20));
    end.hear(&[Frame::new(PING, "2")]);
    end.events();
    let frames = end.write();
    let firsts: Vec<u8> = frames.iter().map(|frame| frame.first).collect();
    assert_eq!(firsts, [PONG, PONG, PING]);
    // It was sent, so its deadline runs.
    end.pass(secs(20));
    assert_eq!(
        end.events(),
        [Err(ConnectionError::TimedOut(Deadline::Pong))]
    );
}

#[test]
fn law_2_keep_alive_that_comes_to_be_owed_after_our_close_is_not_sent() {
    let kinds = [KeepAlive::Ping, KeepAlive::Pong];
    for (role, kind) in BOTH
        .into_iter()
        .flat_map(|role| kinds.map(|kind| (role, kind)))
    {
        let mut end = End::with(role, |config| config.keep_alive_kind = kind);
        end.tick();
        let (mut rx, mut tx) = end.conn.split();
        tx.close(None);
        // The half that receives does not know it yet.
        let now = at(20);
        assert_eq!(rx.handle_timeout(now), Ok(()));
        assert!(rx.has_control(), "a {kind:?}");
        rx.meet(&mut tx);
        let transmit = tx.transmit().unwrap();
        let written = transmit.copy_to_bytes(transmit.remaining());
        assert_eq!(Frame::read_all(&written, role), [Frame::new(CLOSE, "")]);
    }
}

#[test]
fn law_2_a_pong_that_answers_and_an_unsolicited_one_do_not_replace_each_other() {
    for role in BOTH {
        for is_asked_first in [true, false] {
            let mut end = End::with(role, |config| {
                config.keep_alive_kind = KeepAlive::Pong;
                config.send_high_water = 1;
                config.write_timeout = None;
            });
            let asked = |end: &mut End, payload: &str| {
                end.give(&[Frame::new(PING, payload)]);
            };
            end.tick();
            // The transport takes nothing of this message, so everything else waits.
            end.conn.send(vec![7; 10]).unwrap();
            assert!(end.write_some(0, false).is_empty());
            if is_asked_first {
                asked(&mut end, "replaced");
                asked(&mut end, "asked");
            }
            // Of many periods, one Pong waits.
            end.pass(secs(200));
            if !is_asked_first {
                asked(&mut end, "replaced");
                asked(&mut end, "asked");
            }
            assert_eq!(
                end.write(),
                [
                    Frame::binary([7; 10]),
                    Frame::new(PONG, "asked"),
                    Frame::new(PONG, "")
                ],
                "the answer comes first"
            );
            asked(&mut end, "again");
            assert_eq!(end.write(), [Frame::new(PONG, "again")]);
        }
    }
}

#[test]
fn law_2_an_unsolicited_pong_that_is_being_written_holds_up_no_answer() {
    for role in BOTH {
        let mut end = End::with(role, |config| {
            config.keep_alive_kind = KeepAlive::Pong;
            config.write_timeout = None;
        });
        end.pass(secs(20));
        let mut bytes = end.write_some(1, false);
        end.give(&[Frame::new(PING, "1"), Frame::new(PING, "2")]);
        end.pass(secs(3600));
        bytes.extend(end.write_some(usize::MAX, true));
        assert_eq!(
            Frame::read_all(&bytes, role),
            [
                Frame::new(PONG, ""),
                Frame::new(PONG, "2"),
                Frame::new(PONG, "")
            ]
        );
    }
}

#[test]
fn law_2_a_users_ping_and_pong_wait_like_messages_and_overwrite_nothing() {
    let mut end = End::with(Role::Server, |config| config.send_high_water = 1);
    end.conn.send(vec![1; 10]).unwrap();
    end.conn.ping(payload("a")).unwrap();
    end.conn.pong(payload("b")).unwrap();
    end.conn.ping(payload("c")).unwrap();
    end.conn.send(vec![2; 10]).unwrap();
    end.hear(&[Frame::new(PING, "peer")]);
    end.events();
    assert_eq!(
        end.write(),
        [
            Frame::binary([1; 10]),
            Frame::new(PONG, "peer"),
            Frame::new(PING, "a"),
            Frame::new(PONG, "b"),
            Frame::new(PING, "c"),
            Frame::binary([2; 10]),
        ]
    );
}

#[test]
fn law_2_a_control_frame_waits_for_the_frame_that_is_being_written() {
    for role in BOTH {
        let mut end = End::new(role);
        let body = vec![7; 300 << 10];
        end.conn.send(body.clone()).unwrap();
        let mut bytes = end.write_some(100_000, true);
        end.hear(&[Frame::new(PING, "now?")]);
        end.events();
        bytes.extend(end.write_some(usize::MAX, true));
        assert_eq!(
            Frame::read_all(&bytes, role),
            [Frame::binary(body), Frame::new(PONG, "now?")]
        );
    }
}

#[test]
fn law_2_a_ping_of_126_bytes_cannot_be_built() {
    assert!(ControlPayload::new(vec![0; 125]).is_ok());
    let error = ControlPayload::new(vec![0; 126]).unwrap_err();
    assert_eq!((error.len, error.max), (126, 125));
}
