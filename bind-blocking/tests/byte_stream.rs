//! The traits of `std::io` over a whole socket, and over one message in each direction.

use std::{
    io::{self, Read, Write},
    net::{TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use bowline_blocking::{
    ByteStream, Config, Connect, Io, Kind, WebSocket, accept_any, connect_over,
};

type Served<T> = JoinHandle<T>;

/// A client whose server does `serve`.
fn pair<T: Send + 'static>(
    serve: impl FnOnce(WebSocket<Io<TcpStream>>) -> T + Send + 'static,
) -> (WebSocket<impl bowline_blocking::Transport>, Served<T>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let serving = thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        serve(accept_any(stream, Config::default()).unwrap())
    });
    let stream = TcpStream::connect(address).unwrap();
    let to = Connect::new(format!("ws://{address}/"));
    (connect_over(stream, to).unwrap().0, serving)
}

fn octets(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at / 7) as u8).collect()
}

#[test]
fn a_socket_reads_and_writes_bytes() {
    let (client, serving) = pair(|socket| {
        let mut bytes = ByteStream::new(socket);
        let mut part = [0; 1000];
        loop {
            let len = bytes.read(&mut part).unwrap();
            if len == 0 {
                return bytes
                    .into_inner()
                    .closed()
                    .is_some_and(|closed| closed.is_normal());
            }
            bytes.write_all(&part[..len]).unwrap();
            bytes.flush().unwrap();
        }
    });
    let mut bytes = ByteStream::new(client);
    let (sent, mut received) = (octets(100_000), Vec::new());
    let mut part = vec![0; 5000];
    for piece in sent.chunks(part.len()) {
        bytes.write_all(piece).unwrap();
        bytes.flush().unwrap();
        bytes.read_exact(&mut part).unwrap();
        received.extend_from_slice(&part);
    }
    assert!(received == sent);
    bytes.into_inner().close(None).unwrap();
    assert!(serving.join().unwrap());
}

/// More than the kernel holds for either end, from a socket and from a write half.
#[test]
fn a_message_is_copied_from_a_reader_to_a_writer() {
    for split in [false, true] {
        let (mut client, serving) = pair(move |mut socket| {
            let mut received = Vec::new();
            let mut message = socket.read_message().unwrap().unwrap();
            assert_eq!(message.kind(), Kind::Binary);
            io::copy(&mut message, &mut received).unwrap();
            let (mut reader, _writer) = socket.split();
            let mut text = String::new();
            let mut message = reader.read_message().unwrap().unwrap();
            message.read_to_string(&mut text).unwrap();
            assert!(reader.read_message().unwrap().is_none());
            (received, text)
        });
        let sent = octets(10_000_000);
        if split {
            let (reader, writer) = client.split();
            let mut message = writer.stream(Kind::Binary).unwrap();
            io::copy(&mut &sent[..], &mut message).unwrap();
            message.finish().unwrap();
            writer.send("text").unwrap();
            writer.close(None).unwrap();
            reader.drain().unwrap();
        } else {
            let mut message = client.stream(Kind::Binary).unwrap();
            io::copy(&mut &sent[..], &mut message).unwrap();
            message.flush().unwrap();
            message.finish().unwrap();
            let mut message = client.stream(Kind::Text).unwrap();
            write!(message, "text").unwrap();
            message.finish().unwrap();
            client.close(None).unwrap();
        }
        let (received, text) = serving.join().unwrap();
        assert!(received == sent);
        assert_eq!(text, "text");
    }
}
