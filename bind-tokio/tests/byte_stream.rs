//! tokio's traits over a whole socket.

use bowline_tokio::{ByteStream, Config, accept_any, connect_over};
use tokio::io::{self, AsyncReadExt, AsyncWriteExt};

/// Two tasks share a socket by `tokio::io::split`, and each direction ends by itself.
#[tokio::test]
async fn a_socket_is_read_and_written_by_two_tasks_at_once() {
    let (near, far) = io::duplex(1000);
    let config = Config::default().reply_to_close(false);
    let accepting = tokio::spawn(accept_any(far, config.clone()));
    let to = bowline_tokio::Connect::new("ws://localhost/").config(config);
    let (client, _) = connect_over(near, to).await.unwrap();
    let server = ByteStream::new(accepting.await.unwrap().unwrap());
    let echoing = tokio::spawn(async move {
        let (mut reader, mut writer) = io::split(server);
        let echoed = io::copy(&mut reader, &mut writer).await.unwrap();
        writer.shutdown().await.unwrap();
        echoed
    });
    let (mut reader, mut writer) = io::split(ByteStream::new(client));
    let sent: Vec<u8> = (0..1_000_000_u32).map(|at| (at / 7) as u8).collect();
    let expected = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&sent).await.unwrap();
        writer.shutdown().await.unwrap();
        writer
    });
    let mut received = Vec::new();
    reader.read_to_end(&mut received).await.unwrap();
    assert!(received == expected);
    assert_eq!(echoing.await.unwrap(), 1_000_000);
    let socket = reader.unsplit(writing.await.unwrap()).into_inner();
    assert!(socket.closed().is_some_and(|closed| closed.is_normal()));
}
