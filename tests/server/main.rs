//! A server on each binding, over real sockets. Its clients are of the blocking binding, or bare TCP.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

use bind::{
    Connect, ConnectError, Server,
    proto::{CloseCode, Config, Message, handshake::Response},
};
use bowline_blocking::{ClientStream, WebSocket, connect};

mod bindings;
mod dropped;
mod limits;
mod policy;

use bindings::{Binding, Events, Running};

/// Makes the tests of a list for each binding.
macro_rules! for_each_binding {
    ($($test:ident,)*) => {
        $crate::for_each_binding!(tokio Tokio $($test)*);
        $crate::for_each_binding!(smol Smol $($test)*);
        $crate::for_each_binding!(blocking Blocking $($test)*);
    };
    ($name:ident $binding:ident $($test:ident)*) => {
        mod $name {
            $(
                #[test]
                fn $test() {
                    super::$test::<crate::bindings::$binding>();
                }
            )*
        }
    };
}
use for_each_binding;

for_each_binding! {
    the_eleventh_client_of_ten_is_told_that_the_server_is_full,
    a_path_leads_to_a_socket_to_a_page_or_nowhere,
    a_slot_is_free_after_every_kind_of_end,
    a_handler_that_panics_ends_its_own_socket_only,
    stopping_tells_each_socket_and_frees_the_address,
    stopping_twice_is_stopping_once,
    a_handler_that_never_returns_does_not_hold_up_the_stop,
    a_client_that_keeps_a_page_open_does_not_hold_up_the_stop,
    one_socket_can_be_closed_or_ended,
}

type Client = WebSocket<ClientStream>;

/// A way to leave.
type Leave = fn(Client);

const SECOND: Duration = Duration::from_secs(1);

fn server<B: Binding>(events: &Events) -> Server<B::Host> {
    let server = Server::on(B::host()).listen("127.0.0.1:0").unwrap();
    B::handlers(server, events.clone())
}

fn open(url: &str) -> Client {
    connect(url).unwrap().0
}

fn addr_of(client: &Client) -> SocketAddr {
    let stream = client.get_ref().and_then(|io| io.get_ref());
    stream.unwrap().local_addr().unwrap()
}

/// Returns the response to a client that is refused.
fn refused(to: impl Into<Connect>) -> Response {
    match connect(to) {
        Ok(_) => panic!("it was let in"),
        Err(error) => match error.response() {
            Some(response) => response.clone(),
            None => panic!("{error}: {error:?}"),
        },
    }
}

/// Sends a request, and returns everything that the server answers before it ends or resets the connection.
fn ask(server: &Running<impl Binding>, request: &str) -> String {
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(10 * SECOND)).unwrap();
    let mut answer = Vec::new();
    // It may have been closed already.
    let _ = stream.write_all(request.as_bytes());
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

fn get(server: &Running<impl Binding>, method: &str, target: &str) -> String {
    ask(
        server,
        &format!("{method} {target} HTTP/1.1\r\nHost: a.test\r\n\r\n"),
    )
}

fn echoes(client: &mut Client) {
    client.send("hello").unwrap();
    assert_eq!(client.recv().unwrap(), Some(Message::from("hello")));
}

