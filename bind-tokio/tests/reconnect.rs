//! A client that connects again, against servers in memory and with a clock that jumps to the next event.

use std::{
    future::pending,
    io,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bowline_tokio::{
    Backoff, CloseCode, Closed, Config, Connect, ConnectError, Error, GaveUp, GiveUpReason, Io,
    Message, Offline, Outage, Reconnect, ReconnectEvent, ReconnectSendError, ReconnectState,
    Response, SendError, WebSocket, accept, connector,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex},
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout},
};

/// A way for the server to treat a connection.
#[derive(Clone, Copy, Debug)]
enum Serve {
    /// It refuses the TCP connection.
    Nothing,
    /// It never answers.
    Silence,
    /// It answers the request with these octets.
    Answer(&'static str),
    /// It opens the connection, sends `hello`, and then closes with this code.
    Close(u16),
    /// It opens the connection, sends `hello`, and drops the connection after a time.
    Drop(Duration),
    /// It opens the connection and reports every message that comes.
    Listen,
    /// As `Listen`, but it drops the connection after a time.
    ListenFor(Duration),
    /// It opens the connection and reads nothing, and drops it after a time.
    Deaf(Duration),
}

/// The times at which the server was asked for a connection, and the messages that came, with the number of the connection.
#[derive(Clone, Default)]
struct Seen {
    times: Arc<Mutex<Vec<Duration>>>,
    messages: Arc<Mutex<Vec<(usize, String)>>>,
    closes: Arc<Mutex<Vec<u16>>>,
}

impl Seen {
    fn times(&self) -> Vec<f64> {
        let times = self.times.lock().unwrap();
        times.iter().map(Duration::as_secs_f64).collect()
    }

    fn messages(&self) -> Vec<(usize, String)> {
        self.messages.lock().unwrap().clone()
    }
}

/// Returns what leads to a server that does `serves`, one after the other, and the last for ever.
fn server(serves: impl Into<Vec<Serve>>) -> (Connect, Seen) {
    let (serves, seen) = (serves.into(), Seen::default());
    let (began, count) = (Instant::now(), AtomicUsize::new(0));
    let to_return = seen.clone();
    let connector = connector(move |_, _| {
        let number = count.fetch_add(1, Ordering::Relaxed);
        let serve = serves[number.min(serves.len() - 1)];
        seen.times.lock().unwrap().push(began.elapsed());
        let (near, far) = duplex(4096);
        tokio::spawn(run(serve, number, far, seen.clone()));
        async move {
            match serve {
                Serve::Nothing => Err(io::ErrorKind::ConnectionRefused.into()),
                _ => Ok(near),
            }
        }
    });
    (Connect::new("ws://a.test/").connector(connector), to_return)
}

async fn run(serve: Serve, number: usize, mut far: DuplexStream, seen: Seen) {
    match serve {
        Serve::Nothing => {}
        Serve::Silence => pending().await,
        Serve::Answer(answer) => {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(far.read_u8().await.unwrap());
            }
            far.write_all(answer.as_bytes()).await.unwrap();
            // The client ends first.
            let _ = far.read(&mut [0]).await;
        }
        Serve::Close(code) => {
            let mut socket = opened(far).await;
            let _ = socket.send("hello").await;
            let _ = socket.close(CloseCode::new(code).unwrap()).await;
        }
        Serve::Drop(after) => {
            let mut socket = opened(far).await;
            let _ = socket.send("hello").await;
            let _ = timeout(after, socket.recv()).await;
        }
        Serve::Listen | Serve::ListenFor(_) => {
            let mut socket = opened(far).await;
            let end = sleep(match serve {
                Serve::ListenFor(after) => after,
                _ => secs(1 << 20),
            });
            tokio::pin!(end);
            loop {
                let received = tokio::select! {
                    () = &mut end => return,
                    received = socket.recv() => received,
                };
                let Ok(Some(message)) = received else { break };
                let text = message.as_text().unwrap().to_owned();
                seen.messages.lock().unwrap().push((number, text));
            }
            let code = socket.closed().map_or(0, |closed| closed.code);
            seen.closes.lock().unwrap().push(code);
        }
        Serve::Deaf(after) => {
            let socket = opened(far).await;
            sleep(after).await;
            drop(socket);
        }
    }
}

async fn opened(far: DuplexStream) -> WebSocket<Io<DuplexStream>> {
    accept(far, Config::default()).await.unwrap().open().await
}

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn exact() -> Backoff {
    Backoff::default().jitter(false)
}

