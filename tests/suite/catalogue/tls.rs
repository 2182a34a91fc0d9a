//! Certificates that must not be trusted, and the protocols offered by ALPN.

use std::{net::IpAddr, sync::Arc};

use ::tokio::{io::AsyncReadExt, net::TcpStream, spawn};
use bind::{Connect, ConnectError};
use rcgen::{ExtendedKeyUsagePurpose, date_time_ymd};
use rustls::{ClientConfig, ServerConfig, server::Acceptor};
use testing::certificates::{self, Authority};
use tokio_rustls::{LazyConfigAcceptor, TlsAcceptor};

use crate::{Test, binding::Binding, client::listen, echo::run, server::connect};

pub(crate) fn tests<B: Binding>() -> Vec<Test> {
    vec![
        (
            "ch_044_bad_certificates_fail_before_http",
            ch_044_bad_certificates_fail_before_http::<B>,
        ),
        (
            "ch_045_only_http_1_1_is_offered",
            ch_045_only_http_1_1_is_offered::<B>,
        ),
    ]
}

/// Returns both ends of a connection.
async fn tcp() -> (TcpStream, TcpStream) {
    let (addr, listener) = listen().await;
    let near = connect(addr).await;
    (near, listener.accept().await.expect("a client").0)
}

/// Connects to `url` at `server`. Returns the client's result, and what the server read inside TLS.
async fn attempt<B: Binding>(
    url: &'static str,
    client: ClientConfig,
    server: ServerConfig,
) -> (ConnectError, Vec<u8>) {
    let (near, far) = tcp().await;
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let served = spawn(async move {
        let mut read = vec![0; 4096];
        let Ok(mut stream) = acceptor.accept(far).await else {
            return Vec::new();
        };
        let len = stream.read(&mut read).await.unwrap_or(0);
        read.truncate(len);
        read
    });
    let near = near.into_std().expect("TCP");
    let connected = B::connect_over(near, Connect::new(url).tls(client)).await;
    let error = connected.err().expect("no server answers");
    (error, served.await.expect("the server"))
}

fn ch_044_bad_certificates_fail_before_http<B: Binding>() {
    const GOOD: &[&str] = &["good.test"];
    let authority = Authority::new("ours");
    let other = Authority::new("a stranger");
    let good = "wss://good.test/";
    let bad = [
        ("another host", good, authority.server(&["other.test"])),
        (
            "a host below",
            good,
            authority.server(&["a.good.test", "*.good.test"]),
        ),
        ("no name", good, authority.server(&[])),
        (
            "expired",
            good,
            authority.server_with(GOOD, |params| params.not_after = date_time_ymd(2001, 1, 1)),
        ),
        (
            "not yet valid",
            good,
            authority.server_with(GOOD, |params| params.not_before = date_time_ymd(4000, 1, 1)),
        ),
        (
            "for clients",
            good,
            authority.server_with(GOOD, |params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
        ("self-signed", good, certificates::self_signed(GOOD)),
        ("another authority", good, other.server(GOOD)),
        (
            "an address without a certificate for it",
            "wss://127.0.0.1/",
            authority.server(GOOD),
        ),
    ];
    for (what, url, server) in bad {
        let (error, read) = run(attempt::<B>(url, authority.client(), server));
        assert!(matches!(error, ConnectError::Tls(_)), "{what}: {error}");
        assert!(read.is_empty(), "{what}: something was sent");
    }

    // With nothing wrong, the request arrives.
    let address: IpAddr = [127, 0, 0, 1].into();
    for (url, server) in [
        (good, authority.server(GOOD)),
        (
            "wss://127.0.0.1/",
            authority.server(&[&address.to_string()]),
        ),
    ] {
        let (error, read) = run(attempt::<B>(url, authority.client(), server));
        assert!(!matches!(error, ConnectError::Tls(_)), "{url}: {error}");
        assert!(read.starts_with(b"GET / HTTP/1.1\r\n"), "{url}");
    }
}

fn ch_045_only_http_1_1_is_offered<B: Binding>() {
    let authority = Authority::new("ours");
    let protocols = |names: &[&str]| -> Vec<Vec<u8>> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    };
    // This holds whatever the caller's configuration says.
    for given in [&[][..], &["h2", "http/1.1"], &["h2"]] {
        let mut client = authority.client();
        client.alpn_protocols = protocols(given);
        let (name, offered) = run(hello::<B>("wss://good.test/", client));
        assert_eq!(offered, protocols(&["http/1.1"]), "{given:?}");
        assert_eq!(name.as_deref(), Some("good.test"));
    }
    let (name, _) = run(hello::<B>("wss://127.0.0.1/", authority.client()));
    assert_eq!(name, None);

    // A server that prefers HTTP/2 gets HTTP/1.1, and the handshake fails with a server that speaks only
    // HTTP/2.
    for (spoken, fails) in [(&["h2", "http/1.1"][..], false), (&["h2"], true)] {
        let mut config = authority.server(&["good.test"]);
        config.alpn_protocols = protocols(spoken);
        let (error, read) = run(attempt::<B>("wss://good.test/", authority.client(), config));
        assert_eq!(matches!(error, ConnectError::Tls(_)), fails, "{error}");
        assert_eq!(read.is_empty(), fails);
    }
}

/// Returns the name that a client asks for, and the protocols that it offers.
async fn hello<B: Binding>(
    url: &'static str,
    client: ClientConfig,
) -> (Option<String>, Vec<Vec<u8>>) {
    let (near, far) = tcp().await;
    let served = spawn(async move {
        let start = LazyConfigAcceptor::new(Acceptor::default(), far).await;
        let start = start.expect("a client of TLS");
        let hello = start.client_hello();
        let offered = hello
            .alpn()
            .map(|names| names.map(<[u8]>::to_vec).collect());
        let name = hello.server_name().map(str::to_owned);
        (name, offered.unwrap_or_default())
    });
    let near = near.into_std().expect("TCP");
    let connected = B::connect_over(near, Connect::new(url).tls(client)).await;
    assert!(connected.is_err(), "the server has hung up");
    served.await.expect("the server")
}
