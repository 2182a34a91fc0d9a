use alloc::{sync::Arc, vec::Vec};
use core::{fmt, net::IpAddr};

use bytes::Bytes;

use crate::{
    config::Config,
    handshake::{Exchange, HandshakeError},
};

/// A tunnel through a SOCKS proxy of version 5 (RFC 1928), which may ask for a user and a password (RFC 1929).
#[derive(Debug)]
pub struct Socks5 {
    exchange: Exchange,
    stage: Stage,
    credentials: Option<Bytes>,
    request: Bytes,
}

/// The server that a tunnel leads to.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// A name, which the proxy resolves.
    Name(&'a str),
    /// An address.
    Addr(IpAddr),
}

/// The message of the proxy that is expected next.
#[derive(Clone, Copy, Debug)]
enum Stage {
    /// The choice of a method of authentication (RFC 1928 §3).
    Method,
    /// The verdict on the user and the password (RFC 1929 §2).
    Verdict,
    /// The answer to the request (RFC 1928 §6).
    Reply,
    Done,
}

/// The version of the protocol.
const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_METHOD: u8 = 0xFF;
/// The version of the dialogue about a user and a password.
const VERDICT_VERSION: u8 = 1;

impl Socks5 {
    /// Queues the greeting of a tunnel to `target`. `credentials` are a user and a password, which are sent only if the
    /// proxy asks for them. The proxy has [`handshake_timeout`](Config::handshake_timeout) for all of its answers.
    ///
    /// # Errors
    ///
    /// [`SocksError::TooLong`] if the name, the user or the password is empty or longer than 255 bytes.
    pub fn new(
        target: Target<'_>,
        port: u16,
        credentials: Option<(&str, &str)>,
        config: impl Into<Arc<Config>>,
    ) -> Result<Self, SocksError> {
        // Version, the command CONNECT, a reserved byte (RFC 1928 §4).
        let mut request = [VERSION, 1, 0].to_vec();
        match target {
            Target::Addr(IpAddr::V4(address)) => {
                request.push(1);
                request.extend_from_slice(&address.octets());
            }
            Target::Name(name) => {
                request.push(3);
                push_short(&mut request, name)?;
            }
            Target::Addr(IpAddr::V6(address)) => {
                request.push(4);
                request.extend_from_slice(&address.octets());
            }
        }
        request.extend_from_slice(&port.to_be_bytes());
        let mut methods = [NO_AUTHENTICATION].to_vec();
        let credentials = match credentials {
            Some((user, password)) => {
                methods.push(USER_AND_PASSWORD);
                let mut credentials = [VERDICT_VERSION].to_vec();
                push_short(&mut credentials, user)?;
                push_short(&mut credentials, password)?;
                Some(credentials.into())
            }
            None => None,
        };
        let mut exchange = Exchange::new(config.into());
        exchange.send(&[VERSION, methods.len() as u8]);
        exchange.send(&methods);
        Ok(Self {
            exchange,
            stage: Stage::Method,
            credentials,
            request: request.into(),
        })
    }

    /// Returns the bytes and the deadline, which a driver must serve.
    pub const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Returns the bytes that the server has sent already, once the tunnel is open, or `None` when more input is needed.
    ///
    /// # Errors
    ///
    /// The reason why there is no tunnel. An error comes only once.
    pub fn poll(&mut self) -> Result<Option<Bytes>, SocksError> {
        let result = self.read();
        let result = match (result, self.stage) {
            (Ok(false), Stage::Done) => return Ok(None),
            (Ok(false), _) => match self.exchange.ended() {
                Some(ended) => Err(SocksError::Handshake(ended)),
                None => return Ok(None),
            },
            (Ok(true), _) => Ok(Some(self.exchange.take_remainder().bytes)),
            (Err(error), _) => Err(error),
        };
        self.stage = Stage::Done;
        self.exchange.finish();
        result
    }

