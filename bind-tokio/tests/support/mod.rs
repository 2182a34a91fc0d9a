//! A client that talks to a hosted server, and heads of HTTP, written and read by hand.

use bowline_tokio::{Connect, Message, Response, connect};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Talks to a server that speaks the subprotocol `chat` and echoes, and closes. Returns its response.
pub(crate) async fn talk_to(url: String) -> Response {
    let to = Connect::new(url).subprotocol("chat");
    let (mut socket, response) = connect(to).await.unwrap();
    assert_eq!(socket.subprotocol(), Some("chat"));
    let message = Message::from("x".repeat(100_000));
    socket.send(message.clone()).await.unwrap();
    assert!(socket.recv().await.unwrap() == Some(message));
    socket.close(None).await.unwrap();
    assert!(socket.closed().unwrap().clean);
    response
}

/// The fields of a valid opening handshake.
pub(crate) const FIELDS: &str = "Host: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/// Reads a head, up to its empty line.
pub(crate) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Returns the value of a field in a head.
pub(crate) fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let field = fields.find(|(key, _)| key.eq_ignore_ascii_case(name));
    field.map(|(_, value)| value)
}
