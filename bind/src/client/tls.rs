//! The options from which a client's configuration for TLS is made.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use rustls::{
    ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName, UnixTime,
        pem::{self, PemObject},
    },
    version::{TLS12, TLS13},
};

use super::error::{ConnectError, TlsOptionError};

pub(super) const ALPN: &[u8] = b"http/1.1";

/// A version of TLS.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246).
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

/// The options, as the caller gave them.
#[derive(Clone, Default)]
pub(super) struct TlsOptions {
    /// Root certificates to trust instead of those of the features, in PEM.
    pub(super) roots: Vec<Vec<u8>>,
    /// A chain of certificates and its key, in PEM.
    pub(super) identity: Option<(Vec<u8>, Vec<u8>)>,
    pub(super) accepts_invalid: bool,
    pub(super) minimum: Option<TlsVersion>,
    /// The configuration that was made of these options. Clones share it, so that they resume sessions.
    pub(super) made: Arc<OnceLock<Arc<ClientConfig>>>,
}

/// The options, parsed.
#[derive(Clone)]
pub(super) struct Parsed(Arc<Inner>);

struct Inner {
    /// `None` if those of the features are trusted.
    roots: Option<RootCertStore>,
    identity: Option<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>,
    accepts_invalid: bool,
    minimum: Option<TlsVersion>,
    made: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl TlsOptions {
    pub(super) fn parse(self) -> Result<Parsed, TlsOptionError> {
        let mut roots = RootCertStore::empty();
        for pem in &self.roots {
            for certificate in certificates(pem).map_err(|()| TlsOptionError::Root)? {
                roots.add(certificate).map_err(|_| TlsOptionError::Root)?;
            }
        }
        let identity = self.identity.map(|(chain, key)| {
            let chain = certificates(&chain).map_err(|()| TlsOptionError::Certificate)?;
            let key = PrivateKeyDer::from_pem_slice(&key).map_err(|_| TlsOptionError::Key)?;
            Ok((chain, key))
        });
        Ok(Parsed(Arc::new(Inner {
            roots: (!roots.is_empty()).then_some(roots),
            identity: identity.transpose()?,
            accepts_invalid: self.accepts_invalid,
            minimum: self.minimum,
            made: self.made,
        })))
    }
}

/// Returns at least one certificate.
fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, ()> {
    let found: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or(())
}

impl Parsed {
    /// Returns the configuration, if it was made before.
    pub(super) fn made(&self) -> Option<Arc<ClientConfig>> {
        self.0.made.get().cloned()
    }

    /// Whether the roots of the features are needed.
    pub(super) fn needs_roots(&self) -> bool {
        self.0.roots.is_none() && !self.0.accepts_invalid
    }

    /// Makes the configuration. `roots` are those of the features, if they are needed.
    pub(super) fn make(
        &self,
        provider: Arc<CryptoProvider>,
        roots: RootCertStore,
    ) -> Result<Arc<ClientConfig>, ConnectError> {
        let versions = match self.0.minimum {
            Some(TlsVersion::V1_3) => &[&TLS13][..],
            _ => &[&TLS13, &TLS12],
        };
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)?;
        let builder = if self.0.accepts_invalid {
            builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        } else {
            builder.with_root_certificates(self.0.roots.clone().unwrap_or(roots))
        };
        let mut config = match &self.0.identity {
            Some((chain, key)) => builder.with_client_auth_cert(chain.clone(), key.clone_key())?,
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(self.0.made.get_or_init(|| Arc::new(config)).clone())
    }
}

impl fmt::Debug for Parsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parsed").finish_non_exhaustive()
    }
}

/// Accepts any certificate. The server still has to prove that it has the key of the certificate.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
