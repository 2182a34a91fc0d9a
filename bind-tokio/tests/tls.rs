//! `wss://`: who is trusted, what is offered, and how messages cross it.

mod support;

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
};

use bowline_tokio::{
    Connect, ConnectError, MaybeTls, Message, UrlError, WebSocket, accept_any, connect,
    connect_over,
    rustls::{self, ClientConfig, ServerConfig, server::Acceptor},
    tokio_rustls::{self, LazyConfigAcceptor, TlsAcceptor},
};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, KeyPair, date_time_ymd};
use support::{
    authority, client_config, echo, guarded, params, roomy, serve, server_config, trusting,
    with_certificate,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, duplex},
    task::JoinHandle,
};

/// Serves one connection by TLS; gives a `wss://` URL, and what HTTP was received, if any.
async fn probe(server: ServerConfig) -> (String, JoinHandle<Vec<u8>>) {
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let (url, served) = serve(async move |stream| {
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

/// How a connection fails, before anything of HTTP was sent.
async fn failure(server: ServerConfig, client: Option<ClientConfig>) -> rustls::Error {
    let (url, served) = probe(server).await;
    let mut to = Connect::new(url);
    if let Some(client) = client {
        to = to.tls(client);
    }
    let error = guarded(connect(to)).await.unwrap_err();
    assert_eq!(guarded(served).await.unwrap(), b"", "{error}");
    match error {
        ConnectError::Tls(error) => *error,
        error => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn only_a_good_certificate_is_trusted() {
    use rustls::CertificateError::{self, *};
    let issuer = authority("ours");
    let trusting = client_config(&issuer);
    let is = |error: rustls::Error, expected: fn(&CertificateError) -> bool| match &error {
        rustls::Error::InvalidCertificate(why) => assert!(expected(why), "{error:?}"),
        _ => panic!("{error:?}"),
    };

    let other_host = server_config(params(&["other.test"]), &issuer);
    is(failure(other_host, Some(trusting.clone())).await, |why| {
        matches!(why, NotValidForName | NotValidForNameContext { .. })
    });

    let mut expired = params(&["localhost"]);
    expired.not_after = date_time_ymd(2020, 1, 1);
    let expired = server_config(expired, &issuer);
    is(failure(expired, Some(trusting.clone())).await, |why| {
        matches!(why, Expired | ExpiredContext { .. })
    });

    let mut early = params(&["localhost"]);
    early.not_before = date_time_ymd(4000, 1, 1);
    let early = server_config(early, &issuer);
    is(failure(early, Some(trusting.clone())).await, |why| {
        matches!(why, NotValidYet | NotValidYetContext { .. })
    });

    let mut other_use = params(&["localhost"]);
    other_use.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let other_use = server_config(other_use, &issuer);
    is(failure(other_use, Some(trusting.clone())).await, |why| {
        matches!(why, InvalidPurpose | InvalidPurposeContext { .. })
    });

    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let own = own.self_signed(&key).unwrap();
    let self_signed = with_certificate(own.der().clone(), &key);
    is(failure(self_signed, Some(trusting.clone())).await, |why| {
        matches!(why, UnknownIssuer)
    });

    let stranger = server_config(params(&["localhost"]), &authority("a stranger"));
    is(failure(stranger, Some(trusting.clone())).await, |why| {
        matches!(why, UnknownIssuer)
    });
    // By default the roots of the platform are trusted, and ours is none of them.
    let stranger = server_config(params(&["localhost"]), &authority("a stranger"));
    is(failure(stranger, None).await, |why| {
        matches!(why, UnknownIssuer)
    });

    let good = server_config(params(&["localhost"]), &issuer);
    let (url, served) = probe(good).await;
    let failed = guarded(connect(Connect::new(url).tls(trusting))).await;
    assert!(matches!(failed, Err(ConnectError::Handshake(_))));
    let received = served.await.unwrap();
    assert!(received.starts_with(b"GET / HTTP/1.1\r\n"), "{received:?}");
}

#[tokio::test]
async fn an_address_is_a_name_too() {
    let (acceptor, trusting) = trusting();
    let (url, _) = serve(async move |stream| {
        let stream = acceptor.accept(stream).await.unwrap();
        echo(accept_any(stream, &roomy()).await.unwrap()).await;
    })
    .await;
    let to = Connect::new(url.replace("ws://", "wss://")).tls(trusting);
    let (socket, _) = guarded(connect(to)).await.unwrap();
    assert!(socket.peer_addr().unwrap().ip().is_loopback());
}

/// A label of a name has at most 63 bytes (RFC 1035 §2.3.4).
#[tokio::test]
async fn a_name_that_no_certificate_can_be_for_is_the_callers_fault() {
    let url = format!("wss://{}.test/", "a".repeat(64));
    let error = guarded(connect(url)).await.unwrap_err();
    assert!(
        matches!(error, ConnectError::Url(UrlError::ServerName)),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_without_tls_is_an_error() {
    let (url, _) = serve(async |mut stream| {
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
            .await
            .unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    })
    .await;
    let error = guarded(connect(url.replace("ws://", "wss://"))).await;
    assert!(matches!(error, Err(ConnectError::Tls(_))), "{error:?}");
}

#[tokio::test]
async fn only_http_1_1_is_offered() {
    let issuer = authority("ours");
    for given in [vec![], vec![b"h2".to_vec(), b"http/1.1".to_vec()]] {
        let mut config = client_config(&issuer);
        config.alpn_protocols = given;
        let (near, far) = duplex(1 << 16);
        let connecting = tokio::spawn(async {
            let to = Connect::new("wss://localhost/").tls(config);
            connect_over(near, to).await.map(drop)
        });
        let hello = LazyConfigAcceptor::new(Acceptor::default(), far);
        let hello = guarded(hello).await.unwrap();
        let offered: Vec<&[u8]> = hello.client_hello().alpn().unwrap().collect();
        assert_eq!(offered, [b"http/1.1"]);
        assert_eq!(hello.client_hello().server_name(), Some("localhost"));

        // A server that would rather speak HTTP/2.
        let mut server = server_config(params(&["localhost"]), &issuer);
        server.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let stream = guarded(hello.into_stream(Arc::new(server))).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
        connecting.abort();
    }
}

/// A client and a server that trust each other, over `near` and `far`.
async fn pair<N, F>(
    near: N,
    far: F,
) -> (
    WebSocket<MaybeTls<N>>,
    WebSocket<tokio_rustls::server::TlsStream<F>>,
)
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    let (acceptor, trusting) = trusting();
    let config = roomy();
    let to = Connect::new("wss://localhost/")
        .tls(trusting)
        .config(config.clone());
    let accepting = async {
        let stream = acceptor.accept(far).await.unwrap();
        accept_any(stream, &config).await.unwrap()
    };
    let (connected, server) =
        guarded(async { tokio::join!(connect_over(near, to), accepting) }).await;
    (connected.unwrap().0, server)
}

#[tokio::test]
async fn messages_of_every_size_cross_both_ways() {
    let (near, far) = duplex(10_000);
    let (mut client, mut server) = pair(near, far).await;
    for len in [
        0,
        1,
        125,
        126,
        4095,
        4096,
        16_384,
        65_535,
        65_536,
        131_073,
        3 << 20,
    ] {
        let message = Message::from(vec![len as u8; len]);
        let there = async {
            client.send(message.clone()).await.unwrap();
            assert!(
                client.recv().await.unwrap() == Some(message.clone()),
                "{len}"
            );
        };
        let back = async {
            let received = server.recv().await.unwrap().unwrap();
            assert!(received == message, "{len}");
            server.send(received).await.unwrap();
        };
        guarded(async { tokio::join!(there, back) }).await;
    }
    let closing = async { tokio::join!(client.close(None), server.recv()) };
    let (closed, received) = guarded(closing).await;
    closed.unwrap();
    assert_eq!(received.unwrap(), None);
    assert!(client.closed().unwrap().clean && server.closed().unwrap().clean);
}

/// Keeps a copy of what is written.
struct Tap<S> {
    stream: S,
    written: Arc<Mutex<Vec<u8>>>,
}

impl<S> Tap<S> {
    fn new(stream: S) -> (Self, Arc<Mutex<Vec<u8>>>) {
        let written = Arc::<Mutex<_>>::default();
        let tap = Self {
            stream,
            written: written.clone(),
        };
        (tap, written)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Tap<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Tap<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let taken = ready!(Pin::new(&mut self.stream).poll_write(cx, buf))?;
        self.written
            .lock()
            .unwrap()
            .extend_from_slice(&buf[..taken]);
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// The types of the TLS records in `bytes` (RFC 8446 §5.1).
fn records(mut bytes: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let [kind, _, _, high, low, rest @ ..] = bytes {
        types.push(*kind);
        bytes = &rest[usize::from(u16::from_be_bytes([*high, *low]))..];
    }
    assert!(bytes.is_empty());
    types
}

#[tokio::test]
async fn a_small_message_is_one_record() {
    const APPLICATION_DATA: u8 = 23;
    let (near, far) = duplex(1 << 20);
    let ((near, from_client), (far, from_server)) = (Tap::new(near), Tap::new(far));
    let (mut client, mut server) = pair(near, far).await;
    assert!(client.get_ref().unwrap().is_write_vectored());
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
            for wire in [&from_client, &from_server] {
                assert_eq!(records(&wire.lock().unwrap()), [APPLICATION_DATA], "{len}");
            }
            server.recv().await.unwrap();
            client.recv().await.unwrap();
        }
    }
    // Many at once are not one each.
    from_client.lock().unwrap().clear();
    for _ in 0..100 {
        client.feed("a short message").await.unwrap();
    }
    client.flush().await.unwrap();
    assert_eq!(records(&from_client.lock().unwrap()), [APPLICATION_DATA]);
}
