//! The proxy that the environment names, and the servers that are reached without it.

use crate::server::subnet::{Subnet, number};

use super::host::Host;

/// The variables about proxies, as the environment has them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Environment {
    /// The URL of the proxy, if there is one.
    proxy: Option<String>,
    no_proxy: NoProxy,
}

impl Environment {
    /// Reads the variables with `get`. A name in lower case comes before the same in capitals.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Self {
        let get = |name: &str| get(name).filter(|value| !value.trim().is_empty());
        let either = |name: &str| get(name).or_else(|| get(&name.to_ascii_uppercase()));
        // A web server passes the field `Proxy` of a request to CGI programs as HTTP_PROXY, so anyone can set that.
        let http = || match get("REQUEST_METHOD") {
            Some(_) => get("http_proxy"),
            None => either("http_proxy"),
        };
        // RFC 6455 §4.1 prefers a SOCKS proxy, and then that for HTTPS.
        let proxy = either("socks_proxy")
            .or_else(|| either("all_proxy"))
            .or_else(|| either("https_proxy"))
            .or_else(http);
        Self {
            proxy: proxy.map(|url| match url.trim() {
                url if url.contains("://") => url.to_owned(),
                address => format!("http://{address}"),
            }),
            no_proxy: NoProxy::parse(&either("no_proxy").unwrap_or_default()),
        }
    }

    /// Returns the URL of the proxy for a server. This machine is always reached without one.
    pub(crate) fn proxy(&self, host: &Host, port: u16) -> Option<&str> {
        let is_local = match host {
            Host::Name(name) => without_dot(name).eq_ignore_ascii_case("localhost"),
            Host::Addr(address) => address.to_canonical().is_loopback(),
        };
        let url = self.proxy.as_deref()?;
        (!is_local && !self.no_proxy.has(host, port)).then_some(url)
    }
}

/// The servers that are reached without a proxy, as `NO_PROXY` lists them.
///
/// An entry is `*`, a domain, an address, or a network such as `192.0.2.0/24`. A domain also stands for everything below it,
/// with or without a dot or `*.` before it. A domain and an address may have a port, and then stand for that port only.
#[derive(Clone, Debug, Default)]
struct NoProxy(Vec<(Pattern, Option<u16>)>);

#[derive(Clone, Debug)]
enum Pattern {
    Everything,
    Domain(String),
    Network(Subnet),
}

impl NoProxy {
    /// Entries are separated by commas or spaces. One that is neither of those above matches nothing.
    fn parse(list: &str) -> Self {
        let entries = list.split([',', ' ', '\t']).map(str::trim);
        Self(
            entries
                .filter(|it| !it.is_empty())
                .filter_map(entry)
                .collect(),
        )
    }

    fn has(&self, host: &Host, port: u16) -> bool {
        self.0.iter().any(|(pattern, only)| {
            let matches = match (pattern, host) {
                (Pattern::Everything, _) => true,
                (Pattern::Domain(domain), Host::Name(name)) => is_below(without_dot(name), domain),
                (Pattern::Network(network), Host::Addr(address)) => network.contains(*address),
                _ => false,
            };
            matches && only.is_none_or(|only| only == port)
        })
    }
}

fn entry(text: &str) -> Option<(Pattern, Option<u16>)> {
    if text == "*" {
        return Some((Pattern::Everything, None));
    }
    // Only a network has a slash, and it has no port.
    if text.contains('/') {
        return Some((Pattern::Network(text.parse().ok()?), None));
    }
    // An IPv6 address has colons, so it can have a port only with brackets.
    let (host, port) = match (text.parse::<Subnet>(), text.rsplit_once(':')) {
        (Err(_), Some((host, port))) => (host, Some(number(port)?)),
        _ => (text, None),
    };
    if let Ok(address) = host.parse() {
        if port.is_some() && host.contains(':') && !host.starts_with('[') {
            return None;
        }
        return Some((Pattern::Network(address), port));
    }
    let dotted = host.strip_prefix("*.").or_else(|| host.strip_prefix('.'));
    let domain = without_dot(dotted.unwrap_or(host));
    (!domain.is_empty()).then(|| (Pattern::Domain(domain.to_owned()), port))
}

/// Removes the dot at the end of a name, which makes it absolute in DNS.
fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Whether `name` is `domain` or below it.
fn is_below(name: &str, domain: &str) -> bool {
    let Some(start) = name.len().checked_sub(domain.len()) else {
        return false;
    };
    let Some((above, end)) = name.split_at_checked(start) else {
        return false;
    };
    end.eq_ignore_ascii_case(domain) && (above.is_empty() || above.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment<'a>(variables: &'a [(&'a str, &'a str)]) -> Environment {
        Environment::read(|name| {
            let found = variables.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn host(text: &str) -> Host {
        Host::parse(text).unwrap()
    }

    /// Each line of the table has a list, a host, a port, and whether the server is reached directly.
    #[test]
    fn no_proxy_is_read_as_the_table_says() {
        let table = include_str!("../../tests/data/no_proxy.txt");
        let mut count = 0;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [list, name, port, direct] = cells[..] else {
                panic!("{line}")
            };
            let environment = environment(&[("all_proxy", "http://p"), ("no_proxy", list)]);
            let proxy = environment.proxy(&host(name), port.parse().unwrap());
            assert_eq!(proxy.is_none(), direct == "direct", "{line}");
            count += 1;
        }
        assert!(count >= 200, "{count} cases");
    }

    #[test]
    fn variables_are_asked_in_the_order_of_rfc_6455() {
        let all = [
            ("socks_proxy", "a"),
            ("SOCKS_PROXY", "b"),
            ("all_proxy", "c"),
            ("ALL_PROXY", "d"),
            ("https_proxy", "e"),
            ("HTTPS_PROXY", "f"),
            ("http_proxy", "g"),
            ("HTTP_PROXY", "h"),
        ];
        for first in 0..all.len() {
            let environment = environment(&all[first..]);
            let expected = format!("http://{}", all[first].1);
            assert_eq!(environment.proxy(&host("a.test"), 80), Some(&expected[..]));
        }
        assert_eq!(environment(&[]).proxy(&host("a.test"), 80), None);
        let empty = environment(&[("socks_proxy", " "), ("ALL_PROXY", "socks5://p")]);
        assert_eq!(empty.proxy(&host("a.test"), 80), Some("socks5://p"));
    }

    /// RFC 3875 §4.1.18: a CGI program gets a field `Proxy` of the request as HTTP_PROXY.
    #[test]
    fn a_request_cannot_choose_the_proxy_of_a_cgi_program() {
        let cgi = ("REQUEST_METHOD", "GET");
        let upper = environment(&[cgi, ("HTTP_PROXY", "evil")]);
        assert_eq!(upper.proxy(&host("a.test"), 80), None);
        let lower = environment(&[cgi, ("http_proxy", "p"), ("HTTP_PROXY", "evil")]);
        assert_eq!(lower.proxy(&host("a.test"), 80), Some("http://p"));
    }
}