/// Waits until `holds`, because a server learns of the end of a client a little later.
fn eventually(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < 10 * SECOND, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// The server of nanoFramework, with its limit and its answer.
fn the_eleventh_client_of_ten_is_told_that_the_server_is_full<B: Binding>() {
    let events = Events::default();
    let server = Running::<B>::start(
        server::<B>(&events)
            .max_connections(10)
            .retry_after(7 * SECOND),
    );
    let mut clients: Vec<_> = (0..10).map(|_| open(&server.url("/ws"))).collect();
    clients.iter_mut().for_each(echoes);
    assert_eq!(server.tracker.count(), 10);
    let response = refused(server.url("/ws"));
    assert_eq!(response.status, 503);
    assert_eq!(response.headers.get("Retry-After"), Some(&b"7"[..]));
    let page = get(&server, "GET", "/");
    assert!(page.starts_with("HTTP/1.1 503 "), "{page}");
    for client in &clients {
        let addr = addr_of(client);
        assert_eq!(events.count(&format!("opened {addr}")), 1);
        assert_eq!(events.count(&format!("closed {addr}")), 0);
    }
    clients[3].close(None).unwrap();
    eventually("the slot is free", || server.tracker.count() == 9);
    echoes(&mut open(&server.url("/ws")));
}

fn a_path_leads_to_a_socket_to_a_page_or_nowhere<B: Binding>() {
    let events = Events::default();
    let server = server::<B>(&events).page("/", "text/html", "<h1>here</h1>");
    let server = Running::<B>::start(server);
    echoes(&mut open(&server.url("/ws?a=1&b=/")));
    for path in ["/", "/ws/", "/w", "/WS", "/ws/..", "/%77s", "/ws;a"] {
        assert_eq!(refused(server.url(path)).status, 404, "{path}");
    }
    let page = get(&server, "GET", "/?x=1");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
    assert!(page.contains("\r\nContent-Type: text/html\r\n"), "{page}");
    assert!(page.ends_with("\r\n\r\n<h1>here</h1>"), "{page}");
    let head = get(&server, "HEAD", "/");
    assert!(head.contains("\r\nContent-Length: 13\r\n"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "{head}");
    for target in [
        "/other",
        "/../etc/passwd",
        "//",
        "/%2e%2e/",
        "/./",
        "/ws/../",
    ] {
        let answer = get(&server, "GET", target);
        assert!(answer.starts_with("HTTP/1.1 404 "), "{target}: {answer}");
    }
    let answer = get(&server, "GET", "/ws");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.contains("\r\nSec-WebSocket-Version: 13\r\n"),
        "{answer}"
    );
    let answer = get(&server, "DELETE", "/");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    assert!(answer.contains("\r\nAllow: GET"), "{answer}");
    let answer = ask(&server, "nonsense\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    for (origin, status) in [("https://evil.example", 403), ("null", 403)] {
        let to = Connect::new(server.url("/ws")).origin(origin);
        assert_eq!(refused(to).status, status, "{origin}");
    }
    let own = format!("http://{}", server.addr);
    echoes(
        &mut connect(Connect::new(server.url("/ws")).origin(own))
            .unwrap()
            .0,
    );
}

fn a_slot_is_free_after_every_kind_of_end<B: Binding>() {
    let mut config = Config::default();
    config.keep_alive = Some(Duration::from_millis(100));
    config.pong_timeout = Some(Duration::from_millis(100));
    config.close_timeout = Some(Duration::from_millis(200));
    let events = Events::default();
    let server = server::<B>(&events).max_connections(1).config(config);
    let server = Running::<B>::start(server);
    let leaves: [(&str, Leave); 6] = [
        ("Close", |mut client| {
            client.close(CloseCode::NORMAL).unwrap()
        }),
        ("reset", |client| {
            let stream = client.get_ref().unwrap().get_ref().unwrap();
            socket2::SockRef::from(&**stream)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
        }),
        ("EOF", drop),
        // It never answers a Ping.
        ("timeout", |client| {
            thread::spawn(move || {
                thread::sleep(5 * SECOND);
                drop(client);
            });
        }),
        ("a wrong frame", |client| {
            let stream = client.get_ref().unwrap().get_ref().unwrap();
            let _ = (&mut &**stream).write_all(&[0xFF; 16]);
        }),
        ("the handler returns", |mut client| {
            client.send("leave").unwrap();
            let _ = client.recv();
        }),
    ];
    for (count, (how, leave)) in leaves.into_iter().enumerate() {
        let mut client = open(&server.url("/ws"));
        echoes(&mut client);
        let addr = addr_of(&client);
        assert_eq!(refused(server.url("/ws")).status, 503, "{how}");
        leave(client);
        eventually(how, || events.count(&format!("closed {addr}")) == 1);
        eventually(how, || server.tracker.count() == 0);
        let closed = events
            .lock()
            .iter()
            .filter(|it| it.starts_with("closed"))
            .count();
        assert_eq!(closed, count + 1, "{how}");
    }
}

fn a_handler_that_panics_ends_its_own_socket_only<B: Binding>() {
    let events = Events::default();
    let errors = events.clone();
    let server = server::<B>(&events).on_error(move |error| errors.push(error.to_string()));
    let server = Running::<B>::start(server);
    let mut other = open(&server.url("/ws"));
    let mut client = open(&server.url("/ws"));
    echoes(&mut client);
    client.send("panic").unwrap();
    assert_eq!(client.recv().unwrap(), None);
    assert_eq!(client.closed().unwrap().code, 1011);
    // The sending half belongs to another task.
    let mut client = open(&server.url("/halves"));
    assert_eq!(client.recv().unwrap(), Some(Message::from("hello")));
    client.send("go").unwrap();
    let end = client.recv();
    assert!(matches!(end, Ok(None)), "{end:?}");
    assert_eq!(client.closed().unwrap().code, 1011);
    eventually("it was reported", || {
        let events = events.lock();
        events
            .iter()
            .filter(|it| it.contains("has panicked"))
            .count()
            == 2
    });
    echoes(&mut other);
}

fn stopping_tells_each_socket_and_frees_the_address<B: Binding>() {
    let events = Events::default();
    let mut server = Running::<B>::start(server::<B>(&events));
    let mut clients: Vec<_> = (0..8).map(|_| open(&server.url("/ws"))).collect();
    clients.iter_mut().for_each(echoes);
    let half_open = TcpStream::connect(server.addr).unwrap();
    let clients = thread::spawn(move || {
        for mut client in clients {
            assert_eq!(client.recv().unwrap(), None);
            assert_eq!(client.closed().unwrap().code, 1001);
        }
    });
    assert_eq!(server.stop(10 * SECOND), 0);
    clients.join().unwrap();
    drop(half_open);
    let opened = events
        .lock()
        .iter()
        .filter(|it| it.starts_with("opened"))
        .count();
    let closed = events
        .lock()
        .iter()
        .filter(|it| it.starts_with("closed"))
        .count();
    assert_eq!((opened, closed), (8, 8));
    assert!(matches!(
        connect(server.url("/ws")),
        Err(ConnectError::Io(_))
    ));
    let again = Server::on(B::host()).listen(server.addr).unwrap();
    let twice = Server::on(B::host()).listen(server.addr).unwrap_err();
    assert_eq!(twice.kind(), std::io::ErrorKind::AddrInUse);
    assert!(
        twice.to_string().contains(&server.addr.to_string()),
        "{twice}"
    );
    drop(again);
}

fn stopping_twice_is_stopping_once<B: Binding>() {
    let mut server = Running::<B>::start(server::<B>(&Events::default()));
    let mut client = open(&server.url("/ws"));
    let tracker = server.tracker.clone();
    let first = thread::spawn(move || B::stop(&tracker, (10 * SECOND).into()));
    assert_eq!(client.recv().unwrap(), None);
    assert_eq!(client.closed().unwrap().code, 1001);
    let restart = bind::Stop::within(SECOND).close(CloseCode::SERVICE_RESTART);
    assert_eq!(server.stop(restart), 0);
    assert_eq!(first.join().unwrap(), 0);
}

fn a_handler_that_never_returns_does_not_hold_up_the_stop<B: Binding>() {
    let events = Events::default();
    let mut server = Running::<B>::start(server::<B>(&events));
    let mut client = open(&server.url("/stuck"));
    eventually("it is open", || server.tracker.count() == 1);
    let begin = Instant::now();
    assert_eq!(server.stop(SECOND / 5), 1);
    assert!(begin.elapsed() < 5 * SECOND);
    assert!(client.recv().is_err());
}

fn a_client_that_keeps_a_page_open_does_not_hold_up_the_stop<B: Binding>() {
    let server = server::<B>(&Events::default()).page("/", "text/plain", "a page");
    let mut server = Running::<B>::start(server);
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let begin = Instant::now();
    assert_eq!(server.stop(SECOND / 5), 1);
    assert!(begin.elapsed() < SECOND);
}

fn one_socket_can_be_closed_or_ended<B: Binding>() {
    let server = Running::<B>::start(server::<B>(&Events::default()));
    let mut clients = [open(&server.url("/ws?1")), open(&server.url("/ws?2"))];
    clients.iter_mut().for_each(echoes);
    let list = server.tracker.list();
    assert_eq!(list.len(), 2);
    for (info, client) in list.iter().zip(&clients) {
        let addr = addr_of(client);
        assert_eq!((info.client_addr, &info.path[..]), (Some(addr), "/ws"));
    }
    let [first, second] = &mut clients;
    assert!(
        server
            .tracker
            .close(list[0].id, (CloseCode::POLICY_VIOLATION, "enough"))
    );
    assert_eq!(first.recv().unwrap(), None);
    assert_eq!(first.closed().unwrap().reason.as_str(), "enough");
    echoes(second);
    assert!(server.tracker.abort(list[1].id));
    assert!(second.recv().is_err());
    eventually("both are gone", || server.tracker.count() == 0);
    assert!(!server.tracker.abort(list[1].id) && !server.tracker.close(list[0].id, None));
}
