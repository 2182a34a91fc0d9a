//! The opening handshake of the core: a server reads a request and answers; a client asks and reads the
//! answer.

use std::hint::black_box;

use bytes::Buf;
use proto::{
    Connection,
    handshake::{Client, Exchange, Request, Server},
};

use crate::wire::config;

pub(crate) const HOST: &str = "chat.example";
pub(crate) const PATH: &str = "/chat?room=7";

/// A request as a browser sends it.
pub(crate) const REQUEST: &[u8] = b"GET /chat?room=7 HTTP/1.1\r\n\
    Host: chat.example\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
    Accept: */*\r\n\
    Accept-Language: en-US,en;q=0.5\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Origin: https://chat.example\r\n\
    Cookie: session=6f1d2c0a9b8e47f3\r\n\
    Pragma: no-cache\r\n\
    Cache-Control: no-cache\r\n\
    Sec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Extensions: permessage-deflate\r\n\
    Connection: keep-alive, Upgrade\r\n\
    Upgrade: websocket\r\n\r\n";

pub(crate) fn server() -> Box<dyn FnMut()> {
    let config = config();
    Box::new(move || {
        let mut server = Server::new(config.clone());
        receive(server.exchange(), REQUEST);
        black_box(answer(&mut server).transmit());
    })
}

fn answer(server: &mut Server) -> Connection {
    let incoming = server.poll().expect("it is valid");
    incoming.expect("it is whole").open()
}

pub(crate) fn client() -> Box<dyn FnMut()> {
    let ours = config();
    let ask = move || {
        let request = Request::new(HOST, PATH).expect("it is valid");
        Client::new(request, ours.clone()).expect("it is valid")
    };
    // The key is always the same, and so is the answer.
    let mut server = Server::new(config());
    receive(server.exchange(), &output(ask().exchange()));
    let mut connection = answer(&mut server);
    let response = connection.transmit().expect("an answer").chunk().to_vec();
    Box::new(move || {
        let mut client = ask();
        black_box(output(client.exchange()));
        receive(client.exchange(), &response);
        black_box(client.poll().expect("it is valid").expect("it is whole"));
    })
}

fn receive(exchange: &mut Exchange, bytes: &[u8]) {
    let room = exchange.recv_buf().expect("it reads");
    room[..bytes.len()].copy_from_slice(bytes);
    exchange.handle_input(bytes.len());
}

fn output(exchange: &mut Exchange) -> Vec<u8> {
    exchange.transmit().expect("a request").chunk().to_vec()
}
