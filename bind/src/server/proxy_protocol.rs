//! The header of the PROXY protocol, with which a proxy says whom a connection is from, before any other byte.
//!
//! [HAProxy's specification](https://www.haproxy.org/download/3.0/doc/proxy-protocol.txt) has a line of text in
//! version 1 (§2.1) and a binary header in version 2 (§2.2).

use std::{error, fmt, net::SocketAddr};

mod binary;
mod line;

/// Reads a header of either version, in a memory of fixed size.
///
/// Read at most [`wants`](Self::wants) bytes from the transport and give them to [`handle_input`](Self::handle_input),
/// until that returns who the connection is from. The bytes after the header then stay in the transport. A transport that
/// ends before that had no whole header: "MUST NOT start processing the connection" (§2).
#[derive(Debug)]
pub struct ProxyHeader {
    /// The first bytes of the header. Those that have no room are only counted.
    start: [u8; line::MAX_LEN],
    /// The number of bytes of the header that were given.
    len: usize,
    /// Whether the header was returned or has failed.
    is_over: bool,
}

/// Whom a connection is from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Source {
    /// A client with this address is connected to the proxy.
    Client(SocketAddr),
    /// The header names no address, so that of the transport is the only one. The connection is the proxy's own (`LOCAL`),
    /// or the client is `UNKNOWN` or `UNSPEC`, or it is connected to the proxy by a Unix socket or by datagrams.
    Proxy,
}

impl ProxyHeader {
    /// Returns how many bytes may be read now: as many as the rest of any valid header has. It is at least 1 until the
    /// header was returned or has failed, and then 0.
    pub fn wants(&self) -> usize {
        let start = self.start();
        match (self.is_over, start.first()) {
            (true, _) => 0,
            (false, Some(&binary::FIRST)) => binary::missing(start, self.len),
            (false, _) => line::missing(start),
        }
    }

    /// Takes bytes of the header, and returns whom the connection is from when these were the last. They may come in any
    /// pieces. The work is bounded by 4 KiB.
    ///
    /// # Errors
    ///
    /// See [`ProxyHeaderError`]. After an error the connection has to be aborted, and nothing more is taken.
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<Option<Source>, ProxyHeaderError> {
        if bytes.len() > self.wants() {
            self.is_over = true;
            return Err(ProxyHeaderError::TooMuchInput);
        }
        for byte in bytes {
            if let Some(room) = self.start.get_mut(self.len) {
                *room = *byte;
            }
            self.len += 1;
            let start = self.start();
            let read = match start.first() {
                Some(&binary::FIRST) => binary::read(start, self.len),
                _ => line::read(start),
            };
            if !matches!(read, Ok(None)) {
                self.is_over = true;
                return read;
            }
        }
        Ok(None)
    }

    fn start(&self) -> &[u8] {
        self.start.get(..self.len).unwrap_or(&self.start)
    }
}

impl Default for ProxyHeader {
    fn default() -> Self {
        Self {
            start: [0; line::MAX_LEN],
            len: 0,
            is_over: false,
        }
    }
}

/// The reason why a connection does not begin with a header of the PROXY protocol that can be used.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProxyHeaderError {
    /// The peer did not send a header of the PROXY protocol.
    Missing,
    /// An error of the peer: its line of version 1 is not as the grammar says (§2.1).
    Line,
    /// An error of the peer: its header of version 2 has a version, a command, a family or a protocol without a meaning
    /// (§2.2).
    Unassigned,
    /// An error of the peer: its header of version 2 ends within the addresses.
    TooShort,
    /// The peer's line has more than 107 bytes, or its header of version 2 has more than 4 KiB after the first 16 bytes.
    TooLong,
    /// An error of the caller: more bytes were given than [`wants`](ProxyHeader::wants) allows. They may belong to what
    /// comes after the header.
    TooMuchInput,
}

impl fmt::Display for ProxyHeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "the peer sent no header of the PROXY protocol: let the proxy send it, and let nobody but the proxy \
                 reach this port"
            }
            Self::Line => "the peer sent a line of the PROXY protocol, version 1, that is not valid",
            Self::Unassigned => {
                "the peer sent a header of the PROXY protocol with a version, a command, a family or a protocol that is \
                 not in the specification of version 2"
            }
            Self::TooShort => {
                "the peer sent a header of the PROXY protocol, version 2, that is shorter than its addresses"
            }
            Self::TooLong => {
                "the peer sent a header of the PROXY protocol that is too long: let the proxy send fewer TLVs, at most \
                 4 KiB"
            }
            Self::TooMuchInput => {
                "the caller gave more bytes to the reader of the PROXY protocol than it wants: read only as many"
            }
        })
    }
}

