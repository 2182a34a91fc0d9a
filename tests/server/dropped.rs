//! Clients that break off anywhere or do not read, and futures of the server that are dropped.

use std::{
    io::Write,
    net::TcpStream,
    time::{Duration, Instant},
};

use bind::{Stop, Tracker};
use bowline_blocking::{Config, accept_any, connect};

use crate::{SECOND, bindings::*, echoes, eventually, for_each_binding, open, server};

for_each_binding! {
    a_client_may_break_off_after_any_byte,
    a_stop_that_nobody_waits_for_goes_on,
    a_client_that_does_not_read_does_not_hold_up_an_order,
}

const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\n\r\n\x82\x80\0\0\0\0\x88\x80\0\0\0\0";

/// By a reset or an end, after each byte of the request, of a message and of the Close.
fn a_client_may_break_off_after_any_byte<B: Binding>() {
    let events = Events::default();
    let server = server::<B>(&events).max_connections(8).max_per_address(8);
    let server = Running::<B>::start(server);
    for end in 0..=REQUEST.len() {
        for resets in [false, true] {
            let mut stream = TcpStream::connect(server.addr).unwrap();
            let _ = stream.write_all(&REQUEST[..end]);
            if resets {
                let socket = socket2::SockRef::from(&stream);
                socket.set_linger(Some(Duration::ZERO)).unwrap();
            }
            drop(stream);
        }
        if end % 8 == 0 {
            // A slot that was lost would show here.
            eventually("a client gets in", || {
                connect(server.url("/ws")).is_ok_and(|(mut client, _)| {
                    echoes(&mut client);
                    client.close(None).is_ok()
                })
            });
        }
    }
    eventually("nothing is left", || server.tracker.count() == 0);
    let count = |what: &str| {
        events
            .lock()
            .iter()
            .filter(|it| it.starts_with(what))
            .count()
    };
    eventually("each visit ends once", || {
        count("opened") == count("closed")
    });
}

/// `serve` tells the sockets, even if the call of `stop` is gone.
fn a_stop_that_nobody_waits_for_goes_on<B: Binding>() {
    let mut server = Running::<B>::start(server::<B>(&Events::default()));
    let mut client = open(&server.url("/ws"));
    echoes(&mut client);
    B::begin_stop(&server.tracker, Stop::within(10 * SECOND));
    assert_eq!(client.recv().unwrap(), None);
    assert_eq!(client.closed().unwrap().code, 1001);
    eventually("it stopped", || server.has_ended());
    assert_eq!(server.stop(SECOND), 0);
}

/// The Close cannot be sent, because the handler waits for room. It ends at the deadline of the stop, or at once if it is
/// aborted.
fn a_client_that_does_not_read_does_not_hold_up_an_order<B: Binding>() {
    let mut server = Running::<B>::start(server::<B>(&Events::default()));
    let clients = ["/flood", "/flood/half", "/flood"].map(|path| open(&server.url(path)));
    eventually("all are open", || server.tracker.count() == 3);
    std::thread::sleep(SECOND / 2);
    let last = server.tracker.list().last().unwrap().id;
    assert!(server.tracker.close(last, None));
    assert!(server.tracker.abort(last));
    eventually("it has ended", || server.tracker.count() == 2);
    let begin = Instant::now();
    assert_eq!(server.stop(SECOND), 2);
    assert!(begin.elapsed() < 3 * SECOND);
    drop(clients);
}

/// A server that is no longer served does not listen, but its sockets go on, and its tracker stops them.
#[test]
fn a_server_that_is_no_longer_served() {
    type Server = bowline_tokio::Server;
    let runtime = ::tokio::runtime::Runtime::new().unwrap();
    let server: Server = Server::bind("127.0.0.1:0").unwrap();
    let server = Tokio::handlers(server, Events::default());
    let (url, tracker) = (
        format!("ws://{}/ws", server.local_addrs()[0]),
        server.tracker(),
    );
    let serving = runtime.spawn(async { server.serve().await });
    let mut client = open(&url);
    serving.abort();
    eventually("it does not listen", || connect(url.as_str()).is_err());
    echoes(&mut client);
    let reading = std::thread::spawn(move || (client.recv().unwrap(), client));
    assert_eq!(runtime.block_on(tracker.stop(5 * SECOND)), 0);
    let (received, client) = reading.join().unwrap();
    assert_eq!((received, client.closed().unwrap().code), (None, 1001));
}

/// A blocking server that accepts by itself can track its sockets as well.
#[test]
fn a_tracker_without_a_server() {
    let tracker = Tracker::<bowline_blocking::Threads>::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let tracking = tracker.clone();
    let serving = std::thread::spawn(move || {
        let (stream, peer) = listener.accept().unwrap();
        let mut socket = accept_any(stream, Config::default()).unwrap();
        tracking.track(&mut socket, Some(peer), "/");
        assert_eq!(socket.recv().unwrap(), None);
    });
    let (mut client, _) = connect(url).unwrap();
    eventually("it is tracked", || tracker.count() == 1);
    let reading = std::thread::spawn(move || {
        assert_eq!(client.recv().unwrap(), None);
        client.closed().unwrap().code
    });
    assert_eq!(tracker.stop(5 * SECOND), 0);
    assert_eq!(reading.join().unwrap(), 1001);
    serving.join().unwrap();
}
