//! A client that connects again, in threads and over real sockets.

use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpListener},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use bowline_blocking::{
    Backoff, CloseCode, Config, Connect, GiveUpReason, Message, Offline, Outage, Reconnect,
    ReconnectEvent, ReconnectSendError, ReconnectState, WebSocket, accept_any,
};

type Served = WebSocket<bowline_blocking::Io<std::net::TcpStream>>;

/// A server that gives each connection to `serve` with its number, until `serve` returns `false`.
fn server(
    mut serve: impl FnMut(usize, Served) -> bool + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        for number in 0.. {
            let (stream, _) = listener.accept().unwrap();
            let socket = accept_any(stream, Config::default()).unwrap();
            if !serve(number, socket) {
                return;
            }
        }
    });
    (addr, thread)
}

fn soon() -> Backoff {
    Backoff::default().base(Duration::from_millis(10))
}

fn text(message: &Message) -> &str {
    message.as_text().unwrap()
}

#[test]
fn the_connection_comes_back_and_on_connect_comes_first() {
    let (seen, sees) = mpsc::channel();
    let (addr, server) = server(move |number, mut socket| {
        let first = socket.recv().unwrap().unwrap();
        seen.send(format!("{number} {}", text(&first))).unwrap();
        socket.send("hello").unwrap();
        if number == 2 {
            socket.close(CloseCode::NORMAL).unwrap();
        }
        number < 2
    });
    let mut socket = Reconnect::new(format!("ws://{addr}"))
        .policy(soon())
        .on_connect(|socket| Ok(socket.send("subscribe")?));
    let (mut messages, mut opened, mut lost) = (0, 0, 0);
    while let Some(event) = socket.recv_event().unwrap() {
        match event {
            ReconnectEvent::Message(message) => {
                assert_eq!(text(&message), "hello");
                messages += 1;
            }
            ReconnectEvent::Connected(_) => opened += 1,
            ReconnectEvent::Lost { .. } => lost += 1,
            _ => {}
        }
    }
    assert_eq!((messages, opened, lost), (3, 3, 2));
    assert!(
        sees.iter()
            .eq(["0 subscribe", "1 subscribe", "2 subscribe"])
    );
    assert_eq!(socket.state(), ReconnectState::Ended);
    server.join().unwrap();
}

/// One thread receives, the other sends numbers and sends each again until the server has answered it. The server drops
/// each connection in the middle.
#[test]
fn two_threads_work_over_connections_that_are_lost() {
    const NUMBERS: usize = 300;
    let (addr, server) = server(|number, mut socket| {
        for _ in 0..40 {
            match socket.recv() {
                Ok(Some(message)) => drop(socket.feed(message)),
                _ => return number < 1000,
            }
        }
        true
    });
    let mut socket = Reconnect::new(format!("ws://{addr}"))
        .policy(soon())
        .offline(Offline::Wait);
    let sender = socket.sender();
    let (answered, answers) = mpsc::channel::<usize>();
    let sends = thread::spawn(move || {
        let mut missing: BTreeSet<_> = (0..NUMBERS).collect();
        while !missing.is_empty() {
            for number in missing.iter().take(10) {
                // A message that was lost with its connection is still missing, and is sent again.
                let padded = format!("{number} {}", "x".repeat(20_000));
                let _ = sender.send(padded);
            }
            while let Ok(number) = answers.recv_timeout(Duration::from_millis(20)) {
                missing.remove(&number);
            }
        }
        sender.stop(CloseCode::NORMAL).unwrap();
    });
    while let Some(message) = socket.recv().unwrap() {
        let number = text(&message).split(' ').next().unwrap();
        let _ = answered.send(number.parse().unwrap());
    }
    sends.join().unwrap();
    drop(server);
}

/// The queue is larger than what the transport takes, and the server reads only after its own message was read.
#[test]
fn the_queue_is_sent_in_order_while_messages_come() {
    const COUNT: usize = 200;
    let (done, is_done) = mpsc::channel();
    let (addr, server) = server(move |_, mut socket| {
        for _ in 0..COUNT {
            socket.send("x".repeat(100_000)).unwrap();
        }
        for number in 0..COUNT {
            let message = socket.recv().unwrap().unwrap();
            assert!(text(&message).starts_with(&format!("{number} ")));
        }
        done.send(()).unwrap();
        socket.close(CloseCode::NORMAL).unwrap();
        false
    });
    let queue = Offline::Queue {
        messages: COUNT,
        bytes: usize::MAX,
    };
    let mut socket = Reconnect::new(format!("ws://{addr}")).offline(queue);
    for number in 0..COUNT {
        let message = format!("{number} {}", "y".repeat(100_000));
        socket.send(message).unwrap();
    }
    let full = socket.send("one more");
    assert!(matches!(full, Err(ReconnectSendError::Full(_))));
    let mut count = 0;
    while socket.recv().unwrap().is_some() {
        count += 1;
    }
    assert_eq!(count, COUNT);
    is_done.recv().unwrap();
    server.join().unwrap();
}

