//! Closing: status codes, the Close frame's body, and how a connection ended (RFC 6455 §5.5.1, §7).

use core::{fmt, num::NonZeroU16};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{ProtocolError, RecvError, Utf8Bytes};

/// A status code that may appear in a Close frame (RFC 6455 §7.4 and the IANA registry).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(NonZeroU16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self::literal(1000);
    /// 1001: the endpoint is leaving, such as a server that stops.
    pub const GOING_AWAY: Self = Self::literal(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self::literal(1002);
    /// 1003: a type of data that the endpoint cannot accept.
    pub const UNSUPPORTED_DATA: Self = Self::literal(1003);
    /// 1007: data inconsistent with the type of the message, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self::literal(1007);
    /// 1008: the message violates the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self::literal(1008);
    /// 1009: the message is too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self::literal(1009);
    /// 1010: the client expected an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self::literal(1010);
    /// 1011: the server met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self::literal(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self::literal(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self::literal(1013);
    /// 1014: a gateway got an invalid response.
    pub const BAD_GATEWAY: Self = Self::literal(1014);

    /// A code that may appear on the wire (1000–1003, 1007–1014, 3000–4999), or `None`.
    ///
    /// The codes 1005, 1006 and 1015 "MUST NOT be set as a status code" (RFC 6455 §7.4.1).
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self::literal(code)),
            _ => None,
        }
    }

    /// The number.
    pub const fn get(self) -> u16 {
        self.0.get()
    }

    const fn literal(code: u16) -> Self {
        match NonZeroU16::new(code) {
            Some(code) => Self(code),
            None => Self(NonZeroU16::MAX),
        }
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({self})")
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// The body of a Close frame (RFC 6455 §5.5.1): a code and a reason of at most 123 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CloseFrame {
    code: CloseCode,
    reason: Utf8Bytes,
}

impl CloseFrame {
    /// The longest reason, in bytes: a control frame has 125, the code takes two.
    pub const MAX_REASON: usize = 123;

    /// Fails if `reason` is longer than [`MAX_REASON`](Self::MAX_REASON) bytes.
    pub fn new(code: CloseCode, reason: impl Into<Utf8Bytes>) -> Result<Self, ControlTooLong> {
        let reason = reason.into();
        if reason.len() > Self::MAX_REASON {
            return Err(ControlTooLong {
                len: reason.len(),
                max: Self::MAX_REASON,
            });
        }
        Ok(Self { code, reason })
    }

    /// Why, as a number.
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// Why, in words; often empty.
    pub const fn reason(&self) -> &Utf8Bytes {
        &self.reason
    }

    /// An empty body is `None`.
    pub(crate) fn decode(body: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some((code, reason)) = body.split_first_chunk() else {
            // §5.5.1: "the first two bytes of the body MUST be a 2-byte unsigned integer".
            return if body.is_empty() {
                Ok(None)
            } else {
                Err(ProtocolError::CloseBody)
            };
        };
        let code = u16::from_be_bytes(*code);
        let code = CloseCode::new(code).ok_or(ProtocolError::CloseCode(code))?;
        let reason = Bytes::copy_from_slice(reason);
        let reason = Utf8Bytes::try_from(reason).map_err(|_| ProtocolError::Utf8)?;
        Ok(Some(Self { code, reason }))
    }

    pub(crate) fn encode(&self) -> Bytes {
        let mut body = BytesMut::with_capacity(self.reason.len().saturating_add(2));
        body.put_u16(self.code.get());
        body.put_slice(self.reason.as_bytes());
        body.freeze()
    }
}

impl From<CloseCode> for CloseFrame {
    fn from(code: CloseCode) -> Self {
        Self {
            code,
            reason: Utf8Bytes::default(),
        }
    }
}

/// A control frame's payload would be longer than the protocol allows (RFC 6455 §5.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ControlTooLong {
    /// Its length in bytes.
    pub len: usize,
    /// The most that is allowed, in bytes.
    pub max: usize,
}

impl fmt::Display for ControlTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes are too long for a control frame, which takes {}",
            self.len, self.max
        )
    }
}

impl core::error::Error for ControlTooLong {}

/// How a connection ended (RFC 6455 §7.1.4 to §7.1.6).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the peer's Close; 1005 if that had none, 1006 if no Close was received.
    pub code: u16,
    /// The reason in the peer's Close.
    pub reason: Utf8Bytes,
    /// Who began to close.
    pub initiator: Initiator,
    /// Whether a Close went both ways.
    pub clean: bool,
    /// What went wrong, if something did.
    pub cause: Option<RecvError>,
}

impl Closed {
    /// "1005 … no status code was actually present" (RFC 6455 §7.4.1).
    pub const NO_STATUS: u16 = 1005;
    /// "1006 … the connection was closed abnormally" (RFC 6455 §7.4.1).
    pub const ABNORMAL: u16 = 1006;

    /// The end of a connection whose peer sent no Close.
    pub fn abnormal(initiator: Initiator, cause: Option<RecvError>) -> Self {
        Self {
            code: Self::ABNORMAL,
            reason: Utf8Bytes::default(),
            initiator,
            clean: false,
            cause,
        }
    }
}

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = if self.clean { "cleanly" } else { "abnormally" };
        write!(f, "closed {how} with code {}", self.code)?;
        if !self.reason.is_empty() {
            // It is the peer's: it may not end a line, or more, where this is shown.
            f.write_str(" (")?;
            for c in self.reason.chars() {
                match c {
                    '\u{2028}' | '\u{2029}' => write!(f, "{}", c.escape_unicode())?,
                    c if c.is_control() => write!(f, "{}", c.escape_default())?,
                    c => write!(f, "{c}")?,
                }
            }
            f.write_str(")")?;
        }
        match &self.cause {
            Some(cause) => write!(f, ": {cause}"),
            None => Ok(()),
        }
    }
}

/// Which end began to close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Initiator {
    /// This end: it sent a Close first, or failed the connection.
    Local,
    /// The other end: its Close came first, or its transport ended.
    Peer,
}

impl Initiator {
    /// Who began to end a connection that no Close has begun to end before `cause` did.
    pub(crate) const fn of(cause: &RecvError) -> Self {
        match cause {
            RecvError::Lost(_) => Self::Peer,
            RecvError::Protocol(_) | RecvError::TimedOut(_) | RecvError::Entropy => Self::Local,
        }
    }
}
