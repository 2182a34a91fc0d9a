//! The halves of a connection, driven separately.

use bowline_proto::{
    Closed, Config, ConnectionError, Deadline, Event, Initiator, Kind, Lost, Message, Receiver,
    Role, SendError, Sender,
};
use bytes::Buf;
use testing::{
    ends::{BOTH, End, chunk, other, payload, secs, text},
    frames::{CONTINUATION, FIN, Frame, PING, PONG, TEXT, wire},
    polls::Polls,
};

use crate::at;

#[test]
fn halves_that_are_driven_apart_do_the_same() {
    let end = End::new(Role::Server);
    let (mut rx, mut tx) = end.conn.split();
    let bytes = wire(
        &[Frame::new(PING, "p"), Frame::close(1000, "")],
        Role::Client,
    );
    assert_eq!(rx.receive(&bytes), bytes.len());
    assert_eq!(rx.poll_event(), Ok(Some(Event::Ping(payload("p")))));
    rx.meet(&mut tx);
    assert!(!rx.has_control(), "owed once");
    assert!(matches!(rx.poll_event(), Ok(Some(Event::Close(_)))));
    rx.meet(&mut tx);
    assert_eq!(rx.poll_event(), Ok(None));
    let mut written = Vec::new();
    while let Some(transmit) = tx.transmit() {
        let all = transmit.copy_to_bytes(transmit.remaining());
        written.extend_from_slice(&all);
        tx.handle_sent(true);
    }
    assert_eq!(
        Frame::read_all(&written, Role::Server),
        [Frame::new(PONG, "p"), Frame::close(1000, "")]
    );
    assert!(tx.is_close_sent() && tx.wants_shutdown());
    rx.meet(&mut tx);
    assert!(!rx.is_done());
    rx.handle_eof();
    assert_eq!(rx.poll_event(), Ok(None));
    assert!(rx.is_done() && rx.closed().unwrap().clean);
}

/// The halves of a connection whose deadlines have begun.
fn halves(role: Role, change: impl FnOnce(&mut Config)) -> (Receiver, Sender) {
    let mut end = End::with(role, change);
    end.tick();
    end.conn.split()
}

fn write_all(tx: &mut Sender) {
    while let Some(transmit) = tx.transmit() {
        transmit.advance(usize::MAX);
        tx.handle_sent(true);
    }
}

#[test]
fn a_deadline_of_one_half_ends_the_other_when_they_meet() {
    for role in BOTH {
        // The peer takes nothing.
        let (mut rx, mut tx) = halves(role, |config| config.write_timeout = Some(secs(10)));
        tx.send("a").unwrap();
        tx.transmit().unwrap();
        tx.handle_sent(false);
        assert_eq!(tx.handle_timeout(at(0)), Ok(()));
        assert_eq!(tx.handle_timeout(at(10)), Err(Deadline::Write));
        assert_eq!(rx.poll_event(), Ok(None), "it is not known yet");
        rx.meet(&mut tx);
        let error = ConnectionError::TimedOut(Deadline::Write);
        assert_eq!(rx.poll_event(), Err(error));
        assert!(rx.is_done());
        assert_eq!(rx.closed().unwrap().cause, Some(error));
        rx.meet(&mut tx);
        assert_eq!(rx.poll_event(), Ok(None), "exactly one error");

        // The peer sends nothing.
        let (mut rx, mut tx) = halves(role, |config| {
            config.keep_alive = Some(secs(20));
            config.pong_timeout = Some(secs(20));
        });
        assert_eq!(rx.handle_timeout(at(20)), Ok(()));
        rx.meet(&mut tx);
        write_all(&mut tx);
        rx.meet(&mut tx);
        assert_eq!(rx.handle_timeout(at(21)), Ok(()));
        assert_eq!(rx.handle_timeout(at(41)), Err(Deadline::Pong));
        rx.meet(&mut tx);
        assert_eq!(tx.end(), Some(ConnectionError::TimedOut(Deadline::Pong)));
        assert_eq!(tx.send("a"), Err(SendError::Closed));
    }
}

