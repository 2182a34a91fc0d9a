//! Peers that a test plays by hand, byte by byte. A deadline that does not come lets its test hang.

use std::time::Duration;

use ::tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    spawn,
    time::sleep,
};
use bind::{
    Error,
    proto::{Deadline, Message, Negotiated, Role, SendError, handshake::HandshakeError},
};

use crate::{
    binding::{Binding, ReadHalf, Socket, WriteHalf},
    support::{dial, serve, tcp, with},
};

for_each_binding! {
    a_client_that_says_nothing_is_given_up,
    a_client_that_drips_gets_no_more_time,
    a_message_that_takes_too_long_fails_the_connection,
    a_server_that_leaves_the_transport_open_is_not_waited_for,
}

const SHORT: Option<Duration> = Some(Duration::from_millis(80));

async fn a_client_that_says_nothing_is_given_up<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let config = with(|config| config.handshake_timeout = SHORT);
        B::accept(stream, &config).await.err()
    })
    .await;
    let client = dial(&url).await;
    assert_eq!(served.await.unwrap(), Some(HandshakeError::TimedOut));
    drop(client);
}

async fn a_client_that_drips_gets_no_more_time<B: Binding>() {
    let (url, served) = serve(async |stream| {
        let config = with(|config| {
            config.handshake_timeout = SHORT;
            config.close_timeout = SHORT;
        });
        B::accept(stream, &config).await.err()
    })
    .await;
    let (mut reader, mut writer) = dial(&url).await.into_split();
    writer.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
    // It neither reads on nor goes.
    let dripping = spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
    });
    let mut answer = [0; 12];
    reader.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(served.await.unwrap(), Some(HandshakeError::TimedOut));
    dripping.await.unwrap();
}

async fn a_message_that_takes_too_long_fails_the_connection<B: Binding>() {
    let config = with(|config| config.message_timeout = SHORT);
    let (mut near, far) = tcp().await;
    let far = far.into_std().unwrap();
    let mut server = B::from_parts(far, &[], Negotiated::default(), Role::Server, &config);
    // A message's first frame, and no other.
    near.write_all(b"\x01\x85\0\0\0\0Hello").await.unwrap();
    let served = spawn(async move {
        let failed = server.recv().await;
        assert!(
            matches!(failed, Err(Error::TimedOut(Deadline::Message))),
            "{failed:?}"
        );
        assert_eq!(server.recv().await.unwrap(), None);
    });
    let mut out = Vec::new();
    near.read_to_end(&mut out).await.unwrap();
    assert_eq!(out[..4], [0x88, out[1], 0x03, 0xf0], "1008");
    drop(near);
    served.await.unwrap();
}

/// RFC 6455 §7.1.1: a client "SHOULD wait for the server to close the connection", and not for ever.
/// Both Closes have gone, so that is no failure of anybody.
async fn a_server_that_leaves_the_transport_open_is_not_waited_for<B: Binding>() {
    let config = with(|config| config.close_timeout = SHORT);
    let connected = async || {
        let (near, mut far) = tcp().await;
        let near = near.into_std().unwrap();
        let client = B::from_parts(near, &[], Negotiated::default(), Role::Client, &config);
        let answering = spawn(async move {
            let mut close = [0; 6];
            far.read_exact(&mut close).await.unwrap();
            assert_eq!(close[..2], [0x88, 0x80]);
            far.write_all(b"\x81\x02hi\x88\x00").await.unwrap();
            far
        });
        (client, answering)
    };
    let (mut client, _far) = connected().await;
    client.finish(None).await.unwrap();
    assert_eq!(client.recv().await.unwrap(), Some(Message::from("hi")));
    assert_eq!(client.recv().await.unwrap(), None);
    assert!(client.closed().unwrap().clean);
    let late = client.send("late").await;
    assert!(
        matches!(late, Err(Error::Send(SendError::Closed))),
        "{late:?}"
    );

    let (client, _far) = connected().await;
    let (mut read, write) = client.split();
    let receiving = spawn(async move {
        assert_eq!(read.recv().await.unwrap(), Some(Message::from("hi")));
        assert_eq!(read.recv().await.unwrap(), None);
        assert!(read.closed().unwrap().clean);
    });
    write.close(None).await.unwrap();
    receiving.await.unwrap();
    let late = write.send("late").await;
    assert!(
        matches!(late, Err(Error::Send(SendError::Closed))),
        "{late:?}"
    );
}