/// Writes an event in a few words.
fn word(event: &ReconnectEvent) -> String {
    match event {
        ReconnectEvent::Message(message) => format!("got {}", message.as_text().unwrap()),
        ReconnectEvent::Connected(response) => format!("connected {}", response.status),
        ReconnectEvent::Lost { outage, unsent } => {
            let why = match outage {
                Outage::Closed(closed) => closed.code,
                _ => Closed::ABNORMAL,
            };
            format!("lost {why} {unsent}")
        }
        ReconnectEvent::Waiting {
            delay,
            attempts,
            outage,
        } => {
            format!(
                "waiting {} {attempts} {}",
                delay.as_secs(),
                outage.is_some()
            )
        }
        _ => unreachable!(),
    }
}

/// Returns the events until the socket ends or gives up, at most `count`.
async fn events(socket: &mut Reconnect, count: usize) -> (Vec<String>, Option<GaveUp>) {
    let mut words = Vec::new();
    while words.len() < count {
        match socket.recv_event().await {
            Ok(Some(event)) => words.push(word(&event)),
            Ok(None) => return (words, None),
            Err(gave_up) => return (words, Some(gave_up)),
        }
    }
    (words, None)
}

#[tokio::test(start_paused = true)]
async fn the_connection_comes_back_after_each_kind_of_loss() {
    let (to, seen) = server([
        Serve::Drop(secs(1)),
        Serve::Nothing,
        Serve::Close(1001),
        Serve::Close(1012),
        Serve::Close(4000),
        Serve::Close(1000),
    ]);
    let mut socket = Reconnect::new(to).policy(exact());
    let (words, gave_up) = events(&mut socket, 100).await;
    assert!(gave_up.is_none());
    let expected = "connected 101, got hello, lost 1006 0, waiting 1 1 false, waiting 2 2 true, \
                    connected 101, got hello, lost 1001 0, waiting 4 3 false, \
                    connected 101, got hello, lost 1012 0, waiting 8 4 false, \
                    connected 101, got hello, lost 4000 0, waiting 16 5 false, \
                    connected 101, got hello";
    assert_eq!(words.join(", "), expected);
    assert_eq!(seen.times(), [0., 2., 4., 8., 16., 32.]);
    assert_eq!(socket.state(), ReconnectState::Ended);
    assert!(socket.recv().await.unwrap().is_none());
    let sent = socket.send("late").await;
    assert!(matches!(sent, Err(ReconnectSendError::Ended(_))));
}

