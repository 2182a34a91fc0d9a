//! Version 1 of the PROXY protocol: a line of text (§2.1).

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str,
};

use super::{ProxyHeaderError, Source};
use crate::server::subnet::number;

/// The longest line, with its CRLF: "If the CRLF sequence is not found in the first 107 characters", it is invalid.
pub(super) const MAX_LEN: usize = 107;

/// The shortest line is `PROXY UNKNOWN` with its CRLF. A header of version 2 is longer.
const MIN_LEN: usize = 15;

/// The kind of a line, which is the word after `PROXY`.
#[derive(Clone, Copy)]
enum Kind {
    Tcp4,
    Tcp6,
    Unknown,
}

/// The first bytes of each kind of line.
const BEGINNINGS: [(&[u8], Kind); 3] = [
    (b"PROXY TCP4 ", Kind::Tcp4),
    (b"PROXY TCP6 ", Kind::Tcp6),
    (b"PROXY UNKNOWN", Kind::Unknown),
];

/// Reads what came of a line, which must be called after each of its bytes. Returns `None` if the line is not whole.
pub(super) fn read(line: &[u8]) -> Result<Option<Source>, ProxyHeaderError> {
    let Some((kind, rest)) = split(line) else {
        let is_beginning = BEGINNINGS.iter().any(|(word, _)| word.starts_with(line));
        return match line.starts_with(b"PROXY ") {
            _ if is_beginning => Ok(None),
            true => Err(ProxyHeaderError::Line),
            false => Err(ProxyHeaderError::Missing),
        };
    };
    let source = match (kind, rest) {
        // "the receiver must ignore anything presented before the CRLF".
        (Kind::Unknown, [b' ', more @ ..]) => more.ends_with(b"\r\n").then_some(Source::Proxy),
        (Kind::Unknown, b"\r\n") => Some(Source::Proxy),
        (Kind::Unknown, b"" | b"\r") => None,
        (Kind::Unknown, _) => return Err(ProxyHeaderError::Line),
        (kind, rest) => match rest.iter().position(|byte| b"\r\n".contains(byte)) {
            None => None,
            Some(end) => {
                let (fields, end) = rest.split_at(end);
                match end {
                    b"\r" => None,
                    b"\r\n" => Some(source(kind, fields).ok_or(ProxyHeaderError::Line)?),
                    // "must not tolerate a single CR or LF character".
                    _ => return Err(ProxyHeaderError::Line),
                }
            }
        },
    };
    match source {
        None if line.len() >= MAX_LEN => Err(ProxyHeaderError::TooLong),
        source => Ok(source),
    }
}

/// Returns how many bytes at least must still come, which is at least 1.
pub(super) fn missing(line: &[u8]) -> usize {
    let Some((kind, rest)) = split(line) else {
        return MIN_LEN.saturating_sub(line.len()).max(1);
    };
    if rest.ends_with(b"\r") {
        return 1;
    }
    // The shortest addresses are `0.0.0.0` and `::`.
    let fields: &[usize] = match kind {
        Kind::Tcp4 => &[7, 7, 1, 1],
        Kind::Tcp6 => &[2, 2, 1, 1],
        Kind::Unknown => &[],
    };
    let count = rest.iter().filter(|byte| **byte == b' ').count();
    let last = rest.rsplit(|byte| *byte == b' ').next();
    let last = last.map_or(0, <[u8]>::len);
    let fields = fields.get(count..).unwrap_or_default();
    let of_last = fields.first().map_or(0, |len| len.saturating_sub(last));
    // Each of the others comes after a space.
    let of_others: usize = fields.iter().skip(1).map(|len| 1 + len).sum();
    let most = MAX_LEN.saturating_sub(line.len());
    (of_last + of_others + b"\r\n".len()).min(most).max(1)
}

/// Returns the kind of the line and what is after its beginning, once it is known.
fn split(line: &[u8]) -> Option<(Kind, &[u8])> {
    let rest = |(word, kind): &(&[u8], Kind)| Some((*kind, line.strip_prefix(*word)?));
    BEGINNINGS.iter().find_map(rest)
}

