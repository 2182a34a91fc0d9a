//! The errors of a client that cannot connect say what happened, at which address, and what to do.

use std::{
    error::Error as _,
    io::{Read, Write},
    net::{SocketAddr, TcpListener},
    thread,
};

use bowline_blocking::{ConnectError, connect};

/// Runs a server that reads one request and answers with `answer`.
fn answering(answer: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(answer);
    });
    addr
}

fn failure(url: &str) -> ConnectError {
    connect(url).err().unwrap()
}

#[test]
fn a_refused_connection_names_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    drop(listener);
    let error = failure(&format!("ws://{addr}/"));
    let says = error.to_string();
    assert!(
        says.starts_with(&format!("cannot connect: {addr}: ")),
        "{says}"
    );
    assert!(error.is_transient());
    assert!(error.source().is_none(), "its own text has the cause");
}

#[test]
fn a_refusal_is_for_now_or_for_good() {
    let cases: [(&[u8], bool); 6] = [
        (b"HTTP/1.1 503 x\r\nContent-Length: 0\r\n\r\n", true),
        (b"HTTP/1.1 429 x\r\nContent-Length: 0\r\n\r\n", true),
        (b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n", false),
        (b"HTTP/1.1 404 x\r\nContent-Length: 0\r\n\r\n", false),
        (b"no HTTP\r\n\r\n", false),
        (b"HTTP/1.1 101", true),
    ];
    for (answer, transient) in cases {
        let error = failure(&format!("ws://{}/", answering(answer)));
        assert_eq!(error.is_transient(), transient, "{error}");
    }
    assert!(!failure("http://127.0.0.1/").is_transient());
}

#[test]
fn a_server_that_hangs_up_may_expect_tls() {
    let error = failure(&format!("ws://{}/", answering(b"")));
    assert!(error.to_string().contains("expects wss://"), "{error}");
    assert!(error.is_transient());
}

#[cfg(feature = "ring")]
#[test]
fn a_server_without_tls_is_told_apart() {
    let answer = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n";
    let error = failure(&format!("wss://{}/", answering(answer)));
    assert!(
        error
            .to_string()
            .starts_with("the server does not speak TLS"),
        "{error}"
    );
    assert!(!error.is_transient());
}
