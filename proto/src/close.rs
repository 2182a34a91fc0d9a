//! Closing: the body of a Close frame, and how a connection ended (RFC 6455 §5.5.1, §7).

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    close::code::CloseCode,
    error::{ConnectionError, ControlTooLong, ProtocolError},
    text::utf8::Utf8Bytes,
};

pub(crate) mod code;

/// The body of a Close frame (RFC 6455 §5.5.1): a code and a reason of at most 123 bytes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CloseFrame {
    code: CloseCode,
    reason: Utf8Bytes,
}

impl CloseFrame {
    /// The longest reason, in bytes: a control frame carries 125 bytes, of which the code takes two.
    pub const MAX_REASON: usize = 123;

    /// Makes a body from a code and a reason. Returns an error if `reason` is longer than
    /// [`MAX_REASON`](Self::MAX_REASON) bytes.
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

    /// Returns the reason as a number.
    pub const fn code(&self) -> CloseCode {
        self.code
    }

    /// Returns the reason in words, which is often empty.
    pub const fn reason(&self) -> &Utf8Bytes {
        &self.reason
    }

    /// Parses the body of a Close frame. Returns `None` if it is empty.
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

/// A value that a connection can be closed with: `CloseCode::NORMAL`, `(CloseCode::POLICY_VIOLATION, "why")`, a
/// [`CloseFrame`], or `None` for a Close without a body, which gives the peer no reason (RFC 6455 §7.1.5).
///
/// A reason longer than [`CloseFrame::MAX_REASON`] bytes is cut after the last character that fits.
///
/// A number is no close code, because many numbers may not be sent; [`CloseCode::new`] checks one:
///
/// ```compile_fail,E0277
/// use bowline_proto::{CloseFrame, IntoClose};
/// fn close(frame: impl IntoClose) -> Option<CloseFrame> {
///     frame.into_close()
/// }
/// close(1000); // "a connection cannot be closed with `{integer}`"
/// ```
///
/// ```
/// # use bowline_proto::{CloseCode, CloseFrame, IntoClose};
/// # fn close(frame: impl IntoClose) -> Option<CloseFrame> {
/// #     frame.into_close()
/// # }
/// close((CloseCode::NORMAL, "bye"));
/// ```
#[diagnostic::on_unimplemented(
    message = "a connection cannot be closed with `{Self}`",
    label = "not the body of a Close",
    note = "use `CloseCode::NORMAL`, `(CloseCode::POLICY_VIOLATION, \"why\")`, a `CloseFrame`, or `None`"
)]
pub trait IntoClose {
    /// Returns the body of the Close.
    fn into_close(self) -> Option<CloseFrame>;
}

impl IntoClose for CloseFrame {
    fn into_close(self) -> Option<CloseFrame> {
        Some(self)
    }
}

impl IntoClose for Option<CloseFrame> {
    fn into_close(self) -> Option<CloseFrame> {
        self
    }
}

impl IntoClose for CloseCode {
    fn into_close(self) -> Option<CloseFrame> {
        Some(self.into())
    }
}

impl<R: AsRef<str>> IntoClose for (CloseCode, R) {
    fn into_close(self) -> Option<CloseFrame> {
        let (code, reason) = self;
        let reason = reason.as_ref();
        let mut end = reason.len().min(CloseFrame::MAX_REASON);
        while !reason.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        let reason = reason.get(..end).unwrap_or_default().into();
        Some(CloseFrame { code, reason })
    }
}

/// The end of a connection (RFC 6455 §7.1.4 to §7.1.6).
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Closed {
    /// The code of the peer's Close; 1005 if it had none, 1006 if no Close was received.
    pub code: u16,
    /// The reason in the peer's Close.
    pub reason: Utf8Bytes,
    /// The end that began to close.
    pub initiator: Initiator,
    /// Whether both ends sent a Close and received the other's.
    pub clean: bool,
    /// The error that ended the connection, if there was one.
    pub cause: Option<ConnectionError>,
}

impl Closed {
    /// "1005 … no status code was actually present" (RFC 6455 §7.4.1).
    pub const NO_STATUS: u16 = 1005;
    /// "1006 … the connection was closed abnormally" (RFC 6455 §7.4.1).
    pub const ABNORMAL: u16 = 1006;

    /// Whether the peer meant to end the connection: both ends sent a Close, and the peer's had the code 1000, 1001
    /// (the peer is going away), or none.
    ///
    /// A server that closes with 1008 because it refuses you, or with 1011 because it failed, also ends the
    /// connection cleanly. A client that continues without a user should therefore check this.
    pub fn is_normal(&self) -> bool {
        let codes = [
            CloseCode::NORMAL.get(),
            CloseCode::GOING_AWAY.get(),
            Self::NO_STATUS,
        ];
        self.clean && codes.contains(&self.code)
    }

    /// Returns `Ok` if the end [is normal](Self::is_normal).
    ///
    /// # Errors
    ///
    /// Returns the value itself as the error otherwise.
    pub fn into_result(self) -> Result<(), Self> {
        if self.is_normal() { Ok(()) } else { Err(self) }
    }

    /// Makes the end of a connection whose peer sent no Close.
    pub fn abnormal(initiator: Initiator, cause: Option<ConnectionError>) -> Self {
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
            // The peer chose this text, so it must not end a line or control the terminal where it is shown.
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

impl core::error::Error for Closed {}

/// The end that began to close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Initiator {
    /// This end: it sent a Close first, or failed the connection.
    Local,
    /// The other end: its Close came first, or its transport ended.
    Peer,
}

impl Initiator {
    /// Returns which end began to end the connection, if `cause` ended it before any Close did.
    pub(crate) const fn of(cause: &ConnectionError) -> Self {
        match cause {
            ConnectionError::Lost(_) => Self::Peer,
            ConnectionError::Protocol(_)
            | ConnectionError::TimedOut(_)
            | ConnectionError::Entropy => Self::Local,
        }
    }
}
