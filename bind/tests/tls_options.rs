//! The options of a client for TLS, each with a server that shows whether it has an effect.

use std::sync::Arc;

use bowline_bind::{
    Connect, ConnectError, TlsOptionError, TlsVersion, UrlError, accept_tls, connect_over,
    proto::{Config, EntropyError},
    rustls::{
        AlertDescription, CertificateError, Error, HandshakeKind, PeerIncompatible, ServerConfig,
    },
};
use testing::{
    certificates::{Authority, self_signed},
    world::*,
};

fn to() -> Connect {
    let entropy = |bytes: &mut [u8]| {
        bytes.fill(0x5A);
        Ok::<_, EntropyError>(())
    };
    Connect::new("wss://a.test/").config(Config::new(entropy))
}

/// Connects to a server with this configuration, and sends and receives a message. Returns the kind of the TLS handshake.
fn connects(to: Connect, server: &Arc<ServerConfig>) -> Result<HandshakeKind, ConnectError> {
    let world = World::default();
    let (a, b) = pipe(&world, 1 << 16);
    let server = server.clone();
    world.spawn(async move {
        let Ok(incoming) = accept_tls(b, Some(server), config()).await else {
            return;
        };
        let mut server = incoming.open().await;
        while let Ok(Some(message)) = server.recv().await {
            server.feed(message).await.unwrap();
        }
    });
    let net = world.clone();
    world.block_on(async move {
        let (mut client, _) = connect_over(&net, |_| a, to).await?;
        client.send("x").await.unwrap();
        assert_eq!(client.recv().await.unwrap(), Some("x".into()));
        let tls = bowline_bind::Transport::tls(client.get_ref().unwrap()).unwrap();
        let kind = tls.handshake_kind().unwrap();
        client.close(None).await.unwrap();
        Ok(kind)
    })
}

fn tls_error(result: Result<HandshakeKind, ConnectError>) -> Error {
    match result {
        Err(ConnectError::Tls(error)) => *error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_roots_that_are_given_are_trusted_and_no_others() {
    let (ours, theirs) = (Authority::new("ours"), Authority::new("theirs"));
    let server = Arc::new(ours.server(&["a.test"]));
    connects(to().root_pem(ours.pem()), &server).unwrap();
    connects(to().root_pem(theirs.pem()).root_pem(ours.pem()), &server).unwrap();
    connects(to().root_pem(theirs.pem() + &ours.pem()), &server).unwrap();
    let error = tls_error(connects(to().root_pem(theirs.pem()), &server));
    assert_eq!(
        error,
        Error::InvalidCertificate(CertificateError::UnknownIssuer)
    );
}

#[test]
fn the_certificate_of_a_client_is_sent_to_a_server_that_asks_for_one() {
    let ours = Authority::new("ours");
    let server = Arc::new(ours.asking_server(&["a.test"]));
    let (chain, key) = ours.client_pem("ann");
    let trusting = || to().root_pem(ours.pem());
    connects(trusting().client_pem(chain.clone(), key.clone()), &server).unwrap();
    let one_file = chain + &key;
    connects(trusting().client_pem(one_file.clone(), one_file), &server).unwrap();
    let error = tls_error(connects(trusting(), &server));
    let required = Error::AlertReceived(AlertDescription::CertificateRequired);
    assert_eq!(error, required);
    let (chain, key) = Authority::new("theirs").client_pem("eve");
    let stranger = trusting().client_pem(chain, key);
    assert!(matches!(
        tls_error(connects(stranger, &server)),
        Error::AlertReceived(_)
    ));
}

#[test]
fn any_certificate_is_accepted_only_if_that_is_asked_for() {
    let server = Arc::new(self_signed(&["b.test"]));
    connects(to().danger_accept_invalid_certs(true), &server).unwrap();
    let other = Authority::new("ours").pem();
    let strict = to().root_pem(other).danger_accept_invalid_certs(false);
    tls_error(connects(strict, &server));
}

#[test]
fn the_certificate_may_be_for_another_name_that_is_given() {
    let ours = Authority::new("ours");
    let server = Arc::new(ours.server(&["b.test"]));
    let trusting = || to().root_pem(ours.pem());
    connects(trusting().server_name("b.test"), &server).unwrap();
    let error = tls_error(connects(trusting(), &server));
    assert!(matches!(error, Error::InvalidCertificate(_)), "{error:?}");
    // It works with a whole configuration as well.
    connects(to().tls(ours.client()).server_name("b.test"), &server).unwrap();
    let error = to().server_name("no name").prepare().unwrap_err();
    assert!(
        matches!(error, ConnectError::Url(UrlError::ServerName)),
        "{error:?}"
    );
}

#[test]
fn a_server_with_older_versions_only_is_refused() {
    let ours = Authority::new("ours");
    let server = Arc::new(ours.old_server(&["a.test"]));
    let trusting = || to().root_pem(ours.pem());
    connects(trusting(), &server).unwrap();
    connects(trusting().min_tls_version(TlsVersion::V1_2), &server).unwrap();
    let error = tls_error(connects(
        trusting().min_tls_version(TlsVersion::V1_3),
        &server,
    ));
    assert!(
        matches!(
            error,
            Error::AlertReceived(_)
                | Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13)
        ),
        "{error:?}"
    );
}

/// A clone uses the configuration that was made of the same options, but not if an option has changed.
#[test]
fn clones_resume_a_session() {
    let ours = Authority::new("ours");
    let server = Arc::new(ours.server(&["a.test"]));
    let to = to().root_pem(ours.pem());
    assert_eq!(connects(to.clone(), &server).unwrap(), HandshakeKind::Full);
    assert_eq!(
        connects(to.clone(), &server).unwrap(),
        HandshakeKind::Resumed
    );
    let changed = to.root_pem(Authority::new("theirs").pem());
    assert_eq!(connects(changed, &server).unwrap(), HandshakeKind::Full);
}

#[test]
fn options_that_are_not_valid_are_errors_before_anything_is_sent() {
    let ours = Authority::new("ours");
    let (chain, key) = ours.client_pem("ann");
    let refused = |to: Connect| match to.prepare() {
        Err(ConnectError::TlsOption(error)) => error,
        other => panic!("{other:?}"),
    };
    for pem in ["", "no PEM", &key] {
        assert_eq!(refused(to().root_pem(pem)), TlsOptionError::Root);
        let client = to().client_pem(pem, key.clone());
        assert_eq!(refused(client), TlsOptionError::Certificate);
    }
    for pem in ["", "no PEM", &chain] {
        let client = to().client_pem(chain.clone(), pem);
        assert_eq!(refused(client), TlsOptionError::Key);
    }
    let both = to().tls(ours.client()).root_pem(ours.pem());
    assert_eq!(refused(both), TlsOptionError::Config);
    let text = TlsOptionError::Key.to_string();
    assert!(
        text.contains("client_pem") && text.contains("PEM"),
        "{text}"
    );
}
