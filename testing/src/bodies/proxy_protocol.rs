//! Headers of the PROXY protocol: any bytes, and headers that mostly keep to the specification.
//!
//! A reading of the specification that shares no code with ours agrees about each. The result does not depend on how the
//! bytes are cut, nothing after the header is asked for, and the source that was read is read again from a header that was
//! written here.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use bowline_bind::internal::{ProxyHeader, ProxyHeaderError, Source};

use crate::bodies::{choices::Choices, tally::count};

/// Runs one input: how the bytes are cut, and then the bytes.
pub fn run(data: &[u8]) {
    let mut choices = Choices::new(data);
    let cuts: Vec<_> = (0..4).map(|_| 1 + choices.below(64)).collect();
    let mut bytes = match choices.below(4) {
        0 => Vec::new(),
        1 => line(&mut choices),
        _ => binary(&mut choices),
    };
    if choices.one_in(3) && !bytes.is_empty() {
        let at = choices.below(bytes.len());
        bytes[at] = match choices.flip() {
            true => choices.byte(),
            false => choices.of(b" \r\n0:.x"),
        };
    }
    if choices.one_in(8) {
        let len = choices.below(bytes.len() + 1);
        bytes.truncate(len);
    }
    let len = choices.below(200);
    bytes.extend(choices.raw(len));
    check(&bytes, &cuts);
}

/// How reading ended, and after how many bytes, or 0 after an error.
type Outcome = (Result<Option<Source>, ProxyHeaderError>, usize);

fn check(bytes: &[u8], cuts: &[usize]) {
    let outcome = read(bytes, &[1]);
    assert_eq!(read(bytes, cuts), outcome, "cut in pieces of {cuts:?}");
    let whole = read(bytes, &[usize::MAX]);
    assert_eq!(whole, outcome, "as many as it wants");
    let (result, len) = outcome;
    match (result, reading(bytes)) {
        (Ok(Some(source)), Reading::Whole(expected, end)) => {
            assert_eq!((source, len), (expected, end));
            let kind = if bytes[0] == b'P' { "a line" } else { "binary" };
            let who = matches!(source, Source::Client(_));
            count(format!(
                "{kind} of {}",
                if who { "a client" } else { "the proxy" }
            ));
            again(source);
        }
        (Ok(None), Reading::Partial) => count("cut short"),
        // It may fail before its end has come.
        (Err(error), Reading::Partial | Reading::Refused) => count(format!("{error:?}")),
        (result, reading) => panic!("{result:?}, and {reading:?}"),
    }
}

/// Reads pieces of these lengths, one after the other and from the first again, or as many as are wanted.
fn read(bytes: &[u8], cuts: &[usize]) -> Outcome {
    let mut header = ProxyHeader::default();
    let mut wanted = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().cycle() {
        let wants = header.wants();
        assert!((1..=4096).contains(&wants), "{wants}");
        let end = bytes.len().min(at + wants.min(*cut));
        wanted.push(at + wants);
        let result = header.handle_input(&bytes[at..end]);
        at = end;
        if let Ok(Some(_)) = result {
            assert!(wanted.iter().all(|end| *end <= at), "{wanted:?} of {at}");
        }
        if !matches!(result, Ok(None)) {
            assert_eq!(header.wants(), 0);
            assert_eq!(header.handle_input(&[]), Ok(None), "it comes once");
            // How much of a piece is left after an error depends on the piece.
            return (result, if result.is_ok() { at } else { 0 });
        }
        if at == bytes.len() {
            return (result, at);
        }
    }
    unreachable!("there is a length")
}

/// Reads what was read from headers that were written here.
fn again(source: Source) {
    let (line, binary) = match source {
        Source::Proxy => ("PROXY UNKNOWN\r\n".to_owned(), header(0x20, 0, &[])),
        Source::Client(client) => {
            let (ip, port) = (client.ip(), client.port());
            let family = if ip.is_ipv4() { 4 } else { 6 };
            let line = format!("PROXY TCP{family} {ip} {ip} {port} {port}\r\n");
            let family = if ip.is_ipv4() { 0x11 } else { 0x21 };
            (line, header(0x21, family, &addresses(client, client)))
        }
    };
    for bytes in [line.as_bytes(), &binary] {
        assert_eq!(read(bytes, &[usize::MAX]), (Ok(Some(source)), bytes.len()));
    }
}

/// The meaning of a header, read from all of its bytes together.
#[derive(Debug)]
enum Reading {
    /// It has this many bytes.
    Whole(Source, usize),
    Partial,
    Refused,
}

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

fn reading(bytes: &[u8]) -> Reading {
    if bytes.starts_with(SIGNATURE) && bytes.len() >= 16 {
        return reading_of_binary(bytes);
    }
    let line = &bytes[..bytes.len().min(107)];
    match line.windows(2).position(|two| two == b"\r\n") {
        Some(end) if line.starts_with(b"PROXY ") => match reading_of_line(&line[..end]) {
            Some(source) => Reading::Whole(source, end + 2),
            None => Reading::Refused,
        },
        _ if line.len() == 107 => Reading::Refused,
        None => Reading::Partial,
        Some(_) if SIGNATURE.starts_with(line) || line.starts_with(SIGNATURE) => Reading::Partial,
        Some(_) => Reading::Refused,
    }
}