    /// Takes the messages of the proxy. Returns whether the tunnel is open.
    fn read(&mut self) -> Result<bool, SocksError> {
        loop {
            let input = self.exchange.received();
            match self.stage {
                Stage::Method => {
                    let Some(&[version, method]) = input.first_chunk() else {
                        return Ok(false);
                    };
                    if version != VERSION {
                        return Err(SocksError::Syntax);
                    }
                    self.exchange.consume(2);
                    match (method, &self.credentials) {
                        (NO_AUTHENTICATION, _) => {
                            self.exchange.send(&self.request);
                            self.stage = Stage::Reply;
                        }
                        (USER_AND_PASSWORD, Some(credentials)) => {
                            self.exchange.send(credentials);
                            self.stage = Stage::Verdict;
                        }
                        (NO_METHOD, None) => return Err(SocksError::NoCredentials),
                        (NO_METHOD, Some(_)) => return Err(SocksError::NoMethod),
                        // It must be "one of the methods" that were offered (§3).
                        _ => return Err(SocksError::Syntax),
                    }
                }
                Stage::Verdict => {
                    let Some(&[_, status]) = input.first_chunk() else {
                        return Ok(false);
                    };
                    // RFC 1929 §2: any value but 0 "indicates failure", and the client "MUST close the connection".
                    if status != 0 {
                        return Err(SocksError::Denied);
                    }
                    self.exchange.consume(2);
                    self.exchange.send(&self.request);
                    self.stage = Stage::Reply;
                }
                Stage::Reply => {
                    let Some(&[version, reply, _, kind, first]) = input.first_chunk() else {
                        return refused_early(input);
                    };
                    if version != VERSION {
                        return Err(SocksError::Syntax);
                    }
                    if reply != 0 {
                        return Err(SocksError::Refused(reply));
                    }
                    // The head, an address of this kind, and a port. Nobody needs the address.
                    let len = match kind {
                        1 => 4_usize,
                        3 => usize::from(first).saturating_add(1),
                        4 => 16,
                        _ => return Err(SocksError::Syntax),
                    };
                    let end = len.saturating_add(4 + 2);
                    if input.len() < end {
                        return Ok(false);
                    }
                    self.exchange.consume(end);
                    return Ok(true);
                }
                Stage::Done => return Ok(false),
            }
        }
    }
}

/// Some proxies send no address after a refusal.
fn refused_early(input: &[u8]) -> Result<bool, SocksError> {
    match input {
        [VERSION, 0, ..] | [VERSION] | [] => Ok(false),
        [VERSION, reply, ..] => Err(SocksError::Refused(*reply)),
        _ => Err(SocksError::Syntax),
    }
}

/// Appends `text` after its length in one byte.
fn push_short(out: &mut Vec<u8>, text: &str) -> Result<(), SocksError> {
    match u8::try_from(text.len()) {
        Ok(len @ 1..) => {
            out.push(len);
            out.extend_from_slice(text.as_bytes());
            Ok(())
        }
        _ => Err(SocksError::TooLong),
    }
}

/// The reason why there is no tunnel through a SOCKS proxy.
#[derive(Debug)]
#[non_exhaustive]
pub enum SocksError {
    /// An error of the caller: the name, the user or the password is empty or longer than 255 bytes.
    TooLong,
    /// The proxy does not speak version 5 of SOCKS.
    Syntax,
    /// The proxy wants credentials, or a method of authentication that was not offered.
    NoCredentials,
    /// The proxy wants neither a user and a password nor a client without authentication.
    NoMethod,
    /// The proxy does not accept the user and the password.
    Denied,
    /// The proxy cannot, or will not, connect to the server. The code is one of RFC 1928 §6.
    Refused(u8),
    /// The proxy ended the connection, or took too long.
    Handshake(HandshakeError),
}

impl fmt::Display for SocksError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = match self {
            Self::TooLong => {
                "the name, user or password for the proxy is empty or longer than 255 bytes"
            }
            Self::Syntax => "the proxy does not speak SOCKS 5: check its scheme and port",
            Self::NoCredentials => "the proxy wants credentials: give it a user and a password",
            Self::NoMethod => {
                "the proxy wants a method of authentication other than user and password"
            }
            Self::Denied => "the proxy does not accept the user and the password",
            Self::Handshake(error) => return error.fmt(f),
            Self::Refused(code) => {
                let why = match code {
                    2 => "its rules do not allow it",
                    3 => "the network is unreachable",
                    4 => "the host is unreachable",
                    5 => "the server refused the connection",
                    6 => "the time to live expired",
                    7 => "it does not support the command",
                    8 => "it does not support this kind of address",
                    _ => "it failed",
                };
                return write!(f, "the proxy cannot reach the server: {why} (code {code})");
            }
        };
        f.write_str(reason)
    }
}

impl core::error::Error for SocksError {}
