//! A client without a TLS configuration chooses its root certificates and its cryptography provider by
//! itself.
//!
//! It chooses both once per process, depending on the environment, so each test runs in a process of its
//! own.

use std::{env, fs, path::PathBuf, process::Command};

use bowline_blocking::{ConnectError, connect};

/// Runs `body`, which is all of the test `name`, in a process in which a file holds the platform's root
/// certificates.
fn alone(name: &str, body: impl FnOnce(PathBuf)) {
    const ROOTS: &str = "SSL_CERT_FILE";
    if env::var_os("BOWLINE_ALONE").is_some() {
        return body(env::var_os(ROOTS).unwrap().into());
    }
    let roots = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pem"));
    let _ = fs::remove_file(&roots);
    let child = Command::new(env::current_exe().unwrap())
        .args(["--exact", name])
        .env("BOWLINE_ALONE", "")
        .env(ROOTS, &roots)
        .env_remove("SSL_CERT_DIR")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(child.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
}

/// Returns the error of a client that no server answers.
fn failure() -> ConnectError {
    connect("wss://127.0.0.1:1/").err().unwrap()
}

#[cfg(not(any(feature = "aws-lc", feature = "ring")))]
#[test]
fn without_a_provider_there_is_an_error() {
    alone("without_a_provider_there_is_an_error", |_| {
        let error = failure();
        assert!(matches!(error, ConnectError::NoProvider), "{error:?}");
        let says = error.to_string();
        for way in ["`ring`", "`aws-lc`", "install_default", "Connect::tls"] {
            assert!(says.contains(way), "{says}");
        }
    });
}

#[cfg(any(feature = "aws-lc", feature = "ring"))]
mod with_a_provider {
    use std::{
        net::{TcpListener, TcpStream},
        sync::Arc,
        thread::{self, JoinHandle},
    };

    #[cfg(not(feature = "ring"))]
    use bowline_blocking::rustls::crypto::aws_lc_rs as provider;
    #[cfg(feature = "ring")]
    use bowline_blocking::rustls::crypto::ring as provider;
    use bowline_blocking::{
        Config, Connect, accept_tls,
        rustls::{
            CertificateError, ClientConfig, Error, NamedGroup, RootCertStore, ServerConfig,
            crypto::{CryptoProvider, SupportedKxGroup},
            pki_types::PrivateKeyDer,
            server::Acceptor,
        },
    };

    use super::*;

    fn serve<T: Send + 'static>(
        with: impl FnOnce(TcpStream) -> T + Send + 'static,
    ) -> (String, JoinHandle<T>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("wss://localhost:{}/", listener.local_addr().unwrap().port());
        let served = thread::spawn(move || with(listener.accept().unwrap().0));
        (url, served)
    }

    /// Connects to a server whose certificate is its own root, which `publish` writes down.
    fn met(publish: impl FnOnce(String)) -> Result<(), ConnectError> {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        publish(made.cert.pem());
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(provider::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.into()], key)
            .unwrap();
        let (url, served) = serve(|stream| {
            let incoming = accept_tls(stream, Some(Arc::new(server)), Config::default())?;
            incoming.open().recv().map(drop).unwrap();
            Ok::<_, bowline_blocking::HandshakeError>(())
        });
        let (mut socket, _) = connect(url)?;
        socket.close(None).unwrap();
        served.join().unwrap().unwrap();
        Ok(())
    }

    fn assert_stranger(met: Result<(), ConnectError>) {
        let Err(ConnectError::Tls(error)) = &met else {
            panic!("{met:?}");
        };
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        assert_eq!(**error, unknown);
    }

    fn assert_no_roots(error: ConnectError, why: &str) {
        let says = error.to_string();
        assert!(matches!(error, ConnectError::NoRoots(_)), "{error:?}");
        for words in [why, "`webpki`", "Connect::root_pem"] {
            assert!(says.contains(words), "{says}");
        }
    }

    #[test]
    fn the_roots_of_the_platform_are_trusted() {
        alone(
            "with_a_provider::the_roots_of_the_platform_are_trusted",
            |roots| {
                if cfg!(feature = "platform") {
                    met(|pem| fs::write(roots, pem).unwrap()).unwrap();
                } else if cfg!(feature = "webpki") {
                    assert_stranger(met(|pem| fs::write(roots, pem).unwrap()));
                } else {
                    assert_no_roots(failure(), "`platform` and `webpki` are off");
                }
            },
        );
    }

    #[test]
    fn those_of_mozilla_are_if_the_platform_has_none() {
        alone(
            "with_a_provider::those_of_mozilla_are_if_the_platform_has_none",
            |roots| {
                fs::write(roots, "").unwrap();
                if cfg!(feature = "webpki") {
                    assert_stranger(met(|_| {}));
                } else if cfg!(feature = "platform") {
                    assert_no_roots(failure(), "the platform has none");
                } else {
                    assert_no_roots(failure(), "`platform` and `webpki` are off");
                }
            },
        );
    }

    #[cfg(feature = "platform")]
    #[test]
    fn roots_that_cannot_be_read_are_not_replaced() {
        alone(
            "with_a_provider::roots_that_cannot_be_read_are_not_replaced",
            |roots| {
                assert_no_roots(failure(), roots.to_str().unwrap());
                // The client looks for the root certificates again.
                met(|pem| fs::write(roots, pem).unwrap()).unwrap();
            },
        );
    }

    /// Returns the key exchanges that a client offers, which reveal its provider.
    fn offered(to: impl FnOnce(String) -> Connect) -> Vec<NamedGroup> {
        let (url, served) = serve(|mut stream| {
            let mut acceptor = Acceptor::default();
            loop {
                acceptor.read_tls(&mut stream).unwrap();
                if let Some(accepted) = acceptor.accept().unwrap() {
                    return accepted.client_hello().named_groups().unwrap().to_vec();
                }
            }
        });
        let error = connect(to(url)).err().unwrap();
        // The client was connected when the server closed.
        let was_connected = matches!(error, ConnectError::Io(_) | ConnectError::Tls(_));
        assert!(was_connected, "{error:?}");
        served.join().unwrap()
    }

    /// Returns the default provider, reduced to one key exchange.
    fn doing(group: &'static dyn SupportedKxGroup) -> CryptoProvider {
        CryptoProvider {
            kx_groups: vec![group],
            ..provider::default_provider()
        }
    }

    #[cfg(any(feature = "platform", feature = "webpki"))]
    #[test]
    fn the_callers_cryptography_counts_more_than_that_of_the_process_and_of_the_features() {
        let name = "with_a_provider::the_callers_cryptography_counts_more_than_that_of_the_process_and_of_the_features";
        alone(name, |roots| {
            let made = rcgen::generate_simple_self_signed(["root.test".to_owned()]).unwrap();
            fs::write(roots, made.cert.pem()).unwrap();
            let built_in = provider::default_provider().kx_groups;
            let built_in = built_in
                .iter()
                .map(|group| group.name())
                .collect::<Vec<_>>();
            for _ in 0..2 {
                assert_eq!(offered(Connect::new), built_in);
            }
            // Once a provider is installed, it is used.
            doing(provider::kx_group::SECP384R1)
                .install_default()
                .unwrap();
            for _ in 0..2 {
                assert_eq!(offered(Connect::new), [NamedGroup::secp384r1]);
            }
            let given =
                ClientConfig::builder_with_provider(Arc::new(doing(provider::kx_group::SECP256R1)))
                    .with_safe_default_protocol_versions()
                    .unwrap()
                    .with_root_certificates(RootCertStore::empty())
                    .with_no_client_auth();
            assert_eq!(
                offered(|url| Connect::new(url).tls(given)),
                [NamedGroup::secp256r1]
            );
        });
    }
}
