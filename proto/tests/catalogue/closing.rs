//! The closing handshake (RFC 6455 §7) with a manual clock.

use std::time::Duration;

use allocation_counter::measure;
use bowline_proto::{
    Chunk, CloseCode, Closed, ConnectionError, Deadline, Event, Initiator, Lost, Message, Role,
    SendError, State,
};
use testing::{
    ends::other,
    frames::{self, BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, TEXT},
};

use crate::{
    Test,
    driver::{End, ROLES, config},
};

pub(crate) const TESTS: &[Test] = &[
    (
        "cl_036_the_close_deadline_is_absolute",
        cl_036_the_close_deadline_is_absolute,
    ),
    (
        "cl_037_a_server_ends_the_transport_first",
        cl_037_a_server_ends_the_transport_first,
    ),
    (
        "cl_038_data_after_our_close_is_bounded_by_the_deadline",
        cl_038_data_after_our_close_is_bounded_by_the_deadline,
    ),
    (
        "cl_039_simultaneous_closes_are_clean",
        cl_039_simultaneous_closes_are_clean,
    ),
    (
        "cl_040_eof_without_a_close_is_1006",
        cl_040_eof_without_a_close_is_1006,
    ),
    (
        "cl_041_a_message_cut_short_is_never_delivered",
        cl_041_a_message_cut_short_is_never_delivered,
    ),
    (
        "cl_042_eof_after_both_closes_is_clean",
        cl_042_eof_after_both_closes_is_clean,
    ),
    (
        "cl_043_a_reset_after_both_closes_is_clean",
        cl_043_a_reset_after_both_closes_is_clean,
    ),
    (
        "cl_044_closing_twice_is_closing_once",
        cl_044_closing_twice_is_closing_once,
    ),
    (
        "cl_045_nothing_follows_our_close",
        cl_045_nothing_follows_our_close,
    ),
    (
        "cl_046_the_close_deadline_runs_from_the_call",
        cl_046_the_close_deadline_runs_from_the_call,
    ),
    (
        "cl_047_sending_and_closing_at_once_end_once",
        cl_047_sending_and_closing_at_once_end_once,
    ),
    (
        "cl_048_dropped_connections_leave_nothing",
        cl_048_dropped_connections_leave_nothing,
    ),
];

/// Begins to close with 1000, and sends the Close.
fn close(end: &mut End) {
    end.conn.close(Some(CloseCode::NORMAL.into()));
    end.poll();
}

/// The peer sends its Close.
fn peer_closes(end: &mut End) {
    end.frame(CLOSE, [0x03, 0xe8]);
}

fn closed(end: &End) -> Closed {
    end.conn.closed().expect("it is closed")
}

fn assert_clean(end: &End, initiator: Initiator) {
    assert_eq!(end.errors, []);
    assert!(end.is_closed());
    let closed = closed(end);
    assert!(closed.clean);
    assert_eq!(closed.code, 1000);
    assert_eq!(closed.initiator, initiator);
    assert_eq!(closed.cause, None);
    assert_eq!(end.closes(), [1000]);
}

fn assert_lost(end: &End, cause: ConnectionError) {
    assert_eq!(end.errors, [cause]);
    assert!(end.is_closed());
    let closed = closed(end);
    assert!(!closed.clean);
    assert_eq!(closed.code, Closed::ABNORMAL);
    assert_eq!(closed.cause, Some(cause));
}

fn cl_036_the_close_deadline_is_absolute() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        close(&mut end);
        for _ in 0..49 {
            end.wait(Duration::from_millis(100));
            assert_eq!(end.conn.state(), State::Closing);
            end.frame(0x89, "still here");
            // Closing again does not change it either.
            close(&mut end);
        }
        end.wait(Duration::from_millis(100));
        assert_lost(&end, ConnectionError::TimedOut(Deadline::Close));
        assert_eq!(closed(&end).initiator, Initiator::Local);
    }
}

