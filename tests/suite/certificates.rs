//! Certificates for the tests of TLS, made when they run.

use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer},
};

/// A certificate authority of our own.
pub(crate) fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// What a good certificate for `names` says.
pub(crate) fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

/// A server with a certificate that `issuer` signs.
pub(crate) fn server_config(
    params: CertificateParams,
    issuer: &CertifiedIssuer<'static, KeyPair>,
) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let cert = params.signed_by(&key, issuer).unwrap();
    with_certificate(cert.der().clone(), &key)
}

/// A server with this certificate.
pub(crate) fn with_certificate(cert: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap()
}

/// A client that trusts `issuer`.
pub(crate) fn client_config(issuer: &CertifiedIssuer<'static, KeyPair>) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// A server for `localhost` and 127.0.0.1, and a client that trusts it.
pub(crate) fn trusting() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    static BOTH: LazyLock<(Arc<ServerConfig>, Arc<ClientConfig>)> = LazyLock::new(|| {
        let issuer = authority("ours");
        let server = server_config(params(&["localhost", "127.0.0.1"]), &issuer);
        (Arc::new(server), Arc::new(client_config(&issuer)))
    });
    BOTH.clone()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