#[test]
fn it_stops_in_every_stage() {
    // The server accepts no connection, and so never answers.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let to = Connect::new(format!("ws://{}", listener.local_addr().unwrap()));
    let to = to.config(Config::default().handshake_timeout(None));
    stops(Reconnect::new(to), ReconnectState::Connecting);
    // The hook waits for an answer that never comes.
    let (addr, waiting) = server(|_, mut socket| {
        assert!(socket.recv().is_err());
        false
    });
    let waits = Reconnect::new(format!("ws://{addr}"));
    let waits = waits.on_connect(|socket| {
        socket.recv()?;
        Ok(())
    });
    stops(waits, ReconnectState::Connecting);
    waiting.join().unwrap();
    // Nothing listens there.
    drop(listener);
    let slow = Backoff::default()
        .base(Duration::from_secs(600))
        .jitter(false);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    stops(
        Reconnect::new(nowhere).policy(slow),
        ReconnectState::Waiting,
    );
    // There is a connection.
    let (addr, server) = server(|_, mut socket| {
        assert!(socket.recv().unwrap().is_none());
        assert_eq!(socket.closed().unwrap().code, 1001);
        false
    });
    stops(Reconnect::new(format!("ws://{addr}")), ReconnectState::Open);
    server.join().unwrap();
    // It was not begun.
    let mut socket = Reconnect::new("ws://127.0.0.1:1");
    socket.stop(None).unwrap();
    assert!(socket.recv().unwrap().is_none());
}

fn stops(mut socket: Reconnect, state: ReconnectState) {
    let sender = socket.sender();
    let began = Instant::now();
    let stops = thread::spawn(move || {
        while sender.state() != state {
            sender.state_change(sender.state());
        }
        thread::sleep(Duration::from_millis(100));
        sender.stop(CloseCode::GOING_AWAY).unwrap();
        sender.stop(CloseCode::GOING_AWAY).unwrap();
    });
    assert!(socket.recv().unwrap().is_none(), "{state:?}");
    assert!(began.elapsed() < Duration::from_secs(60), "{state:?}");
    stops.join().unwrap();
    assert_eq!(socket.state(), ReconnectState::Ended);
    let sent = socket.send("late");
    assert!(matches!(sent, Err(ReconnectSendError::Ended(_))));
}

#[test]
fn it_gives_up_and_those_who_wait_learn_it() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nowhere = format!("ws://{}", listener.local_addr().unwrap());
    drop(listener);
    let mut socket = Reconnect::new(&nowhere)
        .policy(soon().attempts(3))
        .offline(Offline::Wait);
    let sender = socket.sender();
    let waits = thread::spawn(move || sender.send("x"));
    let gave_up = socket.recv().unwrap_err();
    assert_eq!(
        (gave_up.reason, gave_up.attempts),
        (GiveUpReason::Attempts, 3)
    );
    assert!(matches!(
        waits.join().unwrap(),
        Err(ReconnectSendError::Ended(_))
    ));
    assert!(socket.recv().unwrap().is_none());

    let fatal = |outage: &Outage| !matches!(outage, Outage::NotConnected(_));
    let mut socket = Reconnect::new(nowhere).retry_if(fatal);
    assert_eq!(socket.recv().unwrap_err().reason, GiveUpReason::Fatal);
}

#[test]
fn a_hook_that_fails_ends_the_connection() {
    let (addr, server) = server(|number, mut socket| {
        assert!(socket.recv().is_err());
        number < 1
    });
    let mut socket = Reconnect::new(format!("ws://{addr}"))
        .policy(soon())
        .retry_if(|outage| matches!(outage, Outage::Hook(error) if error.to_string() == "again"))
        .on_connect({
            let calls = std::sync::atomic::AtomicUsize::new(0);
            move |_| match calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) {
                0 => Err("again".into()),
                _ => Err("the token has expired".into()),
            }
        });
    let gave_up = socket.recv().unwrap_err();
    assert_eq!(
        gave_up.to_string(),
        "on_connect failed: the token has expired"
    );
    server.join().unwrap();
}
