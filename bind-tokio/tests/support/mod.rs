//! What several of the tests here need. Each uses its part of it.
#![allow(dead_code, unreachable_pub)]

use std::{future::Future, sync::Arc, time::Duration};

use bowline_tokio::{
    Config, WebSocket, accept_any, config,
    rustls::{
        self, ClientConfig, RootCertStore, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer},
    },
    tokio_rustls::TlsAcceptor,
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

/// Long enough for any machine; a test that takes so long hangs.
pub const HANG: Duration = Duration::from_secs(60);

/// Runs a test's future, which must not hang.
pub async fn guarded<F: Future>(test: F) -> F::Output {
    tokio::time::timeout(HANG, test)
        .await
        .expect("the test hangs")
}

/// A listener, and the authority of its URL.
pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    (listener, authority)
}

/// Serves one connection; gives the `ws://` URL and what `serve` makes of it.
pub async fn serve<F: Future<Output: Send> + Send + 'static>(
    serve: impl FnOnce(TcpStream) -> F + Send + 'static,
) -> (String, JoinHandle<F::Output>) {
    let (listener, authority) = listen().await;
    let served = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        serve(stream).await
    });
    (format!("ws://{authority}/"), served)
}

/// Sends back what it receives, until the end.
pub async fn echo<S: AsyncRead + AsyncWrite + Unpin>(mut socket: WebSocket<S>) {
    while let Ok(Some(message)) = socket.recv().await {
        socket.feed(message).await.unwrap();
    }
}

/// A server that echoes on one connection.
pub async fn echo_server(config: Arc<Config>) -> String {
    let (url, _) = serve(async move |stream| {
        echo(accept_any(stream, &config).await.unwrap()).await;
    })
    .await;
    url
}

/// The defaults, but for messages of any size.
pub fn roomy() -> Arc<Config> {
    let mut config = config();
    config.max_message_size = 1 << 30;
    config.max_frame_size = 1 << 30;
    Arc::new(config)
}

/// Reads a head, up to its empty line.
pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// The value of a field in a head.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// A certificate authority of our own.
pub fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a good certificate for `names` says.
pub fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A server with a certificate that `issuer` signs.
pub fn server_config(
    params: CertificateParams,
    issuer: &CertifiedIssuer<'static, KeyPair>,
) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, issuer).unwrap();
    with_certificate(cert.der().clone(), &key)
}

/// A server with this certificate.
pub fn with_certificate(cert: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap()
}

/// A client that trusts `issuer`.
pub fn client_config(issuer: &CertifiedIssuer<'static, KeyPair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A server for `localhost` and 127.0.0.1, and a client that trusts it.
pub fn trusting() -> (TlsAcceptor, Arc<ClientConfig>) {
    let issuer = authority("ours");
    let server = server_config(params(&["localhost", "127.0.0.1"]), &issuer);
    let acceptor = TlsAcceptor::from(Arc::new(server));
    (acceptor, Arc::new(client_config(&issuer)))
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
