//! Opens connections to a server, with the shortest client handshake that a server accepts.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::frames::Takeover;

/// The key and the answer of RFC 6455 §1.3.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The number of connections that wait for the server at once.
const WAVE: usize = 50;

/// Opens `count` connections to a server that speaks TCP only. Each sends a byte and waits for it, so
/// that the server's queue of connections does not overflow.
pub(crate) fn connect(addr: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    in_waves(addr, count, b"?", |stream| stream.read_exact(&mut [0]))
}

fn in_waves(
    addr: SocketAddr,
    count: usize,
    request: &[u8],
    mut response: impl FnMut(&mut TcpStream) -> io::Result<()>,
) -> io::Result<Vec<TcpStream>> {
    let mut streams = Vec::with_capacity(count);
    while streams.len() < count {
        let wave = streams.len()..count.min(streams.len() + WAVE);
        for _ in wave.clone() {
            let mut stream = TcpStream::connect(addr)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(request)?;
            streams.push(stream);
        }
        streams[wave].iter_mut().try_for_each(&mut response)?;
    }
    Ok(streams)
}

/// Opens and upgrades `count` connections.
pub(crate) fn upgrade(
    addr: SocketAddr,
    count: usize,
    compression: Option<Takeover>,
) -> io::Result<Vec<TcpStream>> {
    let extensions = match compression {
        None => "",
        Some(true) => "Sec-WebSocket-Extensions: permessage-deflate\r\n",
        Some(false) => {
            "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
        }
    };
    let request = format!(
        "GET / HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{extensions}\r\n",
    );
    in_waves(addr, count, request.as_bytes(), |stream| {
        check(&response(stream)?, compression)
    })
}

fn response(stream: &mut TcpStream) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut bytes = [0; 1024];
        match stream.read(&mut bytes)? {
            0 => return Err(io::Error::other("the server closed the connection")),
            read => head.extend_from_slice(&bytes[..read]),
        }
    }
    String::from_utf8(head).map_err(io::Error::other)
}

fn check(head: &str, compression: Option<Takeover>) -> io::Result<()> {
    let wrong = |what: &str| Err(io::Error::other(format!("{what}: {head:?}")));
    if !head.starts_with("HTTP/1.1 101 ") || !head.contains(ACCEPT) {
        return wrong("no upgrade");
    }
    let agreed = head.contains("permessage-deflate");
    match compression {
        None if agreed => wrong("compression that was not offered"),
        Some(_) if !agreed => wrong("no compression"),
        Some(true) if head.contains("no_context_takeover") => wrong("no takeover"),
        Some(false) if !head.contains("server_no_context_takeover") => wrong("takeover"),
        _ => Ok(()),
    }
}
