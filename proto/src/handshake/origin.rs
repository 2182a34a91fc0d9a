//! Hosts and origins (RFC 3986 §3.2, RFC 6454 §4).

/// The pages that may open a connection. A client that sends no `Origin` passes in any case, because it is not a
/// browser.
///
/// A browser lets a page connect to any server with the user's cookies, and names the page's origin. RFC 6455 §10.2:
/// servers "that are not intended to process input from any web page but only for certain sites SHOULD verify the
/// |Origin|".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Origins<'a> {
    /// The pages of the server itself: the origin has the host and the port of the request's `Host`. The scheme may be
    /// any that WebSocket or HTTP has, because behind a proxy that ends TLS a server does not know its own.
    SameHost,
    /// Pages of these origins, each written like `https://chat.example`. Scheme and host are compared without case, and a
    /// default port equals none. `null` passes only if it is listed.
    Listed(&'a [&'a str]),
    /// All pages.
    Any,
}

impl Origins<'_> {
    /// Whether a page of `origin` may connect to a server that is asked for as `host`.
    pub(super) fn allow(self, origin: &str, host: Option<&str>) -> bool {
        match self {
            Self::SameHost => host.is_some_and(|host| is_of_host(origin, host)),
            Self::Listed(list) => is_listed(origin, list),
            Self::Any => true,
        }
    }
}

/// Whether the authority of `origin` is `host`, which has no port if it is the default one of the origin's scheme.
fn is_of_host(origin: &str, host: &str) -> bool {
    let (Some((scheme, name, port)), Some((host, given))) =
        (split_origin(origin), split_authority(host))
    else {
        return false;
    };
    // The host of any other scheme is not a host of the web.
    let default = default_port(scheme);
    default.is_some() && name.eq_ignore_ascii_case(host) && port == given.or(default)
}

/// Whether `authority` is a host with at most a port.
pub(super) fn is_authority(authority: &str) -> bool {
    split_authority(authority).is_some()
}

/// Whether `authority` is a host with a port.
pub(crate) fn has_port(authority: &str) -> bool {
    matches!(split_authority(authority), Some((_, Some(_))))
}

/// Splits `authority` into a host and its port, if there is one. User information is not allowed.
fn split_authority(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((address, rest)) => {
            let end = authority.len().checked_sub(rest.len())?;
            let host = authority.get(..end)?;
            address.parse::<core::net::Ipv6Addr>().ok()?;
            (
                host,
                if rest.is_empty() {
                    None
                } else {
                    Some(rest.strip_prefix(':')?)
                },
            )
        }
        None => {
            let (host, port) = match authority.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (authority, None),
            };
            // RFC 3986 §3.2.2, reg-name.
            let is_valid =
                |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&byte);
            if host.is_empty() || !host.bytes().all(is_valid) {
                return None;
            }
            (host, port)
        }
    };
    match port {
        None | Some("") => Some((host, None)),
        Some(port) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some((host, Some(port.parse().ok()?)))
        }
        Some(_) => None,
    }
}

/// Whether `origin` is in `list`. Scheme, host and port are compared without case, and a default port equals none.
/// `null` is in the list only if it is listed.
fn is_listed(origin: &str, list: &[&str]) -> bool {
    list.iter()
        .any(|entry| match (split_origin(origin), split_origin(entry)) {
            (Some((scheme, host, port)), Some(entry)) => {
                scheme.eq_ignore_ascii_case(entry.0)
                    && host.eq_ignore_ascii_case(entry.1)
                    && port == entry.2
            }
            (None, None) => origin == "null" && *entry == "null",
            _ => false,
        })
}

fn split_origin(origin: &str) -> Option<(&str, &str, Option<u16>)> {
    let (scheme, authority) = origin.split_once("://")?;
    let (host, port) = split_authority(authority)?;
    Some((scheme, host, port.or_else(|| default_port(scheme))))
}

fn default_port(scheme: &str) -> Option<u16> {
    match scheme {
        _ if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") => {
            Some(443)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts() {
        for valid in [
            "a.test",
            "a.test:80",
            "a.test:",
            "127.0.0.1:9001",
            "[::1]",
            "[::1]:443",
            "a_b.test",
        ] {
            assert!(is_authority(valid), "{valid}");
        }
        for invalid in [
            "",
            ":80",
            "a b",
            "a b:99999]",
            "a:99999",
            "a:8x",
            "a:+8",
            "a:1:2",
            "u@a",
            "a/",
            "a?",
            "a#",
            "[::1",
            "[::1]80",
            "[::1%25eth0]",
            "[]",
            "é.test",
            "a\\b",
            "::1",
        ] {
            assert!(!is_authority(invalid), "{invalid}");
        }
    }

    #[test]
    fn a_page_of_the_server_has_its_host_and_port() {
        for (origin, host) in [
            ("http://a.test", "a.test"),
            ("https://a.test", "A.Test"),
            ("HTTPS://A.TEST:443", "a.test"),
            ("https://a.test", "a.test:443"),
            ("http://a.test:8080", "a.test:8080"),
            ("http://[::1]:9001", "[::1]:9001"),
            ("wss://a.test", "a.test"),
        ] {
            assert!(is_of_host(origin, host), "{origin} {host}");
        }
        for (origin, host) in [
            ("https://evil.test", "a.test"),
            ("https://a.test.evil.test", "a.test"),
            ("https://a.test:8443", "a.test"),
            ("https://a.test", "a.test:8443"),
            ("https://a.test", "a.test:80"),
            ("http://a.test", "a.test:443"),
            ("https://a.test@evil", "a.test"),
            ("app://a.test", "a.test"),
            ("app://a.test:80", "a.test:80"),
            ("null", "null"),
            ("a.test", "a.test"),
            ("http://", ""),
            ("", ""),
        ] {
            assert!(!is_of_host(origin, host), "{origin} {host}");
        }
        assert!(!Origins::SameHost.allow("http://a.test", None));
    }

    #[test]
    fn origins_are_equal_by_scheme_host_and_port() {
        let list = [
            "https://good.test",
            "http://localhost:8080",
            "HTTP://Other.Test:80",
            "ws://plain.test",
            "wss://tls.test:443",
            "app://its.own:443",
        ];
        for good in [
            "https://good.test",
            "HTTPS://GOOD.test",
            "https://good.test:443",
            "http://LOCALHOST:8080",
            "http://other.test",
            "WS://plain.test:80",
            "wss://tls.test",
            "app://its.own:443",
        ] {
            assert!(is_listed(good, &list), "{good}");
        }
        for evil in [
            "http://good.test",
            "https://good.test:8443",
            "https://good.test.evil.test",
            "https://evilgood.test",
            "https://good.test@evil",
            "https://evil@good.test",
            "https://good.test/",
            "https://good.test:443:443",
            "https://evil.test",
            "app://its.own",
            "app://its.own:80",
            "ws://tls.test:443",
            "good.test",
            "null",
            "",
        ] {
            assert!(!is_listed(evil, &list), "{evil}");
        }
        assert!(is_listed("null", &["null"]));
        for (origin, entry) in [
            ("nonsense", "nonsense"),
            ("nonsense", "null"),
            ("null", "nonsense"),
        ] {
            assert!(
                !is_listed(origin, &[entry]),
                "what is no origin matches nothing: {origin}, {entry}"
            );
        }
    }
}
