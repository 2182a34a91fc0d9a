use std::sync::Arc;

use proto::{
    Config, Connection,
    deflate::{Agreed, Window},
    handshake::{Client, Exchange, Request, Server},
};

use crate::{bodies::transport, ends};

/// Returns a client and a server whose opening handshake is complete, or `None` if they did not agree.
pub(crate) fn open(client: &Arc<Config>, server: &Arc<Config>) -> Option<(Connection, Connection)> {
    let request = Request::new("a.test", "/").unwrap();
    let (offers, asks) = (client.deflate.is_some(), server.deflate.is_some());
    let mut client = Client::new(request, client.clone()).ok()?;
    let mut server = Server::new(server.clone());
    let mut bytes = Vec::new();
    transport::take_output(client.exchange(), &mut bytes);
    receive(server.exchange(), &bytes);
    let incoming = server.poll().unwrap().expect("a whole request");
    let mut server = incoming.open();
    receive(client.exchange(), &ends::take(&mut server));
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

/// Checks that what one end may send is what the other expects.
fn assert_agreed(client: Agreed, server: Agreed) {
    let fits =
        |send: Window, recv: Window| send.bits <= recv.bits && (recv.takeover || !send.takeover);
    assert!(fits(client.send, server.recv), "{client:?} to {server:?}");
    assert!(fits(server.send, client.recv), "{server:?} to {client:?}");
}

fn receive(to: &mut Exchange, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let len = ends::fill(to.recv_buf().expect("it waits for more"), bytes);
        to.handle_input(len);
        bytes = &bytes[len..];
    }
}
