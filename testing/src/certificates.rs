//! Certificates for the TLS tests, created when the tests run, and the rustls configurations that contain them.

use std::sync::{Arc, LazyLock};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair,
};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer},
    server::WebPkiClientVerifier,
    version::TLS12,
};

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// The authority has a name because a client tells authorities apart by their names.
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns a server with a certificate for `names` that the authority signed.
    pub fn server(&self, names: &[&str]) -> ServerConfig {
        self.server_with(names, |_| {})
    }

    /// Returns a server as [`Authority::server`] does, but with a certificate whose parameters `change` has
    /// modified.
    pub fn server_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> ServerConfig {
        let mut params = good(names);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        server(signed.der().clone(), &key)
    }

    /// Returns the certificate of the authority, in PEM.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Returns a certificate for a client that the authority signed, and its key, both in PEM.
    pub fn client_pem(&self, name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let key = KeyPair::generate().unwrap();
        let signed = params.signed_by(&key, &self.0).unwrap();
        (signed.pem(), key.serialize_pem())
    }

    /// Returns a server for `names` that asks each client for a certificate of this authority.
    pub fn asking_server(&self, names: &[&str]) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let key = KeyPair::generate().unwrap();
        let signed = good(names).signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap()
    }

    /// Returns a server for `names` that has only TLS 1.2.
    pub fn old_server(&self, names: &[&str]) -> ServerConfig {
        let key = KeyPair::generate().unwrap();
        let signed = good(names).signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS12])
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![signed.der().clone()], key)
            .unwrap()
    }

    /// Returns a client that trusts this authority and no other.
    pub fn client(&self) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth()
    }
}

/// Returns a server for `names`, and a client that trusts it and has no session to resume.
pub fn trusting(names: &[&str]) -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let authority = Authority::new("ours");
    (
        Arc::new(authority.server(names)),
        Arc::new(authority.client()),
    )
}

/// Returns a server for `localhost` and 127.0.0.1, and a client that trusts it. Every call returns the same two, so
/// that the two ends of a test can get them separately.
pub fn shared() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    static BOTH: LazyLock<(Arc<ServerConfig>, Arc<ClientConfig>)> =
        LazyLock::new(|| trusting(&["localhost", "127.0.0.1"]));
    BOTH.clone()
}

/// Returns a server whose certificate for `names` is signed with its own key, and by no authority.
pub fn self_signed(names: &[&str]) -> ServerConfig {
    let key = KeyPair::generate().unwrap();
    let signed = good(names).self_signed(&key).unwrap();
    server(signed.der().clone(), &key)
}

/// Returns the parameters of a good certificate for `names`.
fn good(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params
}

fn server(cert: CertificateDer<'static>, key: &KeyPair) -> ServerConfig {
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert], key)
        .unwrap()
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
