//! Messages and pieces of them (RFC 6455 §5.6).

use alloc::{borrow::Cow, boxed::Box, string::String, vec::Vec};
use core::ops;

use bytes::{Bytes, BytesMut};

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

    /// The text, or the message as it was if it is binary.
    pub fn into_text(self) -> Result<Utf8Bytes, Self> {
        match self {
            Self::Text(text) => Ok(text),
            Self::Binary(_) => Err(self),
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

// Owned memory becomes the payload; nothing is copied.
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

/// Copies the text. [`Utf8Bytes::from_static`] shares a text that lives as long as the program.
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

/// Copies the bytes. [`Bytes::from_static`] shares bytes that live as long as the program.
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
