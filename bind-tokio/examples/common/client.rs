//! The arguments of `client`, shared by all bindings.

use std::{error::Error, sync::Arc};

use crate::bowline::{
    Config, Connect, Deflate,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};

pub(crate) fn parse() -> Result<Connect, Box<dyn Error>> {
    const USAGE: &str =
        "usage: client URL [--header K:V]… [--protocol P]… [--insecure] [--deflate]";
    let mut args = std::env::args().skip(1);
    let mut to = Connect::new(args.next().ok_or(USAGE)?);
    while let Some(arg) = args.next() {
        to = match &arg[..] {
            "--header" => {
                let field = args.next().ok_or(USAGE)?;
                let (name, value) = field.split_once(':').ok_or(USAGE)?;
                to.header(name, value)
            }
            "--protocol" => to.subprotocol(args.next().ok_or(USAGE)?),
            "--insecure" => to.tls(insecure()?),
            "--deflate" => {
                let mut config = Config::default();
                config.deflate = Some(Deflate::default());
                to.config(config)
            }
            _ => return Err(USAGE.into()),
        };
    }
    Ok(to)
}

fn insecure() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    Ok(config)
}

/// Trusts any certificate.
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
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
