//! Messages and pieces of them (RFC 6455 §5.6).

use alloc::{string::String, vec::Vec};
use core::ops;

use bytes::Bytes;

use crate::{error::ControlTooLong, text::utf8::Utf8Bytes};

/// What a data message carries (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Anything.
    Binary,
}

/// A whole data message. Cloning shares its memory.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Message {
    /// UTF-8 text.
    Text(Utf8Bytes),
    /// Anything.
    Binary(Bytes),
}

impl Message {
    /// For payloads that were checked already, if they are text.
    pub(crate) fn from_checked(kind: Kind, payload: Bytes) -> Self {
        match kind {
            Kind::Text => Self::Text(Utf8Bytes::from_checked(payload)),
            Kind::Binary => Self::Binary(payload),
        }
    }

    /// What it carries.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// The payload, text or not.
    pub fn as_bytes(&self) -> &Bytes {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(payload) => payload,
        }
    }

    /// The payload, text or not.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(payload) => payload,
        }
    }

    /// The text, if it is text.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl From<Utf8Bytes> for Message {
    fn from(text: Utf8Bytes) -> Self {
        Self::Text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<&'static str> for Message {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<Bytes> for Message {
    fn from(payload: Bytes) -> Self {
        Self::Binary(payload)
    }
}

impl From<Vec<u8>> for Message {
    fn from(payload: Vec<u8>) -> Self {
        Self::Binary(payload.into())
    }
}

impl From<&'static [u8]> for Message {
    fn from(payload: &'static [u8]) -> Self {
        Self::Binary(Bytes::from_static(payload))
    }
}

/// A piece of a data message. The pieces of a message come in order, all of the same kind; text is
/// cut between characters only. One that is sent may be of anything that can be an
/// [`Outgoing`](crate::Outgoing).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Chunk<M = Message> {
    /// The piece.
    pub data: M,
    /// Whether this is the last one.
    pub fin: bool,
}

/// The payload of a Ping or Pong: at most 125 bytes (RFC 6455 §5.5).
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct ControlPayload(Bytes);

impl ControlPayload {
    /// The longest, in bytes.
    pub const MAX: usize = 125;

    /// Fails if `payload` is longer than [`MAX`](Self::MAX) bytes.
    pub fn new(payload: impl Into<Bytes>) -> Result<Self, ControlTooLong> {
        let payload = payload.into();
        if payload.len() > Self::MAX {
            return Err(ControlTooLong {
                len: payload.len(),
                max: Self::MAX,
            });
        }
        Ok(Self(payload))
    }

    /// For payloads whose length the frame header was checked for.
    pub(crate) fn from_checked(payload: Bytes) -> Self {
        debug_assert!(payload.len() <= Self::MAX);
        Self(payload)
    }
}

impl ops::Deref for ControlPayload {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl From<ControlPayload> for Bytes {
    fn from(payload: ControlPayload) -> Self {
        payload.0
    }
}
