//! Hosts and origins (RFC 3986 §3.2, RFC 6454 §4).

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
pub(super) fn is_listed(origin: &str, list: &[&str]) -> bool {
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
    let default = match scheme {
        _ if scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("ws") => Some(80),
        _ if scheme.eq_ignore_ascii_case("https") || scheme.eq_ignore_ascii_case("wss") => {
            Some(443)
        }
        _ => None,
    };
    Some((scheme, host, port.or(default)))
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
