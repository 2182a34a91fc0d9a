//! Version 2 of the PROXY protocol: a binary header (§2.2).

use std::net::IpAddr;

use super::{ProxyHeaderError, Source};

/// The first byte of a header, with which no line of version 1 begins.
pub(super) const FIRST: u8 = b'\r';

const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// The length of what every header has: the signature, a byte for the version and the command, one for the family and the
/// protocol, and the length of the rest in two bytes.
const MIN_LEN: usize = 16;

/// The most that a header may have after that: the addresses, and TLVs, which are skipped.
const MAX_REST: usize = 4096;

const VERSION: u8 = 2;

/// Reads `len` bytes of a header, of which only `start` is kept. It must be called after each of them. Returns `None` if
/// the header is not whole.
pub(super) fn read(start: &[u8], len: usize) -> Result<Option<Source>, ProxyHeaderError> {
    if !start.starts_with(&SIGNATURE) && !SIGNATURE.starts_with(start) {
        return Err(ProxyHeaderError::Missing);
    }
    let command = start.get(12).copied();
    // "other values are unassigned", and "Receivers must drop connections" that have them.
    if command.is_some_and(|it| halves(it).0 != VERSION || halves(it).1 > 1) {
        return Err(ProxyHeaderError::Unassigned);
    }
    // After LOCAL "the family … is ignored".
    let is_local = command.is_some_and(|it| halves(it).1 == 0);
    let kind = start
        .get(13)
        .map(|it| if is_local { (0, 0) } else { halves(*it) });
    let addresses = match kind {
        None => return Ok(None),
        Some((4.., _) | (_, 3..)) => return Err(ProxyHeaderError::Unassigned),
        Some((0, _) | (_, 0)) => 0,
        Some((1, _)) => 2 * 4 + 2 * 2,
        Some((2, _)) => 2 * 16 + 2 * 2,
        Some(_) => 2 * 108,
    };
    match rest_len(start) {
        None => Ok(None),
        Some(rest) if rest > MAX_REST => Err(ProxyHeaderError::TooLong),
        Some(rest) if rest < addresses => Err(ProxyHeaderError::TooShort),
        Some(rest) if len < MIN_LEN + rest => Ok(None),
        Some(_) => Ok(match kind {
            Some((1, 1)) => client::<4>(start),
            Some((2, 1)) => client::<16>(start),
            // A receiver "falls back to the UNSPEC mode" for what it does not support, such as datagrams.
            _ => Some(Source::Proxy),
        }),
    }
}

/// Returns how many bytes at least must still come.
pub(super) fn missing(start: &[u8], len: usize) -> usize {
    (MIN_LEN + rest_len(start).unwrap_or(0)).saturating_sub(len)
}

/// Returns the length of what comes after the first 16 bytes, which is in network byte order.
fn rest_len(start: &[u8]) -> Option<usize> {
    let len = start.get(14..)?.first_chunk()?;
    Some(u16::from_be_bytes(*len).into())
}

/// Returns the client of a header with two addresses of `N` bytes and two ports. The proxy's are second.
fn client<const N: usize>(start: &[u8]) -> Option<Source>
where
    IpAddr: From<[u8; N]>,
{
    let address = *start.get(MIN_LEN..)?.first_chunk::<N>()?;
    let port = *start.get(MIN_LEN + 2 * N..)?.first_chunk()?;
    Some(Source::Client((address, u16::from_be_bytes(port)).into()))
}

/// Returns the highest four bits, and the lowest.
const fn halves(byte: u8) -> (u8, u8) {
    (byte >> 4, byte & 0xF)
}
