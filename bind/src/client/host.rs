use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

#[cfg(feature = "idna")]
use iri_string::{spec::UriSpec, validate};

use super::error::UrlError;

/// The host of a URL: a name or an address.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Host {
    /// A name in the form that DNS takes: ASCII in lower case.
    Name(String),
    /// An address.
    Addr(IpAddr),
}

impl Host {
    /// Returns the only address to try, or `None` for a name.
    pub(super) fn addresses(&self, port: u16) -> Option<Vec<SocketAddr>> {
        match self {
            Self::Name(_) => None,
            Self::Addr(address) => Some(vec![(*address, port).into()]),
        }
    }

    /// Parses `host`, which has only characters that RFC 3987 allows in a host.
    ///
    /// A name may not have escapes, because some parsers decode them and others do not. If the last label of a name
    /// is a number, the host must be an IPv4 address of four decimal numbers, because parsers disagree about what
    /// `1.2` or `0x7f.1` means.
    pub(super) fn parse(host: &str) -> Result<Self, UrlError> {
        if let Some(address) = host.strip_prefix('[') {
            let address = address.strip_suffix(']').ok_or(UrlError::Host)?;
            let address = address.parse::<Ipv6Addr>().map_err(|_| UrlError::Host)?;
            return Ok(Self::Addr(address.into()));
        }
        let name = to_ascii(host)?;
        if name.is_empty() || name.contains('%') {
            return Err(UrlError::Host);
        }
        if ends_in_number(&name) {
            let address = name.parse::<Ipv4Addr>().map_err(|_| UrlError::Host)?;
            return Ok(Self::Addr(address.into()));
        }
        Ok(Self::Name(name))
    }
}

/// Writes the host as in a URL: an IPv6 address is in brackets.
impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Addr(IpAddr::V4(address)) => address.fmt(f),
            Self::Addr(IpAddr::V6(address)) => write!(f, "[{address}]"),
        }
    }
}

/// Converts a name to ASCII in lower case. A name that is ASCII already is treated alike with and without the feature
/// `idna`, which therefore only adds names.
fn to_ascii(name: &str) -> Result<String, UrlError> {
    if name.is_ascii() {
        return Ok(name.to_ascii_lowercase());
    }
    #[cfg(feature = "idna")]
    {
        let name = idna::domain_to_ascii_cow(name.as_bytes(), idna::AsciiDenyList::URL);
        let name = name.map_err(|_| UrlError::Host)?;
        // Some characters are mapped to one that no name may have: U+FE5B, for example, becomes a brace.
        validate::host::<UriSpec>(&name).map_err(|_| UrlError::Host)?;
        Ok(name.into())
    }
    #[cfg(not(feature = "idna"))]
    Err(UrlError::NoIdna)
}

/// Whether the last label of `name`, which is in lower case, is a decimal or hexadecimal number. A dot at the end of
/// the name is ignored.
fn ends_in_number(name: &str) -> bool {
    let labels = name.strip_suffix('.').unwrap_or(name);
    let last = labels.rsplit('.').next().unwrap_or(labels);
    match last.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit()),
    }
}