#[tokio::test(start_paused = true)]
async fn a_code_that_is_fatal_ends_it_and_says_so() {
    for code in [1002, 1003, 1007, 1008, 1009, 1010] {
        let (to, seen) = server([Serve::Close(code)]);
        let mut socket = Reconnect::new(to);
        assert_eq!(
            socket.recv().await.unwrap().unwrap(),
            Message::from("hello")
        );
        let gave_up = socket.recv().await.unwrap_err();
        assert_eq!(gave_up.reason, GiveUpReason::Fatal);
        assert!(matches!(&gave_up.outage, Outage::Closed(closed) if closed.code == code));
        assert!(gave_up.to_string().contains(&code.to_string()), "{gave_up}");
        assert!(
            socket.recv().await.unwrap().is_none(),
            "the error is returned once"
        );
        assert_eq!(seen.times().len(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn ten_attempts_are_ten_and_their_delays_are_exact() {
    let (to, seen) = server([Serve::Nothing]);
    let mut socket = Reconnect::new(to).policy(exact().attempts(10));
    let gave_up = socket.recv().await.unwrap_err();
    assert_eq!(
        (gave_up.reason, gave_up.attempts),
        (GiveUpReason::Attempts, 10)
    );
    assert!(
        gave_up.to_string().starts_with("10 attempts failed"),
        "{gave_up}"
    );
    let expected = [0., 1., 3., 7., 15., 31., 61., 91., 121., 151.];
    assert_eq!(seen.times(), expected);
}

#[tokio::test(start_paused = true)]
async fn each_attempt_has_its_own_deadline_and_the_row_a_total_time() {
    let (to, seen) = server([Serve::Silence]);
    let to = to.config(Config::default().handshake_timeout(secs(4)));
    let mut socket = Reconnect::new(to).policy(exact().total(secs(10)));
    let gave_up = socket.recv().await.unwrap_err();
    assert_eq!(gave_up.reason, GiveUpReason::Total);
    assert!(matches!(
        gave_up.outage,
        Outage::NotConnected(ConnectError::TimedOut)
    ));
    // The failures come at 4, 9 and 15 seconds, and the attempt after the last would begin more than 10 s after the first.
    assert_eq!(seen.times(), [0., 5., 11.]);
}

#[tokio::test(start_paused = true)]
async fn jitter_spreads_the_attempts() {
    let mut times = Vec::new();
    for _ in 0..20 {
        let (to, seen) = server([Serve::Nothing]);
        let mut socket = Reconnect::new(to).policy(Backoff::default().attempts(2));
        socket.recv().await.unwrap_err();
        times.push(seen.times()[1]);
    }
    assert!(times.iter().all(|&time| time <= 1.001), "{times:?}");
    times.sort_by(f64::total_cmp);
    times.dedup();
    assert!(times.len() > 10, "{times:?}");
}

const BUSY: &str = "HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
const UNAUTHORIZED: &str = "HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_left_alone_and_one_that_refuses_is_not_asked_again() {
    let (to, seen) = server([
        Serve::Answer(BUSY),
        Serve::Nothing,
        Serve::Answer(UNAUTHORIZED),
    ]);
    let mut socket = Reconnect::new(to).policy(exact());
    let gave_up = socket.recv().await.unwrap_err();
    assert_eq!(gave_up.reason, GiveUpReason::Fatal);
    assert!(gave_up.to_string().contains("401"), "{gave_up}");
    assert_eq!(seen.times(), [0., 7., 9.]);
}

#[tokio::test(start_paused = true)]
async fn the_caller_can_decide_what_is_fatal() {
    let (to, seen) = server([Serve::Answer(UNAUTHORIZED), Serve::Nothing]);
    let refused = |outage: &Outage| {
        let Outage::NotConnected(error) = outage else {
            return false;
        };
        error.response().is_some()
    };
    let mut socket = Reconnect::new(to).policy(exact()).retry_if(refused);
    let gave_up = socket.recv().await.unwrap_err();
    assert_eq!(gave_up.reason, GiveUpReason::Fatal);
    assert_eq!(seen.times(), [0., 1.]);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_lasts_ends_the_row() {
    for (lasts, times) in [(9, [0., 10., 21.]), (10, [0., 11., 22.])] {
        let (to, seen) = server([
            Serve::Drop(secs(lasts)),
            Serve::Drop(secs(lasts)),
            Serve::Close(1000),
        ]);
        let mut socket = Reconnect::new(to).policy(exact());
        events(&mut socket, 100).await;
        assert_eq!(seen.times(), times, "{lasts}");
    }
}

#[tokio::test(start_paused = true)]
async fn on_connect_comes_before_anything_else_and_the_queue_keeps_its_order() {
    let (to, seen) = server([Serve::Nothing, Serve::Listen]);
    let mut socket = Reconnect::new(to)
        .policy(exact())
        .offline(Offline::Queue {
            messages: 3,
            bytes: 10,
        })
        .on_connect(|mut socket| async move {
            sleep(secs(1)).await;
            socket.send("subscribe").await?;
            Ok(socket)
        });
    let sender = socket.sender();
    sender.send("one").await.unwrap();
    sender.send("two").await.unwrap();
    assert_eq!(sender.queued(), 2);
    let full = sender.send("12345").await;
    assert!(
        matches!(full, Err(ReconnectSendError::Full(_))),
        "11 bytes are more than 10"
    );
    sender.send("1234").await.unwrap();
    let full = sender.send("").await;
    assert!(
        matches!(full, Err(ReconnectSendError::Full(_))),
        "4 messages are more than 3"
    );
    let sends = sender.clone();
    tokio::spawn(async move {
        sends.state_change(ReconnectState::Connecting).await;
        while sends.state() != ReconnectState::Open {
            sends.state_change(sends.state()).await;
        }
        while sends.queued() > 0 {
            sleep(Duration::from_millis(1)).await;
        }
        sends.send("direct").await.unwrap();
        sends.stop(CloseCode::NORMAL).await.unwrap();
    });
    assert!(socket.recv().await.unwrap().is_none());
    let messages = seen.messages().into_iter().map(|(_, text)| text);
    assert!(messages.eq(["subscribe", "one", "two", "1234", "direct"]));
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_fails_is_an_outage() {
    let (to, seen) = server([Serve::Listen, Serve::Drop(secs(1)), Serve::Listen]);
    let calls = AtomicUsize::new(0);
    let mut socket = Reconnect::new(to)
        .policy(exact())
        .on_connect(move |socket| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                match call {
                    0 => Err(Error::Send(SendError::Closed).into()),
                    1 => Ok(socket),
                    _ => Err("the token has expired".into()),
                }
            }
        });
    let (words, gave_up) = events(&mut socket, 100).await;
    let expected = "waiting 1 1 true, connected 101, got hello, lost 1006 0, waiting 2 2 false";
    assert_eq!(words.join(", "), expected);
    let gave_up = gave_up.unwrap();
    assert_eq!(gave_up.reason, GiveUpReason::Fatal);
    assert_eq!(
        gave_up.to_string(),
        "on_connect failed: the token has expired"
    );
    assert_eq!(seen.times(), [0., 1., 4.]);
}

#[tokio::test(start_paused = true)]
async fn without_a_connection_a_message_is_refused_or_waits() {
    let (to, seen) = server([Serve::Nothing, Serve::Listen]);
    let socket = Reconnect::new(to.clone()).policy(exact());
    match socket.send("one").await {
        Err(ReconnectSendError::Disconnected(message)) => {
            assert_eq!(message.message(), &Message::from("one"))
        }
        sent => panic!("{sent:?}"),
    }
    drop(socket);
    assert_eq!(seen.times(), [0.; 0]);

    let mut socket = Reconnect::new(to).policy(exact()).offline(Offline::Wait);
    let sender = socket.sender();
    let (done, is_done) = oneshot::channel();
    tokio::spawn(async move {
        sender.send("two").await.unwrap();
        done.send(()).unwrap();
        sender.stop(None).await.unwrap();
    });
    assert!(socket.recv().await.unwrap().is_none());
    is_done.await.unwrap();
    assert_eq!(seen.messages(), [(1, "two".to_owned())]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_was_handed_over_is_counted_and_not_sent_again() {
    let (to, seen) = server([Serve::Deaf(secs(3)), Serve::Listen]);
    let mut socket = Reconnect::new(to).policy(exact()).offline(Offline::Wait);
    let (words, _) = events(&mut socket, 1).await;
    assert_eq!(words, ["connected 101"]);
    let (results, mut sent) = mpsc::unbounded_channel();
    for number in 0..4 {
        let (sender, results) = (socket.sender(), results.clone());
        tokio::spawn(async move {
            let text = format!("{number}{}", "x".repeat(40_000));
            results.send(sender.send(text).await).unwrap();
        });
    }
    drop(results);
    let (words, _) = events(&mut socket, 3).await;
    // Two of 40 kB exceed `send_high_water`, so the others were not handed over.
    assert_eq!(words, ["lost 1006 2", "waiting 1 1 false", "connected 101"]);
    let sender = socket.sender();
    let stops = tokio::spawn(async move {
        let mut failed = 0;
        while let Some(result) = sent.recv().await {
            match result {
                Ok(()) => {}
                Err(ReconnectSendError::Failed(_)) => failed += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        sender.stop(None).await.unwrap();
        failed
    });
    assert!(socket.recv().await.unwrap().is_none());
    assert_eq!(stops.await.unwrap(), 2);
    let messages = seen.messages();
    let mut first: Vec<_> = messages
        .iter()
        .map(|(number, text)| (*number, &text[..1]))
        .collect();
    first.sort_unstable();
    assert_eq!(first, [(1, "2"), (1, "3")]);
}

#[tokio::test(start_paused = true)]
async fn it_stops_in_every_stage() {
    // The connection is never made.
    let (to, _) = server([Serve::Silence]);
    let mut socket = Reconnect::new(to.config(Config::default().handshake_timeout(None)));
    stops(&mut socket, secs(3), ReconnectState::Connecting).await;
    // The hook never ends.
    let (to, _) = server([Serve::Listen]);
    let mut socket = Reconnect::new(to).on_connect(|_| pending());
    stops(&mut socket, secs(3), ReconnectState::Connecting).await;
    // The delay is long.
    let (to, _) = server([Serve::Nothing]);
    let mut socket = Reconnect::new(to).policy(exact().base(secs(30)));
    stops(&mut socket, secs(3), ReconnectState::Waiting).await;
    // There is a connection.
    let (to, seen) = server([Serve::Listen]);
    let mut socket = Reconnect::new(to);
    stops(&mut socket, secs(3), ReconnectState::Open).await;
    assert_eq!(*seen.closes.lock().unwrap(), [1001]);
    // It was not begun.
    let (to, seen) = server([Serve::Listen]);
    let mut socket = Reconnect::new(to);
    socket.stop(None).await.unwrap();
    assert!(socket.recv().await.unwrap().is_none());
    assert_eq!(seen.times(), [0.; 0]);
}

/// Stops the socket after a time, in which it comes to `state`. It ends at once.
async fn stops(socket: &mut Reconnect, after: Duration, state: ReconnectState) {
    let sender = socket.sender();
    let began = Instant::now();
    tokio::spawn(async move {
        sleep(after).await;
        assert_eq!(sender.state(), state);
        sender.stop(CloseCode::GOING_AWAY).await.unwrap();
        sender.stop(CloseCode::NORMAL).await.unwrap();
    });
    assert!(socket.recv().await.unwrap().is_none(), "{state:?}");
    assert!(
        began.elapsed() < after + Duration::from_millis(10),
        "{state:?}"
    );
    assert_eq!(socket.state(), ReconnectState::Ended);
    assert!(socket.recv().await.unwrap().is_none(), "{state:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_loses_nothing() {
    let (to, seen) = server([
        Serve::Nothing,
        Serve::Drop(secs(2)),
        Serve::Answer(BUSY),
        Serve::Close(1000),
    ]);
    let mut socket = Reconnect::new(to)
        .policy(exact())
        .on_connect(|socket| async move {
            sleep(secs(1)).await;
            Ok(socket)
        });
    let mut words = Vec::new();
    loop {
        // Each call is dropped after a moment.
        match timeout(Duration::from_millis(7), socket.recv_event()).await {
            Err(_) => {}
            Ok(Ok(Some(event))) => words.push(word(&event)),
            Ok(Ok(None)) => break,
            Ok(Err(error)) => panic!("{error}"),
        }
    }
    let expected = "waiting 1 1 true, connected 101, got hello, lost 1006 0, waiting 2 2 false, \
                    waiting 7 3 true, connected 101, got hello";
    assert_eq!(words.join(", "), expected);
    let times: Vec<_> = seen.times().into_iter().map(f64::round).collect();
    assert_eq!(times, [0., 1., 5., 12.]);
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_learn_that_it_was_dropped() {
    let (to, _) = server([Serve::Nothing]);
    let socket = Reconnect::new(to).offline(Offline::Wait);
    let sender = socket.sender();
    let waits = tokio::spawn(async move { sender.send("x").await });
    let watches = socket.sender();
    let watches =
        tokio::spawn(async move { watches.state_change(ReconnectState::Connecting).await });
    sleep(secs(1)).await;
    drop(socket);
    assert!(matches!(
        waits.await.unwrap(),
        Err(ReconnectSendError::Ended(_))
    ));
    assert_eq!(watches.await.unwrap(), ReconnectState::Ended);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_is_too_large_is_refused_before_it_is_queued() {
    let (to, _) = server([Serve::Nothing]);
    let to = to.config(Config::default().max_send_size(3));
    let queue = Offline::Queue {
        messages: 9,
        bytes: 99,
    };
    let socket = Reconnect::new(to).offline(queue);
    let sent = socket.send("four").await;
    let too_big = |error: &Error| matches!(error, Error::Send(SendError::TooBig { max: 3 }));
    assert!(matches!(sent, Err(ReconnectSendError::Failed(error)) if too_big(&error)));
    socket.send("one").await.unwrap();
}

/// The peer reads nothing, so every call waits until the one that stops gives up.
#[tokio::test(start_paused = true)]
async fn stop_ends_sends_that_wait_for_the_peer() {
    let (to, _) = server([Serve::Deaf(secs(100))]);
    let mut socket = Reconnect::new(to).offline(Offline::Wait);
    let (words, _) = events(&mut socket, 1).await;
    assert_eq!(words, ["connected 101"]);
    let sends: Vec<_> = (0..3)
        .map(|_| {
            let sender = socket.sender();
            tokio::spawn(async move { sender.send("x".repeat(100_000)).await })
        })
        .collect();
    let sender = socket.sender();
    let began = Instant::now();
    let stops = tokio::spawn(async move {
        sleep(secs(1)).await;
        tokio::join!(sender.stop(CloseCode::NORMAL), sender.stop(None))
    });
    assert!(socket.recv().await.unwrap().is_none());
    // `close_timeout` is 5 s, counted from the Close.
    assert!(began.elapsed() <= secs(12), "{:?}", began.elapsed());
    let (first, second) = stops.await.unwrap();
    assert!(matches!(first, Err(Error::TimedOut(_))), "{first:?}");
    assert!(matches!(second, Err(Error::TimedOut(_))), "{second:?}");
    for send in sends {
        let sent = send.await.unwrap();
        let error = sent.expect_err("it was not read");
        let is_over = matches!(
            error,
            ReconnectSendError::Failed(_) | ReconnectSendError::Ended(_)
        );
        assert!(is_over, "{error:?}");
    }
}

/// Numbers from a seed (Knuth's MMIX).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Servers that do anything, calls that are dropped at any time, and two senders. No message arrives twice, those of a sender
/// arrive in order, and none arrives whose call returned it.
#[tokio::test(start_paused = true)]
async fn no_message_arrives_twice_or_out_of_order() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let serves: Vec<_> = (0..12)
            .map(|_| match random.below(8) {
                0 => Serve::Nothing,
                1 => Serve::Answer(BUSY),
                2 => Serve::Close(1001),
                3 => Serve::Drop(Duration::from_millis(random.below(3000))),
                4 => Serve::Deaf(Duration::from_millis(random.below(3000))),
                _ => Serve::ListenFor(Duration::from_millis(random.below(4000))),
            })
            .chain([Serve::Listen])
            .collect();
        let offline = match random.below(3) {
            0 => Offline::Fail,
            1 => Offline::Wait,
            _ => Offline::Queue {
                messages: 5,
                bytes: 50_000,
            },
        };
        let (to, seen) = server(serves);
        let policy = Backoff::default().base(Duration::from_millis(500));
        let mut socket = Reconnect::new(to).policy(policy).offline(offline);
        let sends: Vec<_> = (0..2)
            .map(|name| tokio::spawn(sends(socket.sender(), name, Random(seed))))
            .collect();
        let sender = socket.sender();
        let stops = tokio::spawn(async move {
            let mut returned = Vec::new();
            for send in sends {
                returned.extend(send.await.unwrap());
            }
            let _ = sender.stop(CloseCode::NORMAL).await;
            returned
        });
        loop {
            let patience = Duration::from_millis(random.below(200));
            match timeout(patience, socket.recv()).await {
                Err(_) | Ok(Ok(Some(_))) => {}
                Ok(Ok(None)) => break,
                Ok(Err(error)) => panic!("seed {seed}: {error}"),
            }
        }
        let returned = stops.await.unwrap();
        // The last connection's messages are all read.
        sleep(secs(1)).await;
        let messages = seen.messages();
        for name in 0..2 {
            let of_sender = messages.iter().filter_map(|(_, text)| {
                let (sender, number) = text.trim_end_matches('x').split_once(' ')?;
                (sender == name.to_string()).then(|| number.parse::<u32>().unwrap())
            });
            let numbers: Vec<_> = of_sender.collect();
            assert!(
                numbers.is_sorted_by(|a, b| a < b),
                "seed {seed}: {numbers:?}"
            );
        }
        for text in returned {
            assert!(
                messages.iter().all(|(_, it)| *it != text),
                "seed {seed}: {text}"
            );
        }
    }
}

/// Sends numbered messages, and returns those that were returned.
async fn sends(
    sender: bowline_tokio::ReconnectSender,
    name: u32,
    mut random: Random,
) -> Vec<String> {
    let mut returned = Vec::new();
    for number in 0..20 {
        let text = format!(
            "{name} {number}{}",
            "x".repeat(random.below(20_000) as usize)
        );
        match timeout(secs(random.below(5)), sender.send(&text)).await {
            Ok(Err(ReconnectSendError::Failed(_))) | Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => returned.push(text),
        }
        sleep(Duration::from_millis(random.below(2000))).await;
    }
    returned
}

#[test]
fn its_parts_move_between_threads() {
    const fn moves<T: Send + 'static>() {}
    const fn shared<T: Send + Sync + Clone + 'static>() {}
    moves::<Reconnect>();
    const fn sends<T: Send>(_: &T) {}
    let mut socket = Reconnect::new("ws://a.test");
    sends(&async move {
        let _ = socket.send("x").await;
        let _ = socket.stop(None).await;
        socket.recv().await
    });
    shared::<bowline_tokio::ReconnectSender>();
    moves::<Response>();
}
