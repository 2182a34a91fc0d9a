//! The limits of a server: how many clients it lets in, and for how long.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpStream},
    time::Instant,
};

use bind::{
    Connect,
    proto::{Config, Message},
};
use bowline_blocking::connect;

use crate::{
    Client, SECOND, ask, bindings::*, echoes, eventually, for_each_binding, get, open, refused,
    server,
};

for_each_binding! {
    an_address_has_only_so_many_connections,
    the_clients_of_a_proxy_count_for_themselves,
    the_oldest_handshake_makes_room,
    a_proxy_says_whom_a_connection_is_from,
    only_a_proxy_may_send_its_header,
    a_proxy_that_says_nothing_is_closed,
    a_handler_may_run_only_so_long,
    the_sockets_have_the_options_of_the_server,
    a_full_server_answers_only_some,
    headers_of_clients_are_not_believed,
}

/// Returns what the handler of `/who` sends.
pub(crate) fn who(to: impl Into<Connect>) -> String {
    let (mut client, _) = connect(to).unwrap();
    let Some(Message::Text(known)) = client.recv().unwrap() else {
        panic!("nothing was sent")
    };
    assert_eq!(client.recv().unwrap(), None);
    known.to_string()
}

fn an_address_has_only_so_many_connections<B: Binding>() {
    let server = server::<B>(&Events::default()).max_per_address(2);
    let server = Running::<B>::start(server);
    let mut first = open(&server.url("/ws"));
    let _second = open(&server.url("/ws"));
    let response = refused(server.url("/ws"));
    assert_eq!(response.status, 503);
    assert_eq!(response.headers.get("Retry-After"), Some(&b"5"[..]));
    first.close(None).unwrap();
    eventually("the slot is free", || server.tracker.count() == 1);
    echoes(&mut open(&server.url("/ws")));
}

fn forwarded(server: &Running<impl Binding>, path: &str, field: &str) -> Connect {
    Connect::new(server.url(path)).header("X-Forwarded-For", field.to_owned())
}

fn the_clients_of_a_proxy_count_for_themselves<B: Binding>() {
    let server = server::<B>(&Events::default())
        .max_per_address(1)
        .forwarded(["127.0.0.0/8".parse().unwrap()]);
    let server = Running::<B>::start(server);
    let mut clients: Vec<Client> = ["192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8:0:1::1"]
        .into_iter()
        .map(|addr| connect(forwarded(&server, "/ws", addr)).unwrap().0)
        .collect();
    clients.iter_mut().for_each(echoes);
    for again in ["192.0.2.1", "::ffff:192.0.2.2", "2001:db8::2"] {
        assert_eq!(
            refused(forwarded(&server, "/ws", again)).status,
            503,
            "{again}"
        );
    }
    // A client that contradicts its proxy makes itself unknown, and then counts for the proxy.
    let unknown = || forwarded(&server, "/ws", "192.0.2.9").header("Forwarded", "for=192.0.2.8");
    let first = connect(unknown()).unwrap();
    assert_eq!(refused(unknown()).status, 503);
    drop((clients, first));
    eventually("the slots are free", || server.tracker.count() == 0);
    let (mut client, _) = connect(forwarded(&server, "/ws", "192.0.2.1")).unwrap();
    echoes(&mut client);
}

fn the_oldest_handshake_makes_room<B: Binding>() {
    let server = server::<B>(&Events::default()).max_handshakes(3);
    let server = Running::<B>::start(server);
    let connect = || {
        let mut stream = TcpStream::connect(server.addr).unwrap();
        stream.write_all(b"GET /ws HTTP/1.1\r\n").unwrap();
        stream.set_read_timeout(Some(5 * SECOND)).unwrap();
        stream
    };
    let mut slow: Vec<TcpStream> = (0..3).map(|_| connect()).collect();
    std::thread::sleep(SECOND / 5);
    let begin = Instant::now();
    echoes(&mut open(&server.url("/ws")));
    // The first was closed without an answer, and the others still wait.
    let mut answer = Vec::new();
    let _ = slow[0].read_to_end(&mut answer);
    assert_eq!(answer, b"");
    assert!(begin.elapsed() < 4 * SECOND);
    for stream in &mut slow[1..] {
        stream.set_read_timeout(Some(SECOND / 20)).unwrap();
        assert!(stream.read(&mut [0]).is_err());
    }
}

fn proxied(server: &Running<impl Binding>, header: &[u8]) -> String {
    const REQUEST: &[u8] =
        b"GET /who HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n";
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(3 * SECOND)).unwrap();
    // It may have been closed already.
    let _ = stream.write_all(&[header, REQUEST].concat());
    let _ = stream.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

const V2: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

