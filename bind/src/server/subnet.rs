//! Networks of addresses, and what counts as one client of a limit for each address.

use std::{
    error, fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A network: the addresses whose first bits are the same (RFC 4632 §3.1, RFC 4291 §2.3).
///
/// The text of a network is an address and the number of these bits, such as `10.0.0.0/8` or `2001:db8::/32`. An address
/// without a number, such as `::1`, is a network of its own. An IPv6 address may be in brackets. The other bits are
/// ignored: `10.1.2.3/8` and `10.0.0.0/8` are equal.
///
/// An IPv4 address that is written as IPv6 (`::ffff:192.0.2.7`, RFC 4291 §2.5.5.2) counts as IPv4 everywhere, so
/// `::ffff:192.0.2.0/120` equals `192.0.2.0/24`. A network of IPv6 never contains such an address.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Subnet {
    /// All bits after the first `bits` are 0.
    first: IpAddr,
    bits: u8,
}

impl Subnet {
    /// Returns the network of the addresses that begin with the same `bits` as `address`.
    fn new(address: IpAddr, bits: u8) -> Self {
        match (address.to_canonical(), bits.checked_sub(96)) {
            (IpAddr::V4(short), Some(bits)) if address.is_ipv6() => Self::new(short.into(), bits),
            _ => Self {
                first: first_of(address, bits),
                bits,
            },
        }
    }

    /// Whether `address` is in this network.
    pub fn contains(&self, address: IpAddr) -> bool {
        first_of(address.to_canonical(), self.bits) == self.first
    }
}

impl FromStr for Subnet {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let (text, bits) = match text.split_once('/') {
            Some((text, bits)) => (text, Some(bits)),
            None => (text, None),
        };
        let address = address(text).ok_or(SubnetError::Address)?;
        let most = bits_of(address);
        let bits = match bits {
            Some(bits) => number(bits).filter(|bits| *bits <= most),
            None => Some(most),
        };
        Ok(Self::new(address, bits.ok_or(SubnetError::PrefixLength)?))
    }
}

/// Writes the first address of the network and the number of bits, or only the address if the network has no other.
impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        if self.bits < bits_of(self.first) {
            write!(f, "/{}", self.bits)?;
        }
        Ok(())
    }
}

/// The reason why a text is not a network. The error is the caller's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SubnetError {
    /// The text before the slash, or all of it if there is no slash, is not an IPv4 or IPv6 address.
    Address,
    /// The text after the slash is not a number of bits, or the address has fewer bits: 32 in IPv4 and 128 in IPv6.
    PrefixLength,
}

impl fmt::Display for SubnetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Address => {
                "the text of a network has no valid address: write one such as 10.0.0.0/8, 192.0.2.7 or 2001:db8::/32, \
                 without a name, a port or spaces"
            }
            Self::PrefixLength => {
                "the text of a network has no valid number of bits after the slash: write at most 32 after an IPv4 \
                 address and at most 128 after an IPv6 address"
            }
        })
    }
}

impl error::Error for SubnetError {}

/// Returns the unit that a limit for each address counts: an IPv4 address, or the /64 of an IPv6 address, because a
/// client of IPv6 usually has all addresses of its /64 (RFC 6177 §2).
pub(crate) fn address_key(address: IpAddr) -> Subnet {
    let address = address.to_canonical();
    Subnet::new(address, bits_of(address).min(64))
}

/// Parses an address. One of IPv6 may be in brackets.
pub(crate) fn address(text: &str) -> Option<IpAddr> {
    match text.strip_prefix('[').and_then(|it| it.strip_suffix(']')) {
        Some(inside) => inside.parse().ok().filter(IpAddr::is_ipv6),
        None => text.parse().ok(),
    }
}

/// Parses a number that has digits only. `parse` takes a sign too.
pub(crate) fn number<T: FromStr>(digits: &str) -> Option<T> {
    let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
}

