//! Tunnels through proxies: any bytes as the answer of the proxy, cut anywhere.
//!
//! The outcome is the same however the answer is cut, and no byte of the server is lost. There is at most one outcome, and
//! then nothing. A reading of RFC 1928 and RFC 1929 that shares no code with ours agrees about SOCKS. An answer of HTTP that
//! was written here is read as it was meant.

use std::sync::Arc;

use arbitrary::Unstructured;
use bytes::{Buf, Bytes};
use proto::{
    Config,
    handshake::{Exchange, HandshakeError, Headers},
    tunnel::{HttpTunnel, Socks5, SocksError, Target},
};

use crate::bodies::{choices::Choices, tally::count};

mod answers;

use answers::{http_answer, socks_answer};

/// Runs one input: which proxy, and then what it sends.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let (Ok(is_socks), Ok(credentials), Ok(step)) = (
        input.arbitrary(),
        input.arbitrary(),
        input.int_in_range(1..=64),
    ) else {
        return;
    };
    let bytes = input.take_rest();
    if is_socks {
        socks(bytes, credentials, step);
    } else {
        let _ = http(bytes, step);
    }
}

/// Runs a dialogue with a proxy that mostly keeps to the rules. Bytes without a plan hardly ever open a tunnel.
pub fn dialogue(data: &[u8]) {
    let mut choices = Choices::new(data);
    let step = 1 + choices.below(64);
    let credentials = choices.flip();
    let is_socks = choices.flip();
    let mut answer = match is_socks {
        true => socks_answer(&mut choices, credentials),
        false => http_answer(&mut choices),
    };
    let len = choices.below(40);
    let server = choices.raw(len);
    answer.bytes.extend(&server);
    let is_whole = !choices.one_in(4);
    if !is_whole {
        let len = choices.below(answer.bytes.len());
        answer.bytes.truncate(len);
    }
    let is_changed = choices.one_in(4) && !answer.bytes.is_empty();
    if is_changed {
        let at = choices.below(answer.bytes.len());
        answer.bytes[at] ^= 1 << choices.below(8);
    }
    if is_socks {
        return socks(&answer.bytes, credentials, step);
    }
    let outcome = http(&answer.bytes, step);
    if is_whole && !is_changed {
        answer.check(outcome, &server);
    }
}

/// The most that is kept of the body of a refusal.
const MAX_BODY: usize = 100;

fn config() -> Arc<Config> {
    let config = Config::new(|_| Ok(()));
    Arc::new(config.max_head_size(1000).max_error_body(MAX_BODY))
}

/// Returns how a dialogue ends if the proxy sends `bytes`, at most `step` at a time, and then ends. A tunnel that opens has
/// all that comes after the proxy's answer.
fn outcome<M, E>(
    mut machine: M,
    bytes: &[u8],
    step: usize,
    exchange: fn(&mut M) -> &mut Exchange,
    poll: fn(&mut M) -> Result<Option<Bytes>, E>,
) -> Result<Vec<u8>, E> {
    let mut bytes = bytes;
    loop {
        while let Some(output) = exchange(&mut machine).transmit() {
            output.advance(output.remaining());
            exchange(&mut machine).handle_sent(true);
        }
        match poll(&mut machine) {
            Ok(Some(received)) => {
                assert!(
                    matches!(poll(&mut machine), Ok(None)),
                    "a tunnel opens once"
                );
                return Ok([&received, bytes].concat());
            }
            Err(error) => {
                assert!(
                    matches!(poll(&mut machine), Ok(None)),
                    "an error comes once"
                );
                return Err(error);
            }
            Ok(None) if bytes.is_empty() => exchange(&mut machine).handle_eof(),
            Ok(None) => {
                let room = exchange(&mut machine).recv_buf().expect("all was polled");
                let len = room.len().min(step).min(bytes.len());
                room[..len].copy_from_slice(&bytes[..len]);
                bytes = &bytes[len..];
                exchange(&mut machine).handle_input(len);
            }
        }
    }
}

