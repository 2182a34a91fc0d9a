use std::sync::Arc;

use bytes::Buf;
use proto::{
    Config, Connection,
    deflate::{Agreed, Window},
    handshake::{Client, Exchange, Request, Server},
};

/// A client and a server whose opening handshake is done; `None` if they did not come to terms.
pub(crate) fn open(client: &Arc<Config>, server: &Arc<Config>) -> Option<(Connection, Connection)> {
    let request = Request::new("a.test", "/").unwrap();
    let (offers, asks) = (client.deflate.is_some(), server.deflate.is_some());
    let mut client = Client::new(request, client).ok()?;
    let mut server = Server::new(server);
    pass(client.exchange(), server.exchange());
    let incoming = server.poll().unwrap().expect("a whole request");
    let mut server = incoming.open();
    let mut answer = Vec::new();
    while let Some(output) = server.transmit() {
        answer.extend_from_slice(output.chunk());
        output.advance(output.chunk().len());
        server.handle_sent(true);
    }
    receive(client.exchange(), &answer);
    let (_, client) = client.poll().ok()?.expect("a whole response");
    match (client.deflate(), server.deflate()) {
        (Some(ours), Some(theirs)) => {
            assert!(offers && asks, "what was not wanted");
            assert_agreed(ours, theirs);
        }
        (None, None) => {}
        other => panic!("one of two compresses: {other:?}"),
    }
    Some((client, server))
}

/// What one end may send, the other expects.
fn assert_agreed(client: Agreed, server: Agreed) {
    let fits =
        |send: Window, recv: Window| send.bits <= recv.bits && (recv.takeover || !send.takeover);
    assert!(fits(client.send, server.recv), "{client:?} to {server:?}");
    assert!(fits(server.send, client.recv), "{server:?} to {client:?}");
}

fn pass(from: &mut Exchange, to: &mut Exchange) {
    while let Some(output) = from.transmit() {
        let bytes = output.chunk().to_vec();
        output.advance(bytes.len());
        from.handle_sent(true);
        receive(to, &bytes);
    }
}

fn receive(to: &mut Exchange, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let room = to.recv_buf().expect("it waits for more");
        let len = room.len().min(bytes.len());
        room[..len].copy_from_slice(&bytes[..len]);
        to.handle_input(len);
        bytes = &bytes[len..];
    }
}