#[test]
fn a_sender_that_aborts_ends_the_receiver_when_they_meet() {
    for role in BOTH {
        let (mut rx, mut tx) = halves(role, |_| {});
        rx.receive(&Frame::text("unread").from(other(role)));
        tx.abort();
        assert_eq!(tx.send("a"), Err(SendError::Closed));
        rx.meet(&mut tx);
        assert!(rx.is_done());
        assert_eq!(rx.poll_event(), Ok(None));
        let closed = rx.closed().unwrap();
        assert_eq!((closed.code, closed.initiator), (1006, Initiator::Local));
    }
}

#[test]
fn either_half_tells_how_it_ended_the_connection() {
    let lost = ConnectionError::Lost(Lost::Reset);
    for role in BOTH {
        for (closes, initiator) in [(false, Initiator::Peer), (true, Initiator::Local)] {
            let (_, mut tx) = halves(role, |_| {});
            if closes {
                tx.close(None);
            }
            assert_eq!(tx.closed(), None);
            tx.handle_end(lost);
            assert_eq!(tx.closed(), Some(Closed::abnormal(initiator, Some(lost))));
        }
        let (_, mut tx) = halves(role, |_| {});
        tx.handle_end(ConnectionError::TimedOut(Deadline::Write));
        assert_eq!(tx.closed().unwrap().initiator, Initiator::Local);
        let (_, mut tx) = halves(role, |_| {});
        tx.abort();
        assert_eq!(tx.closed(), Some(Closed::abnormal(Initiator::Local, None)));
        // A failure is known before the peer has been informed.
        let (mut rx, _) = halves(role, |_| {});
        rx.receive(&Frame::text(b"\xFF").from(other(role)));
        let error = rx.poll_event().unwrap_err();
        let expected = Closed::abnormal(Initiator::Local, Some(error));
        assert_eq!(rx.closed(), Some(expected));
        assert!(!rx.is_done());
    }
}

#[test]
fn a_message_that_is_given_up_unfinished_closes_with_1011() {
    for role in BOTH {
        let (_, mut tx) = halves(role, |_| {});
        tx.abandon();
        assert!(!tx.is_closing(), "nothing was begun");
        tx.send_chunk(chunk(Kind::Text, "a", false)).unwrap();
        tx.abandon();
        assert_eq!(tx.send("b"), Err(SendError::Closed));
        let transmit = tx.transmit().unwrap();
        let written = transmit.copy_to_bytes(transmit.remaining());
        assert_eq!(
            Frame::read_all(&written, role),
            [Frame::new(TEXT, "a"), Frame::close(1011, "")]
        );
    }
}

#[test]
fn a_transport_that_cannot_be_written_to_is_read_to_its_end() {
    for role in BOTH {
        let (mut rx, mut tx) = halves(role, |_| {});
        tx.handle_end(ConnectionError::Lost(Lost::Reset));
        rx.meet(&mut tx);
        assert_eq!(rx.poll_event(), Ok(None));
        rx.receive(&Frame::text("on its way").from(other(role)));
        assert_eq!(rx.poll_event(), Ok(Some(text("on its way"))));
        rx.receive(&Frame::close(1000, "").from(other(role)));
        assert!(matches!(rx.poll_event(), Ok(Some(Event::Close(_)))));
        rx.meet(&mut tx);
        assert!(!rx.is_done());
        rx.handle_eof();
        assert_eq!(rx.poll_event(), Ok(None));
        assert!(rx.is_done() && !rx.closed().unwrap().clean);
    }
}

