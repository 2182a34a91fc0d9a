//! Redirects (RFC 9110 §15.4).

#[cfg(test)]
use std::path::Path;

#[cfg(feature = "tls")]
use std::sync::Arc;

use super::{
    builder::Connect, connector::Way, credentials::userinfo, destination::Destination,
    error::ConnectError, url::Url,
};

/// Returns where a response redirects to, if it does (RFC 9110 §15.4).
pub(super) fn location(error: &ConnectError) -> Option<&[u8]> {
    let response = error.response()?;
    let redirects = matches!(response.status, 301 | 302 | 303 | 307 | 308);
    response.headers.get("Location").filter(|_| redirects)
}

impl Connect {
    /// Returns what to connect to after a redirect from `from` to `location`, or `None` if it must not be followed.
    pub(super) fn redirected(mut self, from: &Destination, location: &[u8]) -> Option<Self> {
        let base = Url::parse(&self.url).ok()?;
        let next = base.join(std::str::from_utf8(location).ok()?)?;
        if from.tls && !next.tls {
            return None;
        }
        if (next.tls, &next.host, next.port) != (base.tls, &base.host, base.port) {
            self.headers.clear();
            (self.origin, self.authorization, self.addresses) = (None, None, None);
            if let Way::Unix(_) = self.way {
                self.way = Way::Tcp;
            }
            #[cfg(feature = "tls")]
            self.forget_server_in_tls();
        } else {
            // This is the same server, so what the first URL said about it still holds.
            let in_url = || base.userinfo.as_deref().and_then(userinfo);
            self.authorization = self.authorization.or_else(in_url);
            self.way = from.way.clone();
        }
        self.url = next.to_string();
        Some(self)
    }

    /// Removes what TLS would say to one server only, or expect of it.
    #[cfg(feature = "tls")]
    fn forget_server_in_tls(&mut self) {
        self.server_name = None;
        if let Some(options) = &mut self.tls_options
            && options.identity.take().is_some()
        {
            // The configuration that was made has the certificate.
            options.made = Arc::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unix_socket_stays_with_its_server() {
        let socket = |to: &Connect| {
            to.clone()
                .prepare()
                .unwrap()
                .unix_path()
                .map(Path::to_owned)
        };
        for to in [
            Connect::new("ws+unix:/a.sock:/one"),
            Connect::new("ws://localhost/one").unix("/a.sock"),
        ] {
            let from = to.clone().prepare().unwrap();
            for location in [&b"/two"[..], b"http://localhost/two"] {
                let to_itself = to.clone().redirected(&from, location).unwrap();
                assert_eq!(socket(&to_itself), Some("/a.sock".into()));
                assert_eq!(to_itself.url, "ws://localhost/two");
            }
            let away = to.clone().redirected(&from, b"ws://b.test/").unwrap();
            assert_eq!(socket(&away), None);
        }
    }

    #[test]
    fn no_server_leads_to_a_unix_socket() {
        let to = Connect::new("ws://a.test/");
        let from = to.clone().prepare().unwrap();
        for location in [&b"ws+unix:/s"[..], b"ws+unix:/s:/p", b"ws+unix:///s:/p"] {
            assert!(to.clone().redirected(&from, location).is_none());
        }
    }
}

#[cfg(all(test, feature = "tls"))]
mod tls_tests {
    use super::*;

    #[test]
    fn certificate_and_server_name_stay_with_their_server() {
        let to = Connect::new("wss://a.test/")
            .client_pem("chain", "key")
            .server_name("inner.test")
            .danger_accept_invalid_certs(true);
        let from = Connect::new("wss://a.test/").prepare().unwrap();
        let to_itself = to.clone().redirected(&from, b"/two").unwrap();
        assert!(to_itself.server_name.is_some());
        assert!(to_itself.tls_options.unwrap().identity.is_some());
        let away = to.clone().redirected(&from, b"wss://b.test/").unwrap();
        assert!(away.server_name.is_none());
        let (before, after) = (to.tls_options.unwrap(), away.tls_options.unwrap());
        assert!(after.identity.is_none());
        assert!(!Arc::ptr_eq(&before.made, &after.made));
        assert!(after.accepts_invalid);
    }

    #[test]
    fn tls_is_not_given_up() {
        let to = Connect::new("wss://a.test/");
        let from = to.clone().prepare().unwrap();
        assert!(to.clone().redirected(&from, b"http://a.test/").is_none());
        assert!(to.redirected(&from, b"https://b.test/").is_some());
    }
}