/// Returns the number of bits of `address`.
const fn bits_of(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// Returns `address` with 0 for all bits after the first `bits`.
fn first_of(address: IpAddr, bits: u8) -> IpAddr {
    let unused = bits_of(address).saturating_sub(bits).into();
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(unused).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(unused).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> Subnet {
        text.parse()
            .unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_with_its_bits() {
        let table = [
            (
                "10.0.0.0/8",
                "10.0.0.0 10.255.255.255",
                "9.255.255.255 11.0.0.0",
            ),
            ("10.1.2.3/8", "10.9.9.9", "11.1.2.3"),
            (
                "192.0.2.7",
                "192.0.2.7 ::ffff:192.0.2.7",
                "192.0.2.6 ::192.0.2.7",
            ),
            ("192.0.2.7/31", "192.0.2.6", "192.0.2.8"),
            ("0.0.0.0/0", "255.1.2.3 ::ffff:1.2.3.4", "::1 ::"),
            ("::1", "::1", "::2 0.0.0.1"),
            ("[2001:db8::1]", "2001:db8::1", "2001:db8::2"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("[2001:db8::]/33", "2001:db8:7fff::1", "2001:db8:8000::"),
            ("::/0", "::1 ffff::", "0.0.0.0 ::ffff:1.2.3.4"),
            (
                "::ffff:192.0.2.0/120",
                "192.0.2.9 ::ffff:192.0.2.9",
                "192.0.3.0",
            ),
            ("::ffff:0:0/96", "1.2.3.4 ::ffff:1.2.3.4", "::1.2.3.4"),
            ("::ffff:0:0/95", "::fffe:1:2", "1.2.3.4 ::ffff:1.2.3.4"),
        ];
        for (text, inside, outside) in table {
            for (addresses, expected) in [(inside, true), (outside, false)] {
                for address in addresses.split(' ') {
                    let contains = net(text).contains(address.parse().unwrap());
                    assert_eq!(contains, expected, "{address} in {text}");
                }
            }
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        let table = [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7/32", "192.0.2.7"),
            ("192.0.2.0/024", "192.0.2.0/24"),
            ("[::1]", "::1"),
            ("2001:DB8:1::/32", "2001:db8::/32"),
            ("::ffff:10.0.0.1/104", "10.0.0.0/8"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("::/0", "::/0"),
        ];
        for (text, written) in table {
            assert_eq!(net(text).to_string(), written);
            assert_eq!(net(text), net(written));
        }
        assert_ne!(net("10.0.0.0/8"), net("10.0.0.0/9"));
        assert_ne!(net("0.0.0.0/0"), net("::/0"));
    }

    #[test]
    fn an_error_says_which_part_is_wrong() {
        use SubnetError::{Address, PrefixLength};
        let table = [
            ("", Address),
            ("/8", Address),
            ("localhost", Address),
            ("10.0.0/8", Address),
            ("010.0.0.0/8", Address),
            (" 10.0.0.0/8", Address),
            ("10.0.0.0:80", Address),
            ("[10.0.0.0]/8", Address),
            ("[::1", Address),
            ("[::1]:80", Address),
            ("fe80::1%eth0", Address),
            ("10.0.0.0/", PrefixLength),
            ("10.0.0.0/33", PrefixLength),
            ("::/129", PrefixLength),
            ("10.0.0.0/+8", PrefixLength),
            ("10.0.0.0/-8", PrefixLength),
            ("10.0.0.0/8/8", PrefixLength),
            ("10.0.0.0/8 ", PrefixLength),
            ("10.0.0.0/255.0.0.0", PrefixLength),
            ("10.0.0.0/264", PrefixLength),
        ];
        for (text, error) in table {
            assert_eq!(text.parse::<Subnet>(), Err(error), "{text}");
        }
    }

    #[test]
    fn a_limit_counts_an_ipv4_address_or_a_64() {
        let key = |text: &str| address_key(text.parse().unwrap());
        assert_eq!(key("192.0.2.7"), key("::ffff:192.0.2.7"));
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
        assert_eq!(key("2001:db8::1"), key("2001:db8::ffff:0:0:1"));
        assert_ne!(key("2001:db8::1"), key("2001:db8:0:1::1"));
        assert_eq!(key("2001:db8::1"), net("2001:db8::/64"));
    }
}