fn cl_037_a_server_ends_the_transport_first() {
    let mut server = End::with_defaults(Role::Server);
    close(&mut server);
    assert!(!server.conn.wants_shutdown());
    peer_closes(&mut server);
    assert!(server.conn.wants_shutdown());

    let mut client = End::with_defaults(Role::Client);
    close(&mut client);
    client.wait(Duration::from_secs(2));
    peer_closes(&mut client);
    assert!(!client.conn.wants_shutdown());
    client.wait(Duration::from_millis(2900));
    assert!(!client.conn.wants_shutdown());
    client.wait(Duration::from_millis(100));
    assert!(client.conn.wants_shutdown());
    assert_clean(&client, Initiator::Local);

    // A server gives the client a second to end its direction.
    server.wait(Duration::from_millis(900));
    assert_eq!(server.conn.state(), State::Closing);
    server.wait(Duration::from_millis(100));
    assert_clean(&server, Initiator::Local);

    // It waits no longer than the deadline for closing.
    let hasty = config(|config| config.close_timeout = Some(Duration::from_millis(300)));
    let mut server = End::new(Role::Server, &hasty);
    peer_closes(&mut server);
    server.wait(Duration::from_millis(300));
    assert_clean(&server, Initiator::Peer);

    // It discards no more than 64 KiB.
    let mut server = End::with_defaults(Role::Server);
    peer_closes(&mut server);
    server.feed(&[0; (64 << 10) - 1]);
    assert_eq!(server.conn.state(), State::Closing);
    server.feed(&[0]);
    assert_clean(&server, Initiator::Peer);
}

fn cl_038_data_after_our_close_is_bounded_by_the_deadline() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        close(&mut end);
        let data = end.wire(FIN | BINARY, [0; 1000]);
        let memory = measure(|| {
            for _ in 0..49 {
                end.wait(Duration::from_millis(100));
                for _ in 0..100 {
                    end.feed(&data);
                    assert_eq!(end.events.pop(), Some(Event::Data(vec![0; 1000].into())));
                }
            }
        });
        assert!(memory.bytes_max <= 64 << 10, "{memory:?}");
        end.wait(Duration::from_millis(100));
        assert_lost(&end, ConnectionError::TimedOut(Deadline::Close));
        end.feed(&data);
        assert_eq!(end.events, []);
    }
}

fn cl_039_simultaneous_closes_are_clean() {
    // The messages of each end, and every order in which the bytes of both arrive.
    for order in 0_u32..1 << 12 {
        if order.count_ones() != 8 {
            continue;
        }
        for server_first in [false, true] {
            let mut server = End::with_defaults(Role::Server);
            let mut client = End::with_defaults(Role::Client);
            if server_first {
                close(&mut server);
                close(&mut client);
            } else {
                close(&mut client);
                close(&mut server);
            }
            let to_server = client.out.clone();
            let to_client = server.out.clone();
            assert_eq!((to_server.len(), to_client.len()), (8, 4));
            let (mut to_server, mut to_client) = (to_server.iter(), to_client.iter());
            for place in 0..12 {
                if order >> place & 1 == 1 {
                    server.feed(&[*to_server.next().expect("eight bytes")]);
                } else {
                    client.feed(&[*to_client.next().expect("four bytes")]);
                }
            }
            server.eof();
            client.eof();
            for end in [&server, &client] {
                assert_clean(end, Initiator::Local);
                assert!(matches!(end.events.as_slice(), [Event::Close(Some(_))]));
            }
        }
    }
}

fn cl_040_eof_without_a_close_is_1006() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        end.frame(0x81, "Hello");
        end.eof();
        assert_lost(&end, ConnectionError::Lost(Lost::Eof));
        assert_eq!(closed(&end).initiator, Initiator::Peer);
        assert_eq!(end.events.len(), 1);
        assert!(end.out.is_empty());
    }
}

fn cl_041_a_message_cut_short_is_never_delivered() {
    for role in ROLES {
        let one = Frame::text("Hello").from(other(role));
        let two = [
            Frame::new(TEXT, "Hel"),
            Frame::new(FIN | CONTINUATION, "lo"),
        ];
        let two = frames::wire(&two, other(role));
        let long = Frame::binary([0; 300]).from(other(role));
        for input in [one, two, long] {
            for cut in 1..input.len() {
                let mut end = End::with_defaults(role);
                end.feed(&input[..cut]);
                end.eof();
                assert_lost(&end, ConnectionError::Lost(Lost::Eof));
                assert_eq!(end.events, [], "cut at {cut}");
            }
        }
    }
}

fn cl_042_eof_after_both_closes_is_clean() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        close(&mut end);
        peer_closes(&mut end);
        end.eof();
        assert_clean(&end, Initiator::Local);

        let mut end = End::with_defaults(role);
        peer_closes(&mut end);
        end.eof();
        assert_clean(&end, Initiator::Peer);
    }
}

