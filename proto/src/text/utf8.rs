//! Text (RFC 6455 §8.1): checked once, and then cheap to read and share.

use alloc::{boxed::Box, string::String};
use core::{
    borrow::Borrow,
    fmt,
    hash::{Hash, Hasher},
    ops,
};

use bytes::Bytes;

/// UTF-8 text in shared memory: a [`Bytes`] that is known to be a `str`.
///
/// Cloning and slicing share the memory.
#[derive(Clone, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Utf8Bytes(Bytes);

impl Utf8Bytes {
    /// Makes a text from static memory, which is shared and not copied.
    pub const fn from_static(text: &'static str) -> Self {
        Self(Bytes::from_static(text.as_bytes()))
    }

    /// Wraps bytes that passed [`is_utf8`] or [`validate`].
    pub(crate) fn from_checked(bytes: Bytes) -> Self {
        debug_assert!(core::str::from_utf8(&bytes).is_ok());
        Self(bytes)
    }

    /// Returns the text.
    #[allow(unsafe_code)]
    pub fn as_str(&self) -> &str {
        // SAFETY: the bytes are UTF-8. They come from a `str` or a `String`, or passed a check:
        // `TryFrom<Bytes>` runs one, and each caller of `from_checked`, which is private to this crate, ran one on
        // these very bytes. `Bytes` is immutable while shared, no method hands out `&mut` to it, and none slices it
        // except at a boundary that was checked as well.
        unsafe { core::str::from_utf8_unchecked(&self.0) }
    }

    /// Returns the bytes of the text.
    pub fn as_bytes(&self) -> &Bytes {
        &self.0
    }
}

impl TryFrom<Bytes> for Utf8Bytes {
    type Error = InvalidUtf8;

    fn try_from(bytes: Bytes) -> Result<Self, InvalidUtf8> {
        if is_utf8(&bytes) {
            Ok(Self(bytes))
        } else {
            Err(InvalidUtf8)
        }
    }
}

impl From<String> for Utf8Bytes {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Box<str>> for Utf8Bytes {
    fn from(text: Box<str>) -> Self {
        String::from(text).into()
    }
}

/// Copies the text; [`Utf8Bytes::from_static`] does not.
impl From<&str> for Utf8Bytes {
    fn from(text: &str) -> Self {
        Self(Bytes::copy_from_slice(text.as_bytes()))
    }
}

/// Copies the text.
impl From<&String> for Utf8Bytes {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Utf8Bytes> for Bytes {
    fn from(text: Utf8Bytes) -> Self {
        text.0
    }
}

impl From<Utf8Bytes> for String {
    fn from(text: Utf8Bytes) -> Self {
        text.as_str().into()
    }
}

impl ops::Deref for Utf8Bytes {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl AsRef<str> for Utf8Bytes {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

/// Hashes like a `str`, as [`Borrow`] requires.
impl Hash for Utf8Bytes {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl Borrow<str> for Utf8Bytes {
    fn borrow(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Utf8Bytes {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Utf8Bytes {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Debug for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

impl fmt::Display for Utf8Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The error for bytes that are not UTF-8.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not UTF-8")
    }
}

impl core::error::Error for InvalidUtf8 {}

/// Below this length `core` is faster than SIMD.
const SHORT: usize = 64;

/// Whether `bytes` consist of whole, valid characters.
#[inline]
pub(crate) fn is_utf8(bytes: &[u8]) -> bool {
    if bytes.len() < SHORT {
        bytes.is_ascii() || core::str::from_utf8(bytes).is_ok()
    } else {
        simdutf8::basic::from_utf8(bytes).is_ok()
    }
}

/// Returns how many bytes at the front of `bytes` are whole characters. At most three more bytes follow, which may
/// still become a character. Returns an error at the first byte that cannot be valid.
pub(crate) fn validate(bytes: &[u8]) -> Result<usize, InvalidUtf8> {
    match simdutf8::compat::from_utf8(bytes) {
        Ok(_) => Ok(bytes.len()),
        Err(error) if error.error_len().is_none() => Ok(error.valid_up_to()),
        Err(_) => Err(InvalidUtf8),
    }
}