#[test]
fn a_transport_that_is_left_open_after_both_closes_is_no_failure() {
    for role in BOTH {
        let (mut rx, mut tx) = halves(role, |config| config.close_timeout = Some(secs(5)));
        tx.close(None);
        write_all(&mut tx);
        rx.meet(&mut tx);
        assert!(!tx.is_peer_closed() && !tx.wants_shutdown());
        rx.receive(&Frame::close(1000, "").from(other(role)));
        assert!(matches!(rx.poll_event(), Ok(Some(Event::Close(_)))));
        rx.meet(&mut tx);
        // §7.1.1: the server ends the transport first.
        assert!(tx.is_peer_closed());
        assert_eq!(tx.wants_shutdown(), role == Role::Server);
        assert_eq!(rx.handle_timeout(at(1)), Ok(()));
        assert!(!rx.is_done());
        assert_eq!(rx.handle_timeout(at(6)), Ok(()));
        assert!(rx.is_done() && rx.poll_timeout().is_none());
        assert_eq!(rx.poll_event(), Ok(None));
        assert!(rx.closed().unwrap().clean);
        rx.meet(&mut tx);
        assert_eq!(tx.end(), None, "no failure");
    }
}

#[test]
fn counters_tell_which_messages_were_written_and_which_were_dropped() {
    let mut end = End::with(Role::Server, |config| config.send_high_water = 1);
    let (mut rx, mut tx) = {
        for i in 0..4 {
            end.conn.send(vec![i; 10]).unwrap();
        }
        end.conn.split()
    };
    assert_eq!((tx.accepted(), tx.flushed()), (4, 0));
    tx.transmit().unwrap().advance(12);
    tx.handle_sent(false);
    assert_eq!(tx.flushed(), 0, "written, not flushed");
    tx.handle_sent(true);
    assert_eq!(tx.flushed(), 1);
    tx.transmit().unwrap().advance(3);
    tx.handle_sent(true);
    assert_eq!(tx.flushed(), 1);
    // The peer closes: messages that are not framed are dropped.
    rx.receive(&Frame::close(1000, "").from(Role::Client));
    rx.poll_event().unwrap().unwrap();
    rx.meet(&mut tx);
    while let Some(transmit) = tx.transmit() {
        transmit.advance(usize::MAX);
        tx.handle_sent(true);
    }
    assert_eq!(tx.flushed(), 2);
    assert!(!tx.has_dropped(2) && tx.has_dropped(3));
}

#[test]
fn what_is_sent_after_a_close_is_told_so_though_a_message_is_unfinished() {
    for role in BOTH {
        let mut end = End::new(role);
        let piece = |kind, fin| chunk(kind, "a", fin);
        end.conn.send_chunk(piece(Kind::Text, false)).unwrap();
        end.conn.close(None);
        assert_eq!(end.conn.send("whole"), Err(SendError::Closed));
        for kind in [Kind::Text, Kind::Binary] {
            assert_eq!(
                end.conn.send_chunk(piece(kind, true)),
                Err(SendError::Closed)
            );
        }
    }
}

#[test]
fn a_streamed_message_is_not_mixed_with_others() {
    let mut end = End::new(Role::Client);
    let piece = |text, fin| chunk(Kind::Text, text, fin);
    end.conn.send_chunk(piece("a", false)).unwrap();
    assert_eq!(end.conn.send("whole"), Err(SendError::Unfinished));
    assert_eq!(
        end.conn.send_chunk(chunk(Kind::Binary, "b", false)),
        Err(SendError::KindChanged)
    );
    end.conn.ping(payload("between")).unwrap();
    end.conn.send_chunk(piece("", false)).unwrap();
    end.conn.send_chunk(piece("", true)).unwrap();
    end.conn.send(Message::from("whole")).unwrap();
    assert_eq!(
        end.write(),
        [
            Frame::new(TEXT, "a"),
            Frame::new(PING, "between"),
            Frame::new(CONTINUATION, ""),
            Frame::new(FIN | CONTINUATION, ""),
            Frame::text("whole")
        ]
    );
}
