//! Talks to a server: `client URL [--header K:V]… [--protocol P]… [--insecure]`.
//!
//! Sends each line of its input as text and prints what arrives. Ends with the input, or when the
//! server closes; succeeds only after a clean close. `--insecure` trusts any certificate.

use std::{error::Error, sync::Arc};

use bowline_tokio::{
    CloseCode, CloseFrame, Closed, Connect, Message, SendError, connect,
    rustls::{
        self, ClientConfig, DigitallySignedStruct, SignatureScheme,
        client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        crypto::{CryptoProvider, ring},
        pki_types::{CertificateDer, ServerName, UnixTime},
    },
};
use tokio::io::{AsyncBufReadExt, BufReader, stdin};

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let clean = match run().await {
        Ok(closed) => {
            eprintln!("{closed}");
            closed.clean
        }
        Err(error) => {
            eprintln!("{error}");
            false
        }
    };
    // A thread may still wait for a line of input; returning would wait for it.
    std::process::exit(if clean { 0 } else { 1 });
}

async fn run() -> Result<Closed, Box<dyn Error>> {
    let (mut socket, _) = connect(options()?).await?;
    let mut lines = BufReader::new(stdin()).lines();
    let mut open = true;
    loop {
        tokio::select! {
            message = socket.recv() => match message? {
                Some(Message::Text(text)) => println!("{text}"),
                Some(Message::Binary(data)) => println!("{} bytes: {data:?}", data.len()),
                None => break,
            },
            line = lines.next_line(), if open => match line? {
                Some(line) => match socket.send(line).await {
                    // What the server said before is still to come.
                    Err(bowline_tokio::Error::Send(SendError::Closed)) => open = false,
                    sent => sent?,
                },
                None => {
                    open = false;
                    socket.finish(CloseFrame::from(CloseCode::NORMAL)).await?;
                }
            },
        }
    }
    socket.closed().cloned().ok_or_else(|| "not closed".into())
}

fn options() -> Result<Connect, Box<dyn Error>> {
    const USAGE: &str = "usage: client URL [--header K:V]… [--protocol P]… [--insecure]";
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

/// Trusts whoever has a certificate.
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
