//! Sends back what it receives: `echo_server ADDR [--tls CERT KEY] [--max-message BYTES]`.
//!
//! The first line it prints ends with the address it listens on; port 0 picks a free one. CERT and KEY
//! are PEM files.

use std::{error::Error, io, sync::Arc, time::Duration};

use bowline_tokio::{
    Config, accept_any, config,
    rustls::{
        self, ServerConfig,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
    tokio_rustls::TlsAcceptor,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    time::{sleep, timeout},
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut addr = None;
    let mut tls = None;
    let mut config = config();
    // As much as Autobahn's test suite sends: behind 65,536 fragments there is an empty one.
    config.max_message_size = 16 << 20;
    config.max_fragments = 65_537;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let mut value = || args.next().ok_or_else(|| format!("{arg} needs a value"));
        match &arg[..] {
            "--tls" => tls = Some(acceptor(&value()?, &value()?)?),
            "--max-message" => config.max_message_size = value()?.parse()?,
            _ => addr = Some(arg),
        }
    }
    config.max_frame_size = config.max_message_size as u64;
    let config = Arc::new(config);
    let addr = addr.ok_or("usage: echo_server ADDR [--tls CERT KEY] [--max-message BYTES]")?;

    let listener = TcpListener::bind(addr).await?;
    println!("listening on {}", listener.local_addr()?);
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Such as too many open files: others may go on, and close some.
                eprintln!("accept: {error}");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (tls, config) = (tls.clone(), config.clone());
        tokio::spawn(async move {
            let ended = async {
                stream.set_nodelay(true)?;
                match tls {
                    Some(tls) => {
                        let accepted = timeout(Duration::from_secs(10), tls.accept(stream));
                        echo(accepted.await??, &config).await
                    }
                    None => echo(stream, &config).await,
                }
            };
            if let Err(error) = ended.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Arc<Config>,
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut socket = accept_any(stream, config).await?;
    while let Some(message) = socket.recv().await? {
        // What is queued leaves before `recv` waits, many messages at once.
        socket.feed(message).await?;
    }
    Ok(())
}

fn acceptor(cert: &str, key: &str) -> Result<TlsAcceptor, Box<dyn Error>> {
    let chain = CertificateDer::pem_file_iter(cert)?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