fn reading_of_binary(bytes: &[u8]) -> Reading {
    let rest = usize::from(bytes[14]) * 256 + usize::from(bytes[15]);
    let least = match (bytes[12], bytes[13]) {
        (0x20, _) | (0x21, 0x00..=0x02 | 0x10 | 0x20 | 0x30) => 0,
        (0x21, 0x11 | 0x12) => 12,
        (0x21, 0x21 | 0x22) => 36,
        (0x21, 0x31 | 0x32) => 216,
        _ => return Reading::Refused,
    };
    if rest < least || rest > 4096 {
        return Reading::Refused;
    }
    if bytes.len() < 16 + rest {
        return Reading::Partial;
    }
    let port = |at: usize| u16::from(bytes[at]) << 8 | u16::from(bytes[at + 1]);
    let client = |ip: IpAddr, at| Source::Client(SocketAddr::new(ip, port(at)));
    let source = match (bytes[12], bytes[13]) {
        (0x21, 0x11) => client(
            Ipv4Addr::new(bytes[16], bytes[17], bytes[18], bytes[19]).into(),
            24,
        ),
        (0x21, 0x21) => {
            let ip: [u8; 16] = bytes[16..32].try_into().expect("16 bytes");
            client(ip.into(), 48)
        }
        _ => Source::Proxy,
    };
    Reading::Whole(source, 16 + rest)
}

fn reading_of_line(line: &[u8]) -> Option<Source> {
    if line == b"PROXY UNKNOWN" || line.starts_with(b"PROXY UNKNOWN ") {
        return Some(Source::Proxy);
    }
    let words: Vec<_> = str::from_utf8(line).ok()?.split(' ').collect();
    let &[_, family, client, proxy, client_port, proxy_port] = &words[..] else {
        return None;
    };
    let ip = |text: &str| match family {
        // What is written again is the same only without zeros before a number.
        "TCP4" => text
            .parse()
            .ok()
            .filter(|ip: &Ipv4Addr| ip.to_string() == text)
            .map(IpAddr::V4),
        "TCP6" => text.parse().ok().map(IpAddr::V6),
        _ => None,
    };
    let port = |text: &str| {
        text.parse()
            .ok()
            .filter(|port: &u16| port.to_string() == text)
    };
    let client = (ip(client)?, port(client_port)?);
    let _ = (ip(proxy)?, port(proxy_port)?);
    Some(Source::Client(client.into()))
}

/// Returns a line, which is mostly valid.
fn line(choices: &mut Choices<'_>) -> Vec<u8> {
    let family = choices.of(&["TCP4", "TCP6", "UNKNOWN", "TCP4", "TCP6", "UDP4"]);
    let is_v4 = family == "TCP4" && !choices.one_in(16);
    let mut words = vec!["PROXY".to_owned(), family.to_owned()];
    if family != "UNKNOWN" || choices.flip() {
        for _ in 0..2 {
            words.push(ip(choices, is_v4).to_string());
        }
        for _ in 0..2 {
            words.push(port(choices).to_string());
        }
    }
    if choices.one_in(8) {
        let at = choices.below(words.len());
        words[at] = choices
            .of(&[
                "", "0", "01", "+1", "65536", "::", "1.2.3", "::1%1", "\r", "x",
            ])
            .to_owned();
    }
    let space = if choices.one_in(32) { "  " } else { " " };
    let end = if choices.one_in(16) { "\n" } else { "\r\n" };
    (words.join(space) + end).into()
}

/// Returns a binary header, which is mostly valid.
fn binary(choices: &mut Choices<'_>) -> Vec<u8> {
    let command = choices.of(&[0x21, 0x21, 0x21, 0x20, 0x20, 0x22, 0x11]);
    let family = match choices.below(4) {
        0 => choices.byte(),
        _ => choices.of(&[0x11, 0x21, 0x12, 0x22, 0x31, 0x00]),
    };
    let is_v4 = family >> 4 == 1;
    let mut rest = match family >> 4 {
        3 => vec![b'/'; 216],
        0 => Vec::new(),
        _ => {
            let mut end = || SocketAddr::new(ip(choices, is_v4), port(choices));
            addresses(end(), end())
        }
    };
    let len = match choices.below(8) {
        0 => choices.below(rest.len() + 1),
        1..=2 => rest.len() + choices.below(300),
        3 => choices.of(&[4095, 4096, 4097, 65_535]),
        _ => rest.len(),
    };
    rest.resize(len, choices.byte());
    header(command, family, &rest)
}

fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let len = u16::try_from(rest.len())
        .expect("it has room")
        .to_be_bytes();
    [SIGNATURE, &[command, family], &len, rest].concat()
}

fn addresses(client: SocketAddr, proxy: SocketAddr) -> Vec<u8> {
    let mut bytes = Vec::new();
    for end in [client, proxy] {
        match end.ip() {
            IpAddr::V4(ip) => bytes.extend(ip.octets()),
            IpAddr::V6(ip) => bytes.extend(ip.octets()),
        }
    }
    for end in [client, proxy] {
        bytes.extend(end.port().to_be_bytes());
    }
    bytes
}

fn ip(choices: &mut Choices<'_>, is_v4: bool) -> IpAddr {
    let groups = [0, 1, 0xDB8, 0xFFFF, 0xC000];
    match is_v4 {
        true => [(); 4].map(|()| choices.byte()).into(),
        false => [(); 8].map(|()| choices.of(&groups)).into(),
    }
}

fn port(choices: &mut Choices<'_>) -> u16 {
    choices.of(&[0, 1, 443, 4711, 65_535])
}
