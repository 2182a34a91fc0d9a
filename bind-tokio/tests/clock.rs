//! Deadlines to the second, with tokio's clock paused.

use std::{sync::Arc, time::Duration};

use bowline_tokio::{Config, Connect, ConnectError, HandshakeError, accept, connect_over};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    time::{Instant, sleep},
};

#[tokio::test(start_paused = true)]
async fn a_client_that_drips_gets_no_more_time() {
    let (mut client, server) = duplex(1 << 16);
    let served = tokio::spawn(async move { accept(server, Config::default()).await });
    let begun = Instant::now();
    let mut answer = [0; 12];
    let (mut reader, mut writer) = tokio::io::split(&mut client);
    let drip = async {
        writer.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        loop {
            writer.write_all(b"x").await.unwrap();
            sleep(Duration::from_secs(1)).await;
        }
    };
    tokio::select! {
        () = drip => {}
        read = reader.read_exact(&mut answer) => { read.unwrap(); }
    }
    assert_eq!(&answer, b"HTTP/1.1 408");
    assert_eq!(begun.elapsed().as_secs(), 10, "handshake_timeout");
    // The peer neither reads on nor closes, and the connection still ends after close_timeout.
    let error = served.await.unwrap().unwrap_err();
    assert_eq!(error, HandshakeError::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 15, "close_timeout");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_never_speaks_is_let_go() {
    let (client, server) = duplex(1 << 16);
    let begun = Instant::now();
    let error = accept(server, Config::default()).await.unwrap_err();
    assert_eq!(error, HandshakeError::TimedOut);
    assert_eq!(begun.elapsed().as_secs(), 10);
    drop(client);
}

#[tokio::test(start_paused = true)]
async fn one_deadline_is_for_all_of_it() {
    let begun = Instant::now;
    // A server that never answers, with and without TLS.
    for url in ["ws://h/", "wss://h/"] {
        let (near, far) = duplex(1 << 16);
        let start = begun();
        let error = connect_over(near, url).await.unwrap_err();
        assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
        assert_eq!(start.elapsed().as_secs(), 10, "{url}");
        drop(far);
    }
    // A server that sends byte by byte.
    let (near, mut far) = duplex(1 << 16);
    let start = begun();
    let drip = async {
        far.write_all(b"HTTP/1.1 101 X\r\nX: ").await.unwrap();
        while far.write_all(b"x").await.is_ok() {
            sleep(Duration::from_secs(1)).await;
        }
    };
    let (connected, ()) = tokio::join!(connect_over(near, "ws://h/"), drip);
    assert!(matches!(connected, Err(ConnectError::TimedOut)));
    assert_eq!(start.elapsed().as_secs(), 10);
    // A timeout of the caller's choice.
    let mut config = Config::default();
    config.handshake_timeout = Some(Duration::from_secs(3));
    let (near, _far) = duplex(1 << 16);
    let start = begun();
    let to = Connect::new("ws://h/").config(Arc::new(config));
    let error = connect_over(near, to).await.unwrap_err();
    assert!(matches!(error, ConnectError::TimedOut), "{error:?}");
    assert_eq!(start.elapsed().as_secs(), 3);
}
