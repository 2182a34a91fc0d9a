//! Certificates that must not be trusted, and what is offered by ALPN.

use std::{net::IpAddr, sync::Arc};

use ::tokio::{io::AsyncReadExt, net::TcpStream, spawn};
use bind::{Connect, ConnectError};
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    date_time_ymd,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::Acceptor,
};
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

/// An authority that the client trusts.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    root: CertificateDer<'static>,
}

/// A certificate and its key.
type Identity = (CertificateDer<'static>, PrivateKeyDer<'static>);

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let cert = params.self_signed(&key).expect("a certificate");
        Self {
            root: cert.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    fn issue(&self, change: impl FnOnce(&mut CertificateParams)) -> Identity {
        let (key, params) = leaf(change);
        let cert = params.signed_by(&key, &self.issuer).expect("a certificate");
        (cert.der().clone(), private(&key))
    }

    fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.root.clone()).expect("a certificate");
        let provider = Arc::new(ring::default_provider());
        ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// For `good.test`, unless changed.
fn leaf(change: impl FnOnce(&mut CertificateParams)) -> (KeyPair, CertificateParams) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(vec!["good.test".to_owned()]).expect("a name");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    change(&mut params);
    (key, params)
}

fn private(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivateKeyDer::try_from(key.serialize_der()).expect("a key")
}

fn server((cert, key): Identity) -> ServerConfig {
    ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .expect("a certificate and its key")
}

/// Both ends of a connection.
async fn tcp() -> (TcpStream, TcpStream) {
    let (addr, listener) = listen().await;
    let near = connect(addr).await;
    (near, listener.accept().await.expect("a client").0)
}

/// Connects to `url` at a server that has `identity`: what the client said, and what the server read
/// behind TLS.
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
    let authority = Authority::new();
    let other = Authority::new();
    let self_signed = {
        let (key, params) = leaf(|_| {});
        let cert = params.self_signed(&key).expect("a certificate");
        (cert.der().clone(), private(&key))
    };
    let names = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let names = CertificateParams::new(names)
            .expect("names")
            .subject_alt_names;
        authority.issue(|params| params.subject_alt_names = names)
    };
    let good = "wss://good.test/";
    let bad = [
        ("another host", good, names(&["other.test"])),
        ("a host below", good, names(&["a.good.test", "*.good.test"])),
        ("no name", good, names(&[])),
        (
            "expired",
            good,
            authority.issue(|params| params.not_after = date_time_ymd(2001, 1, 1)),
        ),
        (
            "not yet valid",
            good,
            authority.issue(|params| params.not_before = date_time_ymd(4000, 1, 1)),
        ),
        (
            "for clients",
            good,
            authority.issue(|params| {
                params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            }),
        ),
        ("self-signed", good, self_signed),
        ("another authority", good, other.issue(|_| {})),
        (
            "an address without a certificate for it",
            "wss://127.0.0.1/",
            names(&["good.test"]),
        ),
    ];
    for (what, url, identity) in bad {
        let (error, read) = run(attempt::<B>(url, authority.client(), server(identity)));
        assert!(matches!(error, ConnectError::Tls(_)), "{what}: {error}");
        assert!(read.is_empty(), "{what}: something was sent");
    }

    // The same with nothing wrong: the request arrives.
    let address: IpAddr = [127, 0, 0, 1].into();
    for (url, identity) in [
        (good, names(&["good.test"])),
        ("wss://127.0.0.1/", names(&[&address.to_string()])),
    ] {
        let (error, read) = run(attempt::<B>(url, authority.client(), server(identity)));
        assert!(!matches!(error, ConnectError::Tls(_)), "{url}: {error}");
        assert!(read.starts_with(b"GET / HTTP/1.1\r\n"), "{url}");
    }
}

fn ch_045_only_http_1_1_is_offered<B: Binding>() {
    let authority = Authority::new();
    let protocols = |names: &[&str]| -> Vec<Vec<u8>> {
        names.iter().map(|name| name.as_bytes().to_vec()).collect()
    };
    // Whatever the caller's configuration says.
    for given in [&[][..], &["h2", "http/1.1"], &["h2"]] {
        let mut client = authority.client();
        client.alpn_protocols = protocols(given);
        let (name, offered) = run(hello::<B>("wss://good.test/", client));
        assert_eq!(offered, protocols(&["http/1.1"]), "{given:?}");
        assert_eq!(name.as_deref(), Some("good.test"));
    }
    let (name, _) = run(hello::<B>("wss://127.0.0.1/", authority.client()));
    assert_eq!(name, None);

    // A server that would rather speak HTTP/2 gets HTTP/1.1; one that speaks nothing else, nothing.
    for (spoken, fails) in [(&["h2", "http/1.1"][..], false), (&["h2"], true)] {
        let mut config = server(authority.issue(|_| {}));
        config.alpn_protocols = protocols(spoken);
        let (error, read) = run(attempt::<B>("wss://good.test/", authority.client(), config));
        assert_eq!(matches!(error, ConnectError::Tls(_)), fails, "{error}");
        assert_eq!(read.is_empty(), fails);
    }
}

/// The name that a client asks for, and the protocols it offers.
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