impl error::Error for ProxyHeaderError {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the result if `bytes` come at most `most` at a time, and how many were read.
    fn read(bytes: &[u8], most: usize) -> (Result<Option<Source>, ProxyHeaderError>, usize) {
        let (mut header, mut rest) = (ProxyHeader::default(), bytes);
        loop {
            assert!(header.wants() > 0);
            let (piece, after) = rest.split_at(rest.len().min(most).min(header.wants()));
            rest = after;
            let result = header.handle_input(piece);
            let is_over = !matches!(result, Ok(None));
            if is_over {
                assert_eq!(header.wants(), 0);
                assert_eq!(header.handle_input(&[]), Ok(None));
                let more = header.handle_input(&[0]);
                assert_eq!(more, Err(ProxyHeaderError::TooMuchInput));
            }
            if is_over || rest.is_empty() {
                return (result, bytes.len() - rest.len());
            }
        }
    }

    /// A header of version 2 with this command and family, these addresses and 0xAA in all TLVs.
    fn binary(command: u8, family: u8, addresses: &[u8], tlvs: usize) -> Vec<u8> {
        let mut bytes = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
        bytes.extend([command, family]);
        bytes.extend(((addresses.len() + tlvs) as u16).to_be_bytes());
        bytes.extend(addresses);
        bytes.resize(bytes.len() + tlvs, 0xAA);
        bytes
    }

    const V4: [u8; 12] = [192, 0, 2, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 187];
    /// The addresses of a client, `2001:db8::7`, and of the proxy, and the ports 4711 and 443.
    const V6: [u8; 36] = {
        let mut bytes = [0; 36];
        (bytes[0], bytes[1], bytes[2], bytes[3]) = (0x20, 1, 0xD, 0xB8);
        (bytes[15], bytes[31]) = (7, 1);
        (bytes[32], bytes[33], bytes[34], bytes[35]) = (0x12, 0x67, 1, 187);
        bytes
    };

    fn client(text: &str) -> Source {
        Source::Client(text.parse().unwrap())
    }

    /// Valid headers, and whom they name.
    fn valid() -> Vec<(Vec<u8>, Source)> {
        let longest = "ffff:".repeat(7) + "ffff";
        let lines = [
            (
                "TCP4 192.168.0.1 192.168.0.11 56324 443",
                client("192.168.0.1:56324"),
            ),
            ("TCP4 0.0.0.0 0.0.0.0 0 0", client("0.0.0.0:0")),
            (
                "TCP4 255.255.255.255 255.255.255.255 65535 65535",
                client("255.255.255.255:65535"),
            ),
            ("TCP6 :: :: 0 0", client("[::]:0")),
            (
                "TCP6 2001:DB8::7 ::1 4711 443",
                client("[2001:db8::7]:4711"),
            ),
            (
                "TCP6 ::ffff:192.0.2.7 ::1 1 2",
                client("[::ffff:192.0.2.7]:1"),
            ),
            (
                &format!("TCP6 {longest} {longest} 65535 65535"),
                client(&format!("[{longest}]:65535")),
            ),
            ("UNKNOWN", Source::Proxy),
            ("UNKNOWN ", Source::Proxy),
            ("UNKNOWN a\r \nb\r", Source::Proxy),
            (
                &format!("UNKNOWN {longest} {longest} 65535 65535"),
                Source::Proxy,
            ),
        ];
        let lines = lines.map(|(line, source)| (format!("PROXY {line}\r\n").into(), source));
        let (v4, v6) = (client("192.0.2.7:4711"), client("[2001:db8::7]:4711"));
        let binaries = [
            (binary(0x21, 0x11, &V4, 0), v4),
            (binary(0x21, 0x11, &V4, 300), v4),
            (binary(0x21, 0x11, &V4, 4096 - 12), v4),
            (binary(0x21, 0x21, &V6, 0), v6),
            (binary(0x21, 0x21, &V6, 1), v6),
            (binary(0x21, 0x31, &[b'/'; 216], 9), Source::Proxy),
            (binary(0x21, 0x32, &[b'/'; 216], 0), Source::Proxy),
            (binary(0x21, 0x12, &V4, 0), Source::Proxy),
            (binary(0x21, 0x22, &V6, 3), Source::Proxy),
            (binary(0x21, 0x10, &V4, 0), Source::Proxy),
            (binary(0x21, 0x01, &[], 5), Source::Proxy),
            (binary(0x21, 0x00, &[], 0), Source::Proxy),
            (binary(0x20, 0x00, &[], 0), Source::Proxy),
            (binary(0x20, 0x11, &V4, 20), Source::Proxy),
            (binary(0x20, 0xFF, &[], 4096), Source::Proxy),
        ];
        lines.into_iter().chain(binaries).collect()
    }