fn http(bytes: &[u8], step: usize) -> Result<Vec<u8>, HandshakeError> {
    let one = |step| {
        let tunnel = HttpTunnel::new("a.test:80", &Headers::new(), config()).expect("valid");
        outcome(tunnel, bytes, step, HttpTunnel::exchange, HttpTunnel::poll)
    };
    let (whole, cut) = (one(usize::MAX), one(step));
    assert_eq!(whole, cut, "cut at every {step}");
    count(match &whole {
        Ok(_) => "HTTP: open",
        Err(HandshakeError::Refused(_)) => "HTTP: refused",
        Err(_) => "HTTP: failed",
    });
    match &whole {
        Ok(after) => {
            assert!(
                bytes.ends_with(after),
                "what is the server's is passed on as it is"
            );
            let head = &bytes[..bytes.len() - after.len()];
            assert!(head.ends_with(b"\n"), "a head ends with a line");
        }
        Err(HandshakeError::Refused(response)) => {
            assert!(!(200..300).contains(&response.status) && response.body.len() <= MAX_BODY);
        }
        Err(_) => {}
    }
    whole
}

/// An outcome of SOCKS that can be compared.
#[derive(Debug, PartialEq)]
enum Verdict {
    Open(Vec<u8>),
    Syntax,
    NoCredentials,
    NoMethod,
    Denied,
    Refused(u8),
    /// The proxy ended before it had said enough.
    Ended,
}

fn socks(bytes: &[u8], credentials: bool, step: usize) {
    let one = |step| {
        let pair = credentials.then_some(("ann", "pw"));
        let socks = Socks5::new(Target::Name("a.test"), 80, pair, config()).expect("valid");
        match outcome(socks, bytes, step, Socks5::exchange, Socks5::poll) {
            Ok(after) => Verdict::Open(after),
            Err(SocksError::Syntax) => Verdict::Syntax,
            Err(SocksError::NoCredentials) => Verdict::NoCredentials,
            Err(SocksError::NoMethod) => Verdict::NoMethod,
            Err(SocksError::Denied) => Verdict::Denied,
            Err(SocksError::Refused(code)) => Verdict::Refused(code),
            Err(SocksError::Handshake(_)) => Verdict::Ended,
            Err(other) => panic!("{other:?}"),
        }
    };
    let expected = read(bytes, credentials);
    count(match expected {
        Verdict::Open(_) => "SOCKS: open",
        Verdict::Syntax => "SOCKS: syntax",
        Verdict::NoCredentials => "SOCKS: no credentials",
        Verdict::NoMethod => "SOCKS: no method",
        Verdict::Denied => "SOCKS: denied",
        Verdict::Refused(_) => "SOCKS: refused",
        Verdict::Ended => "SOCKS: ended",
    });
    assert_eq!(one(usize::MAX), expected);
    assert_eq!(one(step), expected, "cut at every {step}");
}

/// Reads the messages of a SOCKS proxy, all of which are there.
fn read(bytes: &[u8], credentials: bool) -> Verdict {
    let [version, method, bytes @ ..] = bytes else {
        return Verdict::Ended;
    };
    let bytes = match (version, method) {
        (5, 0) => bytes,
        (5, 2) if credentials => match bytes {
            [_, 0, bytes @ ..] => bytes,
            [_, _, ..] => return Verdict::Denied,
            _ => return Verdict::Ended,
        },
        (5, 0xFF) if credentials => return Verdict::NoMethod,
        (5, 0xFF) => return Verdict::NoCredentials,
        _ => return Verdict::Syntax,
    };
    let len = match bytes {
        [] | [5] | [5, 0] | [5, 0, _] | [5, 0, _, _] => return Verdict::Ended,
        [5, 0, _, 1, ..] => 4 + 4 + 2,
        [5, 0, _, 3, len, ..] => 4 + 1 + usize::from(*len) + 2,
        [5, 0, _, 4, ..] => 4 + 16 + 2,
        [5, 0, ..] => return Verdict::Syntax,
        [5, code, ..] => return Verdict::Refused(*code),
        _ => return Verdict::Syntax,
    };
    match bytes.get(len..) {
        Some(after) => Verdict::Open(after.to_vec()),
        None => Verdict::Ended,
    }
}
