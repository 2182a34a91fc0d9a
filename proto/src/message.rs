//! Messages, and pieces of messages (RFC 6455 §5.6).

use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::ops;

use bytes::{Bytes, BytesMut};

use crate::{error::ControlTooLong, text::utf8::Utf8Bytes};

/// The kind of a data message (RFC 6455 §5.6).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Kind {
    /// UTF-8 text.
    Text,
    /// Any bytes.
    Binary,
}

/// A whole data message. Cloning shares its memory.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Message {
    /// UTF-8 text.
    Text(Utf8Bytes),
    /// Any bytes.
    Binary(Bytes),
}

impl Message {
    /// Makes a message from a payload that was already checked, if it is text.
    pub(crate) fn from_checked(kind: Kind, payload: Bytes) -> Self {
        match kind {
            Kind::Text => Self::Text(Utf8Bytes::from_checked(payload)),
            Kind::Binary => Self::Binary(payload),
        }
    }

    /// Returns the kind of the message.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Text(_) => Kind::Text,
            Self::Binary(_) => Kind::Binary,
        }
    }

    /// Returns the payload of either kind.
    pub fn as_bytes(&self) -> &Bytes {
        match self {
            Self::Text(text) => text.as_bytes(),
            Self::Binary(payload) => payload,
        }
    }

    /// Returns the payload of either kind.
    pub fn into_bytes(self) -> Bytes {
        match self {
            Self::Text(text) => text.into(),
            Self::Binary(payload) => payload,
        }
    }

    /// Returns the text, or the unchanged message as the error if it is binary.
    pub fn into_text(self) -> Result<Utf8Bytes, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(self),
        }
    }

    /// Returns the text, or `None` if the message is binary.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Binary(_) => None,
        }
    }

    /// Returns the length of the payload in bytes.
    pub fn len(&self) -> usize {
        self.as_bytes().len()
    }

    /// Whether the payload is empty.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

// The payload takes over the memory; nothing is copied.
macro_rules! from_owned {
    ($($kind:ident: $($owned:ty),*;)*) => {$($(
        impl From<$owned> for Message {
            fn from(payload: $owned) -> Self {
                Self::$kind(payload.into())
            }
        }
    )*)*};
}

from_owned! {
    Text: Utf8Bytes, String, Box<str>;
    Binary: Bytes, BytesMut, Vec<u8>, Box<[u8]>;
}

/// Copies the text. [`Utf8Bytes::from_static`] shares static text instead.
impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

/// Copies the text.
impl From<&String> for Message {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

/// Copies the text if it is borrowed.
impl From<Cow<'_, str>> for Message {
    fn from(text: Cow<'_, str>) -> Self {
        match text {
            Cow::Borrowed(text) => text.into(),
            Cow::Owned(text) => text.into(),
        }
    }
}

/// Copies the bytes. [`Bytes::from_static`] shares static bytes instead.
impl From<&[u8]> for Message {
    fn from(payload: &[u8]) -> Self {
        Self::Binary(Bytes::copy_from_slice(payload))
    }
}

/// Copies the bytes.
impl<const N: usize> From<&[u8; N]> for Message {
    fn from(payload: &[u8; N]) -> Self {
        payload.as_slice().into()
    }
}

/// Copies the bytes.
impl<const N: usize> From<[u8; N]> for Message {
    fn from(payload: [u8; N]) -> Self {
        payload.as_slice().into()
    }
}

/// Copies the bytes.
impl From<&Vec<u8>> for Message {
    fn from(payload: &Vec<u8>) -> Self {
        payload.as_slice().into()
    }
}

/// Copies the bytes if they are borrowed.
impl From<Cow<'_, [u8]>> for Message {
    fn from(payload: Cow<'_, [u8]>) -> Self {
        match payload {
            Cow::Borrowed(payload) => payload.into(),
            Cow::Owned(payload) => payload.into(),
        }
    }
}

/// A piece of a data message. The pieces of a message come in order and are all of the same kind; text is cut only
/// between characters. A piece to send may contain anything that converts to an [`Outgoing`](crate::Outgoing).
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
    /// The longest payload, in bytes.
    pub const MAX: usize = 125;

    /// Makes a payload. Returns an error if it is longer than [`MAX`](Self::MAX) bytes.
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

    /// Wraps a payload whose length was checked with the frame header.
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
