//! Status codes (RFC 6455 §7.4), and the code that reports each protocol error to the peer.

use core::{fmt, num::NonZeroU16};

use crate::error::ProtocolError;

/// A status code that may appear in a Close frame (RFC 6455 §7.4 and the IANA registry).
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(NonZeroU16);

impl CloseCode {
    /// 1000: the purpose of the connection is fulfilled.
    pub const NORMAL: Self = Self::literal(1000);
    /// 1001: the endpoint is going away, such as a server that stops.
    pub const GOING_AWAY: Self = Self::literal(1001);
    /// 1002: the peer broke the protocol.
    pub const PROTOCOL_ERROR: Self = Self::literal(1002);
    /// 1003: the endpoint cannot accept this type of data.
    pub const UNSUPPORTED_DATA: Self = Self::literal(1003);
    /// 1007: the data does not match the type of the message, such as text that is not UTF-8.
    pub const INVALID_PAYLOAD: Self = Self::literal(1007);
    /// 1008: the message violates the endpoint's policy.
    pub const POLICY_VIOLATION: Self = Self::literal(1008);
    /// 1009: the message is too big to process.
    pub const MESSAGE_TOO_BIG: Self = Self::literal(1009);
    /// 1010: the client expected an extension that the server did not negotiate.
    pub const MANDATORY_EXTENSION: Self = Self::literal(1010);
    /// 1011: the endpoint met an unexpected condition.
    pub const INTERNAL_ERROR: Self = Self::literal(1011);
    /// 1012: the service restarts.
    pub const SERVICE_RESTART: Self = Self::literal(1012);
    /// 1013: try again later.
    pub const TRY_AGAIN_LATER: Self = Self::literal(1013);
    /// 1014: a gateway got an invalid response.
    pub const BAD_GATEWAY: Self = Self::literal(1014);

    /// Returns the code if it may appear on the wire (1000–1003, 1007–1014, 3000–4999), or `None`.
    ///
    /// The codes 1005, 1006 and 1015 "MUST NOT be set as a status code" (RFC 6455 §7.4.1).
    pub const fn new(code: u16) -> Option<Self> {
        match code {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self::literal(code)),
            _ => None,
        }
    }

    /// Returns the number.
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

impl From<CloseCode> for u16 {
    fn from(code: CloseCode) -> Self {
        code.get()
    }
}

/// Returns an error for a code that may not appear on the wire; see [`CloseCode::new`].
impl TryFrom<u16> for CloseCode {
    type Error = InvalidCloseCode;

    fn try_from(code: u16) -> Result<Self, InvalidCloseCode> {
        Self::new(code).ok_or(InvalidCloseCode(code))
    }
}

/// Compares with a number, such as [`Closed::code`](crate::Closed::code).
impl PartialEq<u16> for CloseCode {
    fn eq(&self, code: &u16) -> bool {
        self.get() == *code
    }
}

impl PartialEq<CloseCode> for u16 {
    fn eq(&self, code: &CloseCode) -> bool {
        *self == code.get()
    }
}

/// A number that may not be the code of a Close (RFC 6455 §7.4.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidCloseCode(u16);

impl fmt::Display for InvalidCloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.0;
        write!(
            f,
            "{code} may not be sent in a Close: applications choose from 4000 to 4999 (RFC 6455 §7.4.2)"
        )
    }
}

impl core::error::Error for InvalidCloseCode {}

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

impl ProtocolError {
    /// Returns the code that reports this error to the peer (RFC 6455 §7.4.1).
    pub const fn close_code(self) -> CloseCode {
        match self {
            Self::Utf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
            Self::FrameTooBig { .. } | Self::MessageTooBig { .. } | Self::StreamTooBig { .. } => {
                CloseCode::MESSAGE_TOO_BIG
            }
            Self::TooManyFragments { .. } => CloseCode::POLICY_VIOLATION,
            _ => CloseCode::PROTOCOL_ERROR,
        }
    }
}