fn a_proxy_says_whom_a_connection_is_from<B: Binding>() {
    let server = server::<B>(&Events::default()).proxy_protocol(["127.0.0.1".parse().unwrap()]);
    let server = Running::<B>::start(server);
    let answer = proxied(&server, b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n");
    assert!(answer.contains("client: Some(192.0.2.7:4711)"), "{answer}");
    let mut header = V2.to_vec();
    header.extend([
        0x21, 0x11, 0, 12, 192, 0, 2, 9, 192, 0, 2, 8, 0x12, 0x67, 0, 80,
    ]);
    let answer = proxied(&server, &header);
    assert!(answer.contains("client: Some(192.0.2.9:4711)"), "{answer}");
    // The connection is the proxy's own.
    let mut header = V2.to_vec();
    header.extend([0x20, 0, 0, 0]);
    let answer = proxied(&server, &header);
    assert!(answer.contains("client: Some(127.0.0.1:"), "{answer}");
    for wrong in [
        &b""[..],
        b"PROXY TCP4 192.0.2.7\r\n",
        b"PROXY TCP6 192.0.2.7 192.0.2.8 4711 80\r\n",
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x02\x01\x01",
    ] {
        assert_eq!(proxied(&server, wrong), "", "{wrong:?}");
    }
}

fn only_a_proxy_may_send_its_header<B: Binding>() {
    let listed = server::<B>(&Events::default()).proxy_protocol(["192.0.2.0/24".parse().unwrap()]);
    let listed = Running::<B>::start(listed);
    let header = b"PROXY TCP4 192.0.2.7 192.0.2.8 4711 80\r\n";
    assert_eq!(proxied(&listed, header), "", "the peer is not listed");
    let none = Running::<B>::start(server::<B>(&Events::default()));
    let answer = proxied(&none, header);
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
}

fn a_proxy_that_says_nothing_is_closed<B: Binding>() {
    let server = server::<B>(&Events::default()).proxy_protocol(["127.0.0.1".parse().unwrap()]);
    let server = Running::<B>::start(server);
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.write_all(b"PROXY TCP4 192").unwrap();
    stream.set_read_timeout(Some(20 * SECOND)).unwrap();
    let begin = Instant::now();
    let _ = stream.read_to_end(&mut Vec::new());
    assert!(begin.elapsed() > 4 * SECOND && begin.elapsed() < 15 * SECOND);
}

fn a_handler_may_run_only_so_long<B: Binding>() {
    let mut config = Config::default();
    config.close_timeout = Some(SECOND / 5);
    let server = server::<B>(&Events::default())
        .config(config)
        .handler_deadline(SECOND / 2);
    let server = Running::<B>::start(server);
    let mut client = open(&server.url("/ws"));
    echoes(&mut client);
    let begin = Instant::now();
    assert_eq!(client.recv().unwrap(), None);
    assert_eq!(client.closed().unwrap().code, 1001);
    assert!(begin.elapsed() > SECOND / 4 && begin.elapsed() < 5 * SECOND);
    // This handler does not look at its socket, which is ended after `close_timeout`.
    assert!(open(&server.url("/stuck")).recv().is_err());
    assert!(begin.elapsed() < 8 * SECOND);
    drop(server);
    // A deadline that comes first counts, although a later one was known before.
    let mut config = Config::default();
    config.close_timeout = Some(10 * SECOND);
    let server = crate::server::<B>(&Events::default()).config(config);
    let mut server = Running::<B>::start(server.handler_deadline(SECOND / 2));
    let mut silent = open(&server.url("/stuck"));
    std::thread::sleep(SECOND);
    let begin = Instant::now();
    assert_eq!(open(&server.url("/ws")).recv().unwrap(), None);
    assert!(begin.elapsed() < 4 * SECOND);
    assert_eq!(server.stop(SECOND / 10), 1);
    assert!(silent.recv().is_err());
}

fn the_sockets_have_the_options_of_the_server<B: Binding>() {
    let server = server::<B>(&Events::default());
    let server = Running::<B>::start(server.notsent_lowat(1 << 16));
    let known = who(server.url("/who"));
    assert!(known.contains("options: Some((true, 65536))"), "{known}");
    let server = crate::server::<B>(&Events::default()).nodelay(false);
    let known = who(Running::<B>::start(server).url("/who/anything"));
    assert!(known.contains("options: Some((false, "), "{known}");
}

fn a_full_server_answers_only_some<B: Binding>() {
    let server = server::<B>(&Events::default()).max_connections(0);
    let server = Running::<B>::start(server);
    // None of them sends a request, so each keeps one of the places for a second.
    let idle: Vec<_> = (0..64)
        .map(|_| TcpStream::connect(server.addr).unwrap())
        .collect();
    std::thread::sleep(SECOND / 5);
    let mut stream = TcpStream::connect(server.addr).unwrap();
    stream.set_read_timeout(Some(SECOND / 2)).unwrap();
    let closed = stream.read(&mut [0]);
    assert!(
        matches!(closed, Ok(0))
            || closed.is_err_and(|it| it.kind() != std::io::ErrorKind::WouldBlock)
    );
    drop(idle);
    eventually("it answers again", || {
        get(&server, "GET", "/").starts_with("HTTP/1.1 503 ")
    });
    let long = format!(
        "GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n",
        "x".repeat(9000)
    );
    assert!(!ask(&server, &long).starts_with("HTTP/1.1 503 "));
}

fn headers_of_clients_are_not_believed<B: Binding>() {
    let long = format!("{}192.0.2.1", "10.0.0.1, ".repeat(700));
    let own = Running::<B>::start(server::<B>(&Events::default()));
    let known = who(forwarded(&own, "/who", "192.0.2.1"));
    assert!(known.contains("client: Some(127.0.0.1:"), "{known}");
    let trusting = server::<B>(&Events::default())
        .forwarded(["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap()]);
    let trusting = Running::<B>::start(trusting);
    for (field, client) in [
        ("192.0.2.1, 10.0.0.1", "Some(192.0.2.1:0)"),
        ("127.0.0.1, 192.0.2.1, 10.0.0.1", "Some(192.0.2.1:0)"),
        ("10.0.0.2, 10.0.0.1", "Some(10.0.0.2:0)"),
        ("192.0.2.1, nonsense", "None"),
        (&long, "Some(192.0.2.1:0)"),
    ] {
        let known = who(forwarded(&trusting, "/who", field));
        assert!(known.contains(&format!("client: {client}")), "{known}");
        assert!(known.contains("peer: Some(127.0.0.1:"), "{known}");
    }
}