fn cl_043_a_reset_after_both_closes_is_clean() {
    for role in ROLES {
        for lost in [Lost::Reset, Lost::Failed] {
            let mut end = End::with_defaults(role);
            close(&mut end);
            peer_closes(&mut end);
            end.conn.handle_error(lost);
            end.poll();
            assert_clean(&end, Initiator::Local);

            let mut end = End::with_defaults(role);
            peer_closes(&mut end);
            end.conn.handle_error(lost);
            end.poll();
            assert_clean(&end, Initiator::Peer);
        }
    }
}

fn cl_044_closing_twice_is_closing_once() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        close(&mut end);
        end.conn.close(Some(CloseCode::GOING_AWAY.into()));
        end.conn.close(None);
        end.write();
        assert_eq!(end.closes(), [1000]);
        assert_eq!(end.conn.send("late"), Err(SendError::Closed));
        assert_eq!(end.conn.ping(Default::default()), Err(SendError::Closed));
        assert_eq!(end.conn.pong(Default::default()), Err(SendError::Closed));
        peer_closes(&mut end);
        close(&mut end);
        end.eof();
        assert_clean(&end, Initiator::Local);
        close(&mut end);
        assert_clean(&end, Initiator::Local);

        let mut end = End::with_defaults(role);
        peer_closes(&mut end);
        close(&mut end);
        assert_eq!(end.conn.send("late"), Err(SendError::Closed));
        end.eof();
        assert_clean(&end, Initiator::Peer);
    }
}

fn cl_045_nothing_follows_our_close() {
    let chunk = |data: &'static str, fin| Chunk { data, fin };
    for role in ROLES {
        let mut end = End::with_defaults(role);
        end.conn.send_chunk(chunk("Hel", false)).expect("open");
        end.write();
        close(&mut end);
        assert_eq!(
            end.conn.send_chunk(chunk("lo", true)),
            Err(SendError::Closed)
        );
        end.write();
        let sent = end.sent();
        let sent: Vec<_> = sent.iter().map(|frame| frame.first).collect();
        assert_eq!(sent, [TEXT, CLOSE]);

        // A message that was queued completely is sent completely, in fragments, with the Close after it.
        let config = config(|config| config.send_frame_size = Some(1000));
        let mut end = End::new(role, &config);
        end.conn.send(vec![1; 200_000]).expect("open");
        let _ = end.conn.transmit();
        close(&mut end);
        let sent = end.sent();
        assert_eq!(sent.len(), 201);
        assert!(sent[199].is_last() && !sent[198].is_last());
        assert_eq!(sent[200].first, CLOSE);
    }
}

fn cl_046_the_close_deadline_runs_from_the_call() {
    for role in ROLES {
        let mut end = End::with_defaults(role);
        end.writable = false;
        end.conn.send(vec![0; 10 << 20]).expect("open");
        end.write();
        end.wait(Duration::from_secs(1));
        close(&mut end);
        end.wait(Duration::from_millis(4900));
        assert_eq!(end.conn.state(), State::Closing);
        end.wait(Duration::from_millis(100));
        assert_lost(&end, ConnectionError::TimedOut(Deadline::Close));
    }
}

fn cl_047_sending_and_closing_at_once_end_once() {
    // The halves act in every order: a message is queued, it is sent, the peer's Close comes.
    for role in ROLES {
        for order in [
            [0, 1, 2],
            [0, 2, 1],
            [2, 0, 1],
            [1, 0, 2],
            [1, 2, 0],
            [2, 1, 0],
        ] {
            let mut end = End::with_defaults(role);
            for step in order {
                match step {
                    0 => drop(end.conn.send(Message::from("Hello"))),
                    1 => end.write(),
                    _ => peer_closes(&mut end),
                }
            }
            end.write();
            end.eof();
            for _ in 0..10 {
                end.poll();
            }
            assert_clean(&end, Initiator::Peer);
            assert!(matches!(end.events.as_slice(), [Event::Close(_)]));
            assert_eq!(end.sent().last().map(|frame| frame.first), Some(CLOSE));
        }
    }
}

fn cl_048_dropped_connections_leave_nothing() {
    let config = config(|_| {});
    for role in ROLES {
        let end = End::new(role, &config);
        let inputs = [
            vec![],
            end.wire(TEXT, "Hel"),
            end.wire(PING, "ping"),
            frames::header(FIN | BINARY, 70_000, end.key()),
        ];
        let memory = measure(|| {
            for number in 0..500_000 {
                let mut end = End::new(role, &config);
                end.writable = false;
                end.conn.send("unsent").expect("open");
                end.copy(&inputs[number % inputs.len()]);
            }
        });
        assert_eq!((memory.count_current, memory.bytes_current), (0, 0));
    }
}
