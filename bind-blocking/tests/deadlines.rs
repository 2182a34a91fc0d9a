//! Deadlines are kept although nothing polls. The tests have a clock of their own.

use std::{fmt::Debug, sync::Arc, time::Duration};

use bowline_blocking::{
    BlockingTransport, Deadline, Error, Event, HandshakeError, Initiator, Message, Role, accept,
};
use testing::threads::{World, config, pair, socket};

const SECOND: Duration = Duration::from_secs(1);
/// How late a call may be, because it looks at the time only between slices of waiting.
const LATE: Duration = Duration::from_millis(50);

/// Returns which deadline ended `call`, and after how long.
fn timed_out<T: Debug>(
    world: &World,
    call: impl FnOnce() -> Result<T, Error>,
) -> (Deadline, Duration) {
    let before = world.now();
    match call() {
        Err(Error::TimedOut(deadline)) => (deadline, world.now() - before),
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_idle_connection_is_kept_alive() {
    let world = World::default();
    let (mut client, mut server) = pair(&world, 4096, config());
    let pinged = world.spawn(move || {
        let mut pings = 0;
        while let Some(event) = server.recv_event().unwrap() {
            pings += usize::from(matches!(event, Event::Ping(_)));
        }
        pings
    });
    let stop = world.clone();
    let received = world.spawn(move || {
        // The server also answers the client's Pings, or the connection would end.
        while let Some(event) = client.recv_event().unwrap() {
            if stop.now() > 4600 * SECOND {
                client.close(None).unwrap();
            }
            assert!(!matches!(event, Event::Data(_)));
        }
        client.latency()
    });
    assert!(received.join().is_some());
    let pings = pinged.join();
    assert!((60..=180).contains(&pings), "{pings} Pings in an hour");
}

#[test]
fn a_peer_that_vanished_is_noticed_by_ping_and_pong() {
    for split in [false, true] {
        let world = World::default();
        let (mut client, _server) = pair(&world, 4096, config());
        let (deadline, after) = if split {
            let (mut receiver, _sender) = client.split();
            timed_out(&world, || receiver.recv())
        } else {
            timed_out(&world, || client.recv())
        };
        assert_eq!(deadline, Deadline::Pong);
        // The Ping is sent after one to two periods of silence.
        assert!(
            (40 * SECOND..60 * SECOND + LATE).contains(&after),
            "{after:?}"
        );
    }
}

#[test]
fn a_peer_that_reads_nothing_is_cut() {
    let world = World::default();
    let (mut client, _server) = pair(&world, 4096, config());
    let (deadline, after) = timed_out(&world, || client.send(vec![1; 1 << 20]));
    assert_eq!(deadline, Deadline::Write);
    assert!(
        (20 * SECOND..20 * SECOND + LATE).contains(&after),
        "{after:?}"
    );
    assert!(client.get_ref().is_none());
}

#[test]
fn a_peer_that_reads_nothing_is_cut_by_a_writer() {
    for receives in [false, true] {
        let world = World::default();
        let (client, _server) = pair(&world, 4096, config());
        let (mut receiver, sender) = client.split();
        let receiving = world.spawn(move || receives.then(|| receiver.recv()));
        let (deadline, after) = timed_out(&world, || sender.send(vec![1; 1 << 20]));
        assert_eq!(deadline, Deadline::Write);
        assert!(
            (20 * SECOND..20 * SECOND + LATE).contains(&after),
            "{after:?}"
        );
        // A thread that is blocked in a read is released.
        assert!(receiving.join().is_none_or(|received| received.is_err()));
    }
}

#[test]
fn writers_who_wait_for_another_are_cut_with_it() {
    let world = World::default();
    let (client, _server) = pair(&world, 4096, config());
    let (_receiver, sender) = client.split();
    let waiting: Vec<_> = (0..4)
        .map(|_| {
            let (world, sender) = (world.clone(), sender.clone());
            let inside = world.clone();
            world.spawn(move || timed_out(&inside, || sender.send(vec![1; 200_000])))
        })
        .collect();
    for waiting in waiting {
        let (deadline, after) = waiting.join();
        assert_eq!(deadline, Deadline::Write);
        assert!(
            (20 * SECOND..20 * SECOND + LATE).contains(&after),
            "{after:?}"
        );
    }
}

#[test]
fn a_close_that_is_not_answered_ends() {
    let world = World::default();
    let (mut client, _server) = pair(&world, 4096, config());
    let (deadline, after) = timed_out(&world, || client.close(None));
    assert_eq!(deadline, Deadline::Close);
    assert!(
        (5 * SECOND..5 * SECOND + LATE).contains(&after),
        "{after:?}"
    );
    assert_eq!(client.recv().unwrap(), None);
}

#[test]
fn a_write_half_that_closes_frees_the_reader() {
    let world = World::default();
    let (client, _server) = pair(&world, 4096, config());
    let (mut receiver, sender) = client.split();
    let receiving = world.spawn(move || (receiver.recv(), receiver.closed()));
    let (deadline, after) = timed_out(&world, || sender.close(None));
    assert_eq!(deadline, Deadline::Close);
    assert!(
        (5 * SECOND..5 * SECOND + LATE).contains(&after),
        "{after:?}"
    );
    let (received, closed) = receiving.join();
    assert!(received.is_err(), "{received:?}");
    assert!(!closed.unwrap().clean);
}

/// Of the deadlines that apply, the earliest one ends the call.
#[test]
fn a_close_that_cannot_leave_ends() {
    let world = World::default();
    let (client, _server) = pair(&world, 4, config());
    let (_receiver, sender) = client.split();
    let (deadline, after) = timed_out(&world, || sender.close(None));
    assert_eq!(deadline, Deadline::Close);
    assert!(
        (5 * SECOND..5 * SECOND + LATE).contains(&after),
        "{after:?}"
    );
}

#[test]
fn a_reader_notices_that_the_other_half_has_closed() {
    for keep_alive in [Some(20 * SECOND), None] {
        let world = World::default();
        let mut config = config();
        config.keep_alive = keep_alive;
        let (client, _server) = pair(&world, 4096, config);
        let (mut receiver, sender) = client.split();
        let inside = world.clone();
        let receiving = world.spawn(move || timed_out(&inside, || receiver.recv()));
        // The thread is blocked in a read by then.
        world.sleep(SECOND);
        sender.finish(None).unwrap();
        let (deadline, after) = receiving.join();
        assert_eq!(deadline, Deadline::Close);
        assert!(
            (6 * SECOND..=11 * SECOND + LATE).contains(&after),
            "{after:?}"
        );
    }
}

#[test]
fn without_deadlines_a_call_waits_for_ever() {
    let world = World::default();
    let mut config = config();
    config.keep_alive = None;
    let config = Arc::new(config);
    let (a, b) = world.pipe(4096);
    let calls = a.calls.clone();
    let mut client = socket(a, Role::Client, &config);
    let receiving = world.spawn(move || client.recv().unwrap());
    world.sleep(1_000_000 * SECOND);
    let mut server = socket(b, Role::Server, &config);
    server.send("at last").unwrap();
    assert_eq!(receiving.join(), Some(Message::from("at last")));
    // The first read lasts as long as the thread keeps its memory, and the second has no timeout.
    assert_eq!(calls.lock().unwrap().reads, 2);
}

/// A thread that has waited for long reads only a little at first.
#[test]
fn what_comes_after_long_is_received_whole_and_at_once() {
    for splits in [false, true] {
        let world = World::default();
        let (a, b) = world.pipe(1 << 20);
        let calls = a.calls.clone();
        let config = Arc::new(config());
        let mut client = socket(a, Role::Client, &config);
        let inside = world.clone();
        let receiving = world.spawn(move || {
            let mut received = Vec::new();
            let mut note = |message: Option<Message>| received.push((inside.now(), message));
            if splits {
                let (mut receiver, _sender) = client.split();
                (0..6).for_each(|_| note(receiver.recv().unwrap()));
            } else {
                (0..6).for_each(|_| note(client.recv().unwrap()));
            }
            received
        });
        let mut server = socket(b, Role::Server, &config);
        let mut sent = Vec::new();
        for len in [1, 1000, 1020, 5000, 100_000, 500_000] {
            world.sleep(3 * SECOND);
            let message = Message::from(vec![len as u8; len]);
            sent.push((world.now(), Some(message.clone())));
            server.send(message).unwrap();
        }
        assert!(receiving.join() == sent);
        let reads = calls.lock().unwrap().reads;
        assert!(reads < 60, "{reads}");
    }
}

#[test]
fn a_request_that_drips_is_not_waited_for() {
    let world = World::default();
    let (client, server) = world.pipe(4096);
    let before = world.now();
    let dripping = world.clone();
    let drips = world.spawn(move || {
        for byte in b"GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n" {
            dripping.sleep(SECOND);
            if client.write(&[*byte]).is_err() {
                break;
            }
        }
        // The client reads the error response and closes.
        let mut answer = [0; 4096];
        client.set_read_timeout(Some(SECOND)).unwrap();
        client.read(&mut answer)
    });
    let error = accept(server, config()).unwrap_err();
    let after = world.now() - before;
    assert!(matches!(error, HandshakeError::TimedOut), "{error:?}");
    assert!(after >= 10 * SECOND, "{after:?}");
    assert!(after <= 15 * SECOND + LATE, "{after:?}");
    let _ = drips.join();
}

#[test]
fn a_read_timeout_is_not_set_for_each_message() {
    const COUNT: usize = 10_000;
    let world = World::default();
    let (a, b) = world.pipe(4096);
    let calls = b.calls.clone();
    let config = Arc::new(config());
    let mut client = socket(a, Role::Client, &config);
    let mut server = socket(b, Role::Server, &config);
    let echo = world.spawn(move || {
        while let Some(message) = server.recv().unwrap() {
            server.send(message).unwrap();
        }
    });
    let every = world.clone();
    for number in 0..COUNT {
        client.send(number.to_string()).unwrap();
        assert_eq!(client.recv().unwrap(), Some(number.to_string().into()));
        every.sleep(Duration::from_millis(10));
    }
    client.close(None).unwrap();
    echo.join();
    let calls = calls.lock().unwrap();
    assert!(calls.reads >= COUNT, "{}", calls.reads);
    assert!(calls.read_timeouts < COUNT / 50, "{}", calls.read_timeouts);
    assert_eq!(client.closed().unwrap().initiator, Initiator::Local);
}
