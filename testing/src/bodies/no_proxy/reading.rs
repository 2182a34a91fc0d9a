//! A second reading of `NO_PROXY`, as `docs/proxies.md` describes it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bowline_bind::Host;

use crate::bodies::tally::count;

/// Whether the server is this machine.
pub(super) fn is_this_machine(host: &Host) -> bool {
    match host {
        Host::Name(name) => name == "localhost" || name == "localhost.",
        Host::Addr(IpAddr::V4(address)) => address.octets()[0] == 127,
        Host::Addr(IpAddr::V6(address)) => match address.segments() {
            [0, 0, 0, 0, 0, 0xFFFF, high, _] => high >> 8 == 127,
            segments => segments == [0, 0, 0, 0, 0, 0, 0, 1],
        },
        other => panic!("{other:?}"),
    }
}

/// Whether an entry stands for this server.
pub(super) fn lists(entry: &str, host: &Host, port: u16) -> bool {
    let entry = entry.trim().to_ascii_lowercase();
    if entry == "*" {
        count("`*`");
        return true;
    }
    if let Some((network, bits)) = entry.split_once('/') {
        let (Some(network), Some(bits)) = (read_address(network), number(bits)) else {
            return false;
        };
        let is_listed = matches!(host, Host::Addr(address) if is_in(*address, network, bits));
        if is_listed {
            count("a network");
        }
        return is_listed;
    }
    // A port is after a name, an IPv4 address or brackets. Any other colon is part of an IPv6 address.
    let (place, only) = match entry.rsplit_once(':') {
        Some((place, only)) if place.ends_with(']') || !place.contains(':') => (place, Some(only)),
        _ => (&*entry, None),
    };
    if only.is_some_and(|only| number(only) != Some(port.into())) {
        return false;
    }
    let is_listed = match host {
        Host::Name(name) => is_at_or_below(name, place),
        Host::Addr(address) => read_address(place).is_some_and(|it| same(it) == same(*address)),
        other => panic!("{other:?}"),
    };
    if is_listed {
        count(match (host, only) {
            (Host::Name(_), None) => "a domain",
            (Host::Name(_), Some(_)) => "a domain with a port",
            (_, None) => "an address",
            (_, Some(_)) => "an address with a port",
        });
    }
    is_listed
}

/// Whether `place` is one of the ways to write the name, or a domain above it.
fn is_at_or_below(name: &str, place: &str) -> bool {
    let labels: Vec<_> = without_dot(name).split('.').collect();
    (0..labels.len()).any(|first| {
        let domain = labels[first..].join(".");
        let ways = [domain.clone(), format!(".{domain}"), format!("*.{domain}")];
        ways.iter().any(|way| way == without_dot(place))
    })
}

/// Removes the dot at the end of a name.
pub(super) fn without_dot(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Reads an address. One of IPv6 may be in brackets.
fn read_address(text: &str) -> Option<IpAddr> {
    if text.starts_with('[') && text.ends_with(']') {
        let inside = &text[1..text.len() - 1];
        return inside.parse::<Ipv6Addr>().ok().map(IpAddr::V6);
    }
    text.parse().ok()
}

/// Reads digits, of which there must be some.
fn number(digits: &str) -> Option<u128> {
    let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    are_digits.then(|| digits.parse().unwrap_or(u128::MAX))
}

/// Returns the 128 bits of an address. Those of an IPv4 address are the bits of the IPv6 address that means the same.
fn same(address: IpAddr) -> String {
    let address = match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    };
    format!("{:0128b}", address.to_bits())
}

/// Whether an address is in a network. No network of IPv6 has IPv4 addresses, except for one that has nothing else.
fn is_in(address: IpAddr, network: IpAddr, bits: u128) -> bool {
    let most = if network.is_ipv4() { 32 } else { 128 };
    if bits > most {
        return false;
    }
    let bits = (128 - most + bits) as usize;
    let is_v4 = same(address).starts_with(&same(Ipv4Addr::UNSPECIFIED.into())[..96]);
    (bits >= 96 || !is_v4) && same(address).starts_with(&same(network)[..bits])
}
