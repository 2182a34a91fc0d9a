//! The address of a client whose connection came through proxies, as they name it in header fields.

use std::{borrow::Cow, net::IpAddr, str};

use proto::handshake::Headers;

use super::subnet::{Subnet, address, number};

/// Returns the address of the client that sent these fields over a connection from `peer`, or `None` if it is not known.
///
/// Only the networks in `trusted` have proxies whose word counts. If `peer` is in none of them, it is the client. A peer
/// without an address is at a Unix socket, and counts as such a proxy if there are any. Each proxy has named its own peer
/// to the right of what it received, so the hops are read from the right. The first hop that is not trusted is the client,
/// and whatever is to the left of it comes from the client and changes nothing. If all hops are trusted, the leftmost is
/// the client.
///
/// The hops are in `Forwarded` (RFC 7239) or in `X-Forwarded-For`. A proxy that writes one of them passes on the
/// other as the client sent it. If both are there and they do not name the same client, it is therefore not known. It is
/// not known either if a trusted proxy names its peer `unknown` or by an identifier (§6.2, §6.3), or not at all, or not
/// as the grammar says.
///
/// The time is linear in the length of the fields, for each trusted network.
pub(super) fn client_address(
    fields: &Headers,
    peer: Option<IpAddr>,
    trusted: &[Subnet],
) -> Option<IpAddr> {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    if trusted.is_empty() || peer.is_some_and(|peer| !is_trusted(peer)) {
        return peer;
    }
    let named = |name, has_quotes, hop: fn(&[u8]) -> Option<IpAddr>| {
        // The iterator of the fields has only one end.
        let lines: Vec<_> = fields.get_all(name).collect();
        let parts = |line| FromRight::new(line, b',', has_quotes);
        let hops = lines.iter().rev().copied().flat_map(parts).map(hop);
        (!lines.is_empty()).then(|| client(peer, hops, is_trusted))
    };
    let forwarded = named("Forwarded", true, element);
    let x_forwarded_for = named("X-Forwarded-For", false, item);
    match (forwarded, x_forwarded_for) {
        (None, None) => peer,
        (Some(client), None) | (None, Some(client)) => client,
        (Some(a), Some(b)) => a.filter(|a| b.is_some_and(|b| a.to_canonical() == b.to_canonical())),
    }
}

/// Returns the first of `hops` that is not trusted, or else the last. They begin at the trusted `peer`.
fn client(
    peer: Option<IpAddr>,
    mut hops: impl Iterator<Item = Option<IpAddr>>,
    is_trusted: impl Fn(IpAddr) -> bool,
) -> Option<IpAddr> {
    let mut client = peer;
    while client.is_none_or(&is_trusted) {
        match hops.next() {
            Some(hop) => client = Some(hop?),
            None => break,
        }
    }
    client
}

/// The parts of a text between separators, from the last to the first. White space around a part is not in it, and an empty
/// part is left out (RFC 9110 §5.6.1.2: "MUST parse and ignore a reasonable number of empty list elements").
///
/// A quoted string is found from its right end, so that nothing to the left of a part changes the part.
struct FromRight<'a> {
    rest: Option<&'a [u8]>,
    separator: u8,
    /// Whether a separator in a quoted string is none.
    has_quotes: bool,
}

impl<'a> FromRight<'a> {
    const fn new(text: &'a [u8], separator: u8, has_quotes: bool) -> Self {
        Self {
            rest: Some(text),
            separator,
            has_quotes,
        }
    }

    /// Returns the last part, and keeps the others.
    fn part(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest.take()?;
        let mut is_quoted = false;
        for (at, &byte) in rest.iter().enumerate().rev() {
            let (left, right) = rest.split_at(at);
            if byte == b'"' && self.has_quotes {
                let escapes = left.iter().rev().take_while(|byte| **byte == b'\\');
                // A quoted string has its own quotes only with a backslash before them.
                is_quoted = !is_quoted || escapes.count() % 2 == 1;
            } else if byte == self.separator && !is_quoted {
                self.rest = Some(left);
                return right.get(1..);
            }
        }
        Some(rest)
    }
}

impl<'a> Iterator for FromRight<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        loop {
            let part = self.part()?.trim_ascii();
            if !part.is_empty() {
                return Some(part);
            }
        }
    }
}

/// Returns the address that an element of `Forwarded` has for the peer of the proxy that wrote it (RFC 7239 §4).
fn element(element: &[u8]) -> Option<IpAddr> {
    let mut peer = None;
    for parameter in FromRight::new(element, b';', true) {
        let (name, value) = str::from_utf8(parameter).ok()?.split_once('=')?;
        let value = match is_token(value) {
            true => value.into(),
            false => unquoted(value)?,
        };
        if name.eq_ignore_ascii_case("for") {
            // §4: "Each parameter MUST NOT occur more than once".
            if peer.replace(node(&value)?).is_some() {
                return None;
            }
        } else if !is_token(name) {
            return None;
        }
    }
    peer
}

