//! `wss://`: which certificates are trusted, what is offered, and how messages become records.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use ::tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    spawn,
    task::JoinHandle,
};
use base64::prelude::{BASE64_STANDARD, Engine};
use bind::{Connect, ConnectError, UrlError, proto::Message};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{ClientConfig, ServerConfig, server::Acceptor};
use sha1::{Digest, Sha1};
use testing::certificates::{self, Authority};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use crate::{
    binding::{Binding, Socket},
    support::{accepted, dial, echo, field, listen, read_head, roomy, serve, serve_raw, tcp, with},
};

for_each_binding! {
    only_a_good_certificate_is_trusted,
    an_address_is_a_name_too,
    a_name_that_no_certificate_can_be_for_is_the_callers_fault,
    a_server_without_tls_is_an_error,
    only_http_1_1_is_offered,
    a_small_message_is_one_record,
    a_client_says_that_it_ends_though_the_server_leaves_tcp_open,
    a_client_says_that_it_ends_when_it_is_refused,
}

/// Serves one connection with TLS. Returns a `wss://` URL, and the HTTP that was received, if any.
async fn probe(server: ServerConfig) -> (String, JoinHandle<Vec<u8>>) {
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (url, served) = serve_raw(async move |stream| {
        let mut received = Vec::new();
        if let Ok(mut stream) = acceptor.accept(stream).await {
            let _ = stream.read_buf(&mut received).await;
        }
        received
    })
    .await;
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    (format!("wss://localhost:{port}/"), served)
}

/// Returns the error of a connection, and checks that no HTTP was sent.
async fn failure<B: Binding>(server: ServerConfig, client: Option<ClientConfig>) -> rustls::Error {
    let (url, served) = probe(server).await;
    let mut to = Connect::new(url);
    if let Some(client) = client {
        to = to.tls(client);
    }
    let error = B::connect(to).await.err().unwrap();
    assert_eq!(served.await.unwrap(), b"", "{error}");
    match error {
        ConnectError::Tls(error) => *error,
        error => panic!("{error:?}"),
    }
}