/// Returns what the addresses and ports of a line say: those of the client, and those of the proxy.
fn source(kind: Kind, fields: &[u8]) -> Option<Source> {
    let fields: Vec<_> = str::from_utf8(fields).ok()?.split(' ').collect();
    let [client, proxy, client_port, proxy_port] = fields[..] else {
        return None;
    };
    let address = |text: &str| -> Option<IpAddr> {
        match kind {
            Kind::Tcp4 => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            _ => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        }
    };
    // "Heading zeroes are not permitted".
    let port = |text: &str| number::<u16>(text).filter(|_| text == "0" || !text.starts_with('0'));
    let client = (address(client)?, port(client_port)?);
    let _ = (address(proxy)?, port(proxy_port)?);
    Some(Source::Client(client.into()))
}

/// Lines that are not valid, without `PROXY` and the CRLF.
#[cfg(test)]
pub(super) const HOSTILE: [&str; 49] = [
    "",
    " ",
    "TCP4",
    "TCP4 ",
    "TCP5 1.2.3.4 1.2.3.4 1 2",
    "TCP 1.2.3.4 1.2.3.4 1 2",
    "UDP4 1.2.3.4 1.2.3.4 1 2",
    "tcp4 1.2.3.4 1.2.3.4 1 2",
    " TCP4 1.2.3.4 1.2.3.4 1 2",
    "TCP4  1.2.3.4 1.2.3.4 1 2",
    "TCP4 1.2.3.4  1.2.3.4 1 2",
    "TCP4 1.2.3.4 1.2.3.4  1 2",
    "TCP4 1.2.3.4 1.2.3.4 1  2",
    "TCP4 1.2.3.4 1.2.3.4 1 2 ",
    "TCP4 1.2.3.4 1.2.3.4 1 2 3",
    "TCP4 1.2.3.4 1.2.3.4 1",
    "TCP4 1.2.3.4 1.2.3.4 1 ",
    "TCP4 1.2.3.4",
    "TCP4\t1.2.3.4 1.2.3.4 1 2",
    "TCP4 1.2.3.4\t1.2.3.4 1 2",
    "TCP4 1.2.3.4 1.2.3.4 01 2",
    "TCP4 1.2.3.4 1.2.3.4 1 02",
    "TCP4 1.2.3.4 1.2.3.4 00 2",
    "TCP4 1.2.3.4 1.2.3.4 +1 2",
    "TCP4 1.2.3.4 1.2.3.4 -1 2",
    "TCP4 1.2.3.4 1.2.3.4 1 +2",
    "TCP4 1.2.3.4 1.2.3.4 65536 2",
    "TCP4 1.2.3.4 1.2.3.4 1 65536",
    "TCP4 1.2.3.4 1.2.3.4 99999999999999999999 2",
    "TCP4 1.2.3.4 1.2.3.4 0x1 2",
    "TCP4 1.2.3.4 1.2.3.4 http 2",
    "TCP4 1.2.3.04 1.2.3.4 1 2",
    "TCP4 1.2.3.4 01.2.3.4 1 2",
    "TCP4 1.2.3.256 1.2.3.4 1 2",
    "TCP4 1.2.3 1.2.3.4 1 2",
    "TCP4 1.2.3.4.5 1.2.3.4 1 2",
    "TCP4 ::1 ::1 1 2",
    "TCP4 1.2.3.4 ::1 1 2",
    "TCP4 a.test 1.2.3.4 1 2",
    "TCP4 1.2.3.4 1.2.3.4 1 2\r",
    "TCP4 1.2.3.4 1.2.3.4 1 2\n",
    "TCP4 1.2.3.4 1.2.3.4 1 2\rx",
    "TCP6 1.2.3.4 1.2.3.4 1 2",
    "TCP6 [::1] [::1] 1 2",
    "TCP6 ::1%1 ::1 1 2",
    "TCP6 1:2:3:4:5:6:7 ::1 1 2",
    "TCP6 ::1::2 ::1 1 2",
    "TCP6 00001::2 ::1 1 2",
    "UNKNOWNS",
];