    #[test]
    fn a_header_is_read_to_its_end_and_no_further() {
        for (bytes, source) in valid() {
            let after = [&bytes[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
            for most in 1..=bytes.len() + 1 {
                let expected = (Ok(Some(source)), bytes.len());
                assert_eq!(read(&after, most), expected, "{bytes:?} by {most}");
            }
            for len in 0..bytes.len() {
                let (result, _) = read(&bytes[..len], usize::MAX);
                assert_eq!(result, Ok(None), "{len} of {bytes:?}");
            }
        }
    }

    #[test]
    fn every_cut_of_a_header_has_the_same_result() {
        for (bytes, source) in valid().into_iter().filter(|(bytes, _)| bytes.len() < 400) {
            for cut in 0..=bytes.len() {
                let mut header = ProxyHeader::default();
                let mut result = Ok(None);
                for mut piece in [&bytes[..cut], &bytes[cut..]] {
                    while !piece.is_empty() {
                        let (now, later) = piece.split_at(piece.len().min(header.wants()));
                        assert_eq!(result, Ok(None));
                        result = header.handle_input(now);
                        piece = later;
                    }
                }
                assert_eq!(result, Ok(Some(source)), "{bytes:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn few_reads_are_needed() {
        let reads = |bytes: &[u8]| {
            let (mut header, mut at, mut count) = (ProxyHeader::default(), 0, 0);
            while header.wants() > 0 {
                let end = at + header.wants();
                header.handle_input(&bytes[at..end]).unwrap();
                (at, count) = (end, count + 1);
            }
            count
        };
        assert_eq!(reads(&binary(0x21, 0x21, &V6, 500)), 3);
        assert_eq!(reads(b"PROXY UNKNOWN\r\n"), 1);
        assert_eq!(reads(b"PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"), 2);
        assert!(reads(b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n") <= 6);
    }

    #[test]
    fn more_than_is_wanted_is_an_error_of_the_caller() {
        let mut header = ProxyHeader::default();
        let result = header.handle_input(b"PROXY UNKNOWN\r\nGET");
        assert_eq!(result, Err(ProxyHeaderError::TooMuchInput));
        assert_eq!(header.wants(), 0);
    }

    #[test]
    fn each_hostile_header_is_refused_however_it_comes() {
        use ProxyHeaderError::{Line, Missing, TooLong, TooShort, Unassigned};
        let mut table = Vec::new();
        for bytes in [
            "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: a\r\n",
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            " PROXY UNKNOWN\r\n",
            "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}aaaaaaaaaa",
            "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            "\r\n\r\n\0\r\nQUIT\r\n\r\n",
            "PROXY\tUNKNOWN\r\n..",
        ] {
            table.push((bytes.as_bytes().to_vec(), Missing));
        }
        for line in line::HOSTILE {
            let line = format!("PROXY {line}\r\n{}", " ".repeat(40));
            table.push((line.into(), Line));
        }
        table.push((b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ".repeat(4), TooLong));
        table.push((
            [&b"PROXY UNKNOWN "[..], &[b'x'; 92], b"\r\n"].concat(),
            TooLong,
        ));
        for (command, family, error) in [
            (0x11, 0x11, Unassigned),
            (0x31, 0x11, Unassigned),
            (0x01, 0x11, Unassigned),
            (0x22, 0x11, Unassigned),
            (0x2F, 0x11, Unassigned),
            (0x21, 0x41, Unassigned),
            (0x21, 0xF1, Unassigned),
            (0x21, 0x13, Unassigned),
            (0x21, 0x1F, Unassigned),
            (0x21, 0x21, TooShort),
            (0x21, 0x22, TooShort),
            (0x21, 0x31, TooShort),
        ] {
            table.push((binary(command, family, &V4, 0), error));
        }
        table.push((binary(0x21, 0x11, &V4[..11], 0), TooShort));
        table.push((binary(0x21, 0x11, &[], 0), TooShort));
        table.push((binary(0x21, 0x11, &V4, 4096 - 11), TooLong));
        table.push((binary(0x21, 0x21, &V6, 65_535 - 36), TooLong));
        table.push((binary(0x20, 0x00, &[], 4097), TooLong));
        for (bytes, error) in table {
            for most in 1..=bytes.len().min(130) {
                let text = String::from_utf8_lossy(&bytes);
                assert_eq!(read(&bytes, most).0, Err(error), "{text:?} by {most}");
            }
        }
    }
}