async fn only_a_good_certificate_is_trusted<B: Binding>() {
    use rustls::CertificateError::{self, *};
    let ours = Authority::new("ours");
    let trusting = ours.client();
    let is = |error: rustls::Error, expected: fn(&CertificateError) -> bool| match &error {
        rustls::Error::InvalidCertificate(why) => assert!(expected(why), "{error:?}"),
        _ => panic!("{error:?}"),
    };

    let other_host = ours.server(&["other.test"]);
    is(
        failure::<B>(other_host, Some(trusting.clone())).await,
        |why| matches!(why, NotValidForName | NotValidForNameContext { .. }),
    );

    let expired = ours.server_with(&["localhost"], |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    is(failure::<B>(expired, Some(trusting.clone())).await, |why| {
        matches!(why, Expired | ExpiredContext { .. })
    });

    let early = ours.server_with(&["localhost"], |params| {
        params.not_before = date_time_ymd(4000, 1, 1);
    });
    is(failure::<B>(early, Some(trusting.clone())).await, |why| {
        matches!(why, NotValidYet | NotValidYetContext { .. })
    });

    let other_use = ours.server_with(&["localhost"], |params| {
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    });
    is(
        failure::<B>(other_use, Some(trusting.clone())).await,
        |why| matches!(why, InvalidPurpose | InvalidPurposeContext { .. }),
    );

    let self_signed = certificates::self_signed(&["localhost"]);
    is(
        failure::<B>(self_signed, Some(trusting.clone())).await,
        |why| matches!(why, UnknownIssuer),
    );

    let stranger = Authority::new("a stranger");
    is(
        failure::<B>(stranger.server(&["localhost"]), Some(trusting.clone())).await,
        |why| matches!(why, UnknownIssuer),
    );
    // By default the platform's root certificates are trusted, and ours is not one of them.
    is(
        failure::<B>(stranger.server(&["localhost"]), None).await,
        |why| matches!(why, UnknownIssuer),
    );

    let good = ours.server(&["localhost"]);
    let (url, served) = probe(good).await;
    let failed = B::connect(Connect::new(url).tls(trusting)).await;
    assert!(matches!(failed, Err(ConnectError::Handshake(_))));
    let received = served.await.unwrap();
    assert!(received.starts_with(b"GET / HTTP/1.1\r\n"), "{received:?}");
}

async fn an_address_is_a_name_too<B: Binding>() {
    let (server, client) = certificates::shared();
    let (url, _) = serve(async move |stream| {
        echo(B::accept_tls(stream, server, &roomy()).await.unwrap()).await;
    })
    .await;
    let to = Connect::new(url.replace("ws://", "wss://")).tls(client);
    let (socket, _) = B::connect(to).await.unwrap();
    assert!(B::server_addr(&socket).unwrap().ip().is_loopback());
}

/// A label of a name has at most 63 bytes (RFC 1035 §2.3.4), so no certificate can be valid for this
/// name.
async fn a_name_that_no_certificate_can_be_for_is_the_callers_fault<B: Binding>() {
    let url = format!("wss://{}.test/", "a".repeat(64));
    let error = B::connect(url).await.err().unwrap();
    assert!(
        matches!(error, ConnectError::Url(UrlError::ServerName)),
        "{error:?}"
    );
}

async fn a_server_without_tls_is_an_error<B: Binding>() {
    let (url, _) = serve_raw(async |mut stream| {
        let answer = b"HTTP/1.1 400 Bad Request\r\n\r\n";
        stream.write_all(answer).await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let error = B::connect(url.replace("ws://", "wss://")).await.err();
    assert!(matches!(error, Some(ConnectError::Tls(_))), "{error:?}");
}

async fn only_http_1_1_is_offered<B: Binding>() {
    let ours = Authority::new("ours");
    for given in [vec![], vec![b"h2".to_vec(), b"http/1.1".to_vec()]] {
        let mut config = ours.client();
        config.alpn_protocols = given;
        let (near, far) = tcp().await;
        let connecting = spawn(async {
            let near = near.into_std().unwrap();
            let to = Connect::new("wss://localhost/").tls(config);
            B::connect_over(near, to).await.map(drop)
        });
        let hello = LazyConfigAcceptor::new(Acceptor::default(), far);
        let hello = hello.await.unwrap();
        let offered: Vec<&[u8]> = hello.client_hello().alpn().unwrap().collect();
        assert_eq!(offered, [b"http/1.1"]);
        assert_eq!(hello.client_hello().server_name(), Some("localhost"));

        // This server prefers HTTP/2.
        let mut server = ours.server(&["localhost"]);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = hello.into_stream(Arc::new(server)).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        drop(stream);
        assert!(connecting.await.unwrap().is_err());
    }
}

/// Starts a relay between a client and a server that records what each has written. Returns the
/// authority to connect to.
async fn tap(server: String) -> (String, [Arc<Mutex<Vec<u8>>>; 2]) {
    let (listener, authority) = listen().await;
    let written = <[Arc<Mutex<Vec<u8>>>; 2]>::default();
    let [from_client, from_server] = written.clone();
    spawn(async move {
        let (near, to_client) = accepted(&listener).await.into_split();
        let (far, to_server) = dial(&server).await.into_split();
        spawn(pass_on(near, to_server, from_client));
        pass_on(far, to_client, from_server).await;
    });
    (authority, written)
}

async fn pass_on(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    written: Arc<Mutex<Vec<u8>>>,
) {
    let mut bytes = Vec::new();
    while from.read_buf(&mut bytes).await.is_ok_and(|len| len > 0) {
        written.lock().unwrap().extend_from_slice(&bytes);
        if to.write_all(&bytes).await.is_err() {
            return;
        }
        bytes.clear();
    }
}

/// Returns the types of the TLS records in `bytes` (RFC 8446 §5.1).
fn records(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [kind, _, _, high, low, remainder @ ..] = bytes {
        types.push(*kind);
        bytes = &remainder[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    assert!(bytes.is_empty());
    types
}

async fn a_small_message_is_one_record<B: Binding>() {
    const APPLICATION_DATA: u8 = 23;
    let (server, client) = certificates::shared();
    let (url, accepting) =
        serve(async |stream| B::accept_tls(stream, server, &roomy()).await.unwrap()).await;
    let (authority, [from_client, from_server]) = tap(url).await;
    let to = Connect::new(format!("wss://{authority}/"));
    let (mut client, _) = B::connect(to.tls(client).config(roomy())).await.unwrap();
    let mut server = accepting.await.unwrap();
    // After these messages, nothing of the TLS handshakes is outstanding.
    client.send("").await.unwrap();
    server.send("").await.unwrap();
    server.recv().await.unwrap();
    client.recv().await.unwrap();
    for len in [0, 1, 125, 126, 1000, 3000, 4090, 5000, 16_000] {
        for split_up in [false, true] {
            from_client.lock().unwrap().clear();
            from_server.lock().unwrap().clear();
            let message = Message::from(vec![7; len]);
            if split_up {
                client.feed(message.clone()).await.unwrap();
                client.flush().await.unwrap();
            } else {
                client.send(message.clone()).await.unwrap();
            }
            server.send(message).await.unwrap();
            server.recv().await.unwrap();
            client.recv().await.unwrap();
            for wire in [&from_client, &from_server] {
                assert_eq!(records(&wire.lock().unwrap()), [APPLICATION_DATA], "{len}");
            }
        }
    }
    // Many messages must not take one record each.
    from_client.lock().unwrap().clear();
    for _ in 0..100 {
        client.feed("a short message").await.unwrap();
    }
    client.flush().await.unwrap();
    for _ in 0..100 {
        server.recv().await.unwrap();
    }
    assert_eq!(records(&from_client.lock().unwrap()), [APPLICATION_DATA]);
}

/// Starts a server by hand. It answers the request with `answer` and a Close with a Close, and leaves
/// the transport open. Returns whether TLS was ended properly (RFC 8446 §6.1).
async fn left_open(answer: fn(&str) -> String) -> (String, ClientConfig, JoinHandle<bool>) {
    let ours = Authority::new("ours");
    let acceptor = TlsAcceptor::from(Arc::new(ours.server(&["localhost"])));
    let (url, served) = serve_raw(async move |stream| {
        let mut stream = acceptor.accept(stream).await.unwrap();
        let head = read_head(&mut stream).await;
        stream.write_all(answer(&head).as_bytes()).await.unwrap();
        let mut received = [0; 100];
        loop {
            match stream.read(&mut received).await {
                Ok(0) => return true,
                Ok(_) => stream.write_all(&[0x88, 0]).await.unwrap(),
                Err(_) => return false,
            }
        }
    })
    .await;
    let port = url.trim_end_matches('/').rsplit(':').next().unwrap();
    let url = format!("wss://localhost:{port}/");
    (url, ours.client(), served)
}

async fn a_client_says_that_it_ends_though_the_server_leaves_tcp_open<B: Binding>() {
    let (url, tls, served) = left_open(|head| {
        let key = field(head, "Sec-WebSocket-Key").unwrap();
        let digest = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
        let accept = BASE64_STANDARD.encode(digest);
        format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
    })
    .await;
    let hasty = with(|config| config.close_timeout = Some(Duration::from_millis(200)));
    let to = Connect::new(url).tls(tls).config(hasty);
    let (mut client, _) = B::connect(to).await.unwrap();
    client.close(None).await.unwrap();
    assert!(client.closed().unwrap().clean);
    assert!(served.await.unwrap(), "cut off");
}

async fn a_client_says_that_it_ends_when_it_is_refused<B: Binding>() {
    let (url, tls, served) =
        left_open(|_| "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned()).await;
    assert!(B::connect(Connect::new(url).tls(tls)).await.is_err());
    assert!(served.await.unwrap(), "cut off");
}