/// Returns the address in an item of `X-Forwarded-For`, where an IPv6 address may lack the brackets.
fn item(item: &[u8]) -> Option<IpAddr> {
    let item = str::from_utf8(item).ok()?;
    address(item).or_else(|| node(item))
}

/// Returns the address of a node that may have a port (RFC 7239 §6).
fn node(node: &str) -> Option<IpAddr> {
    let (host, port) = match node.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (node, None),
    };
    // §6.3: an obfuscated identifier "MUST have a leading underscore". A port may be one too.
    let is_port = |port: &str| port.starts_with('_') || number::<u16>(port).is_some();
    // §6: a node is an "IPv4address", or an "IPv6address" between "[" and "]".
    let is_host = |it: &IpAddr| it.is_ipv4() || host.starts_with('[');
    address(host).filter(|it| is_host(it) && port.is_none_or(is_port))
}

/// Whether `text` is a token (RFC 9110 §5.6.2).
fn is_token(text: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_token)
}

/// Returns what a quoted string stands for (RFC 9110 §5.6.4).
fn unquoted(text: &str) -> Option<Cow<'_, str>> {
    let inside = text.strip_prefix('"')?.strip_suffix('"')?;
    if !inside.contains(['"', '\\']) {
        return Some(inside.into());
    }
    let mut value = String::with_capacity(inside.len());
    let mut chars = inside.chars();
    while let Some(char) = chars.next() {
        value.push(match char {
            '"' => return None,
            '\\' => chars.next()?,
            char => char,
        });
    }
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    /// Returns the client if the fields are these lines, and the proxies in 10.0.0.0/8 and fd00::/8 are trusted.
    fn client_of(peer: &str, lines: &[(&str, &str)]) -> Option<String> {
        let trusted = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
        let mut fields = Headers::new();
        for (name, value) in lines {
            fields.push(name.to_string(), *value).unwrap();
        }
        let client = client_address(&fields, peer.parse().ok(), &trusted);
        client.map(|client| client.to_string())
    }

    #[test]
    fn fields_of_a_peer_that_is_not_trusted_are_ignored() {
        let fields = [
            ("Forwarded", "for=192.0.2.7"),
            ("X-Forwarded-For", "192.0.2.7"),
        ];
        for peer in ["192.0.2.1", "2001:db8::1", "11.0.0.1", "::ffff:192.0.2.1"] {
            assert_eq!(client_of(peer, &fields).unwrap(), peer);
        }
        for peer in ["10.0.0.1", "::ffff:10.0.0.1", "fd00::1"] {
            assert_eq!(client_of(peer, &fields).unwrap(), "192.0.2.7");
            assert_eq!(client_of(peer, &[]).unwrap(), peer);
            assert_eq!(client_of(peer, &[("forwarded", " ")]).unwrap(), peer);
        }
    }

    #[test]
    fn rfc7239_s4_to_s7_the_client_is_the_one_in_the_table() {
        let table = include_str!("../../tests/data/forwarded.txt");
        let mut count = 0;
        for line in table.lines().filter(|line| !line.starts_with('#')) {
            let [name, value, client] = line.split(" | ").collect::<Vec<_>>()[..] else {
                panic!("{line}")
            };
            let found = client_of("10.0.0.1", &[(name, value)]);
            assert_eq!(found.as_deref().unwrap_or("-"), client, "{line}");
            count += 1;
        }
        assert!(count >= 70, "{count} cases");
    }

    #[test]
    fn lines_of_a_field_are_one_list() {
        let lines = [
            ("Forwarded", "for=192.0.2.1;x=\""),
            ("FORWARDED", "for=192.0.2.7, for=10.0.0.3"),
            ("forwarded", "for=10.0.0.2;host=\"a,b\""),
        ];
        assert_eq!(client_of("10.0.0.1", &lines).unwrap(), "192.0.2.7");
        assert_eq!(client_of("10.0.0.1", &lines[2..]).unwrap(), "10.0.0.2");
        // A quoted string ends in the line in which it begins.
        assert_eq!(client_of("10.0.0.1", &lines[..1]), None);
    }

    #[test]
    fn a_field_that_the_proxy_does_not_write_cannot_name_the_client() {
        let both = |a, b| client_of("10.0.0.1", &[("Forwarded", a), ("X-Forwarded-For", b)]);
        assert_eq!(
            both("for=192.0.2.7", "192.0.2.1, 192.0.2.7").unwrap(),
            "192.0.2.7"
        );
        assert_eq!(
            both("for=\"[::ffff:192.0.2.7]\"", "192.0.2.7").unwrap(),
            "::ffff:192.0.2.7"
        );
        for forged in ["for=192.0.2.1", "for=unknown", "for=10.0.0.9", "", "\""] {
            assert_eq!(both(forged, "192.0.2.7"), None, "{forged}");
        }
        for forged in ["192.0.2.1", "unknown", "10.0.0.9", ""] {
            assert_eq!(both("for=192.0.2.7", forged), None, "{forged}");
        }
    }

    #[test]
    fn a_long_chain_takes_linear_time_and_little_memory() {
        let long = |piece: &str, len: usize| piece.repeat(len / piece.len());
        let hops = [
            ("Forwarded", "for=10.0.0.2;host=\"\\\"\","),
            ("Forwarded", "for=\"[fd00::2]:4711\", "),
            ("Forwarded", ","),
            ("X-Forwarded-For", "10.0.0.2,"),
        ];
        for (name, hop) in hops {
            let mut fields = Headers::new();
            fields
                .push(name, format!("for=192.0.2.7, {}", long(hop, 10_000)))
                .unwrap();
            let trusted = ["10.0.0.0/8", "fd00::/8"].map(|text| text.parse().unwrap());
            let peer = [10, 0, 0, 1].into();
            let used = allocation_counter::measure(|| {
                let client = client_address(&fields, Some(peer), &trusted);
                assert_eq!(client.is_some(), name == "Forwarded");
            });
            assert!(
                used.bytes_max <= 100 && used.bytes_total <= 10_000,
                "{used:?}"
            );
        }
        // With quadratic time this would take an hour.
        let pieces = [
            "\"",
            "\\",
            "\\\"",
            "\"\"",
            ";",
            ",",
            "for=10.0.0.2,",
            "a=\"\\\",",
            "x",
        ];
        for piece in pieces {
            for end in ["", "\"", "\\\"", ",for=10.0.0.2"] {
                let value = long(piece, 1 << 19) + end;
                client_of(
                    "10.0.0.1",
                    &[("Forwarded", &value), ("X-Forwarded-For", &value)],
                );
            }
        }
    }

    /// Random numbers, which differ from run to run.
    struct Random(u64);

    impl Random {
        fn below(&mut self, count: usize) -> usize {
            // Xorshift, by Marsaglia.
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 >> 16) as usize % count
        }

        fn text(&mut self, pieces: &[&str], most: usize) -> String {
            let count = self.below(most + 1);
            (0..count)
                .map(|_| pieces[self.below(pieces.len())])
                .collect()
        }
    }

    const PIECES: [&str; 20] = [
        "\"",
        "\\",
        ",",
        ";",
        "=",
        " ",
        "for",
        "for=",
        "For=\"",
        "10.0.0.2",
        "192.0.2.1",
        "[fd00::2]",
        "[::1]:80",
        "_x",
        "unknown",
        "for=10.0.0.3",
        ", for=10.0.0.4",
        "x=\"",
        "a",
        "fd00::3",
    ];

    #[test]
    fn nothing_to_the_left_of_the_client_changes_who_it_is() {
        let seed = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64 | 1;
        let mut random = Random(seed);
        let mut found = 0;
        for _ in 0..20_000 {
            let is_short = random.below(2) == 0;
            let name = ["Forwarded", "X-Forwarded-For"][usize::from(is_short)];
            let right = match (random.below(2), is_short) {
                (0, _) => random.text(&PIECES, 8),
                (_, true) => format!("192.0.2.7{}", random.text(&[", 10.0.0.2"], 3)),
                (..) => format!(
                    "for=192.0.2.7{}",
                    random.text(&[",for=10.0.0.2;x=\"a,\\\"\""], 3)
                ),
            };
            let client = client_of("10.0.0.1", &[(name, &right)]);
            // Who is trusted is not yet the client.
            if client
                .as_ref()
                .is_none_or(|it| it.starts_with("10.") || it.starts_with("fd00:"))
            {
                continue;
            }
            found += 1;
            let left = random.text(&PIECES, 12);
            let joined = format!("{left},{right}");
            let joined = client_of("10.0.0.1", &[(name, &joined)]);
            assert_eq!(joined, client, "{left:?} before {right:?}, seed {seed}");
            let lines = client_of("10.0.0.1", &[(name, &left), (name, &right)]);
            assert_eq!(
                lines, client,
                "a line {left:?} before {right:?}, seed {seed}"
            );
        }
        assert!(found > 5_000, "{found}");
    }
}
