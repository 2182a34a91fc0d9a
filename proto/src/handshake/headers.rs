use alloc::{string::String, vec::Vec};
use core::fmt;

use bytes::{Buf, Bytes};

use crate::text::utf8::Utf8Bytes;

/// Header fields, in order (RFC 9110 §5). Names are compared without case.
///
/// Only valid fields can be added, so that no field can inject another or end the head.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Headers(Vec<(Utf8Bytes, Bytes)>);

impl Headers {
    /// Makes an empty list of fields.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn with_capacity(count: usize) -> Self {
        Self(Vec::with_capacity(count))
    }

    /// Appends a field. White space around `value` is not part of it and is dropped.
    ///
    /// Returns an error if `name` is not a token (RFC 9110 §5.1), or if `value` has a control character other than
    /// a tab (§5.5): "CR, LF, or NUL … invalid and dangerous".
    pub fn push(
        &mut self,
        name: impl Into<Utf8Bytes>,
        value: impl Into<FieldValue>,
    ) -> Result<(), InvalidHeader> {
        let (name, FieldValue(mut value)) = (name.into(), value.into());
        if !is_token(name.as_bytes()) {
            return Err(InvalidHeader::Name);
        }
        if text_len(&value) < value.len() {
            return Err(InvalidHeader::Value);
        }
        value.truncate(value.trim_ascii_end().len());
        value.advance(value.len().saturating_sub(value.trim_ascii_start().len()));
        self.0.push((name, value));
        Ok(())
    }

    /// Returns the first value of `name`.
    pub fn get<'a>(&'a self, name: &str) -> Option<&'a [u8]> {
        self.get_all(name).next()
    }

    /// Returns every value of `name`, in order.
    pub fn get_all<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.iter()
            .filter(move |(key, _)| key.eq_ignore_ascii_case(name))
            .map(|(_, value)| value)
    }

    /// Returns every field, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), &value[..]))
    }

    /// Returns the number of fields.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no fields.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Replaces a field. The name and the value must be valid.
    pub(super) fn set(&mut self, name: &'static str, value: impl Into<Bytes>) {
        self.remove(name);
        self.0.push((Utf8Bytes::from_static(name), value.into()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    pub(super) fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// Returns the elements of a comma-separated list, over all fields of this name (RFC 9110 §5.6.1). Empty
    /// elements are ignored.
    pub(super) fn list<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        self.get_all(name)
            .flat_map(|value| value.split(|&byte| byte == b','))
            .map(|element| element.trim_ascii())
            .filter(|element| !element.is_empty())
    }

    /// Whether `token` is in such a list. Tokens of `Upgrade` and `Connection` are compared without case.
    pub(super) fn list_has(&self, name: &str, token: &str) -> bool {
        self.list(name)
            .any(|element| element.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Returns the value of a field that may appear at most once, or an error if it appears more often.
    pub(crate) fn single<'a>(&'a self, name: &str) -> Result<Option<&'a [u8]>, Repeated> {
        let mut values = self.get_all(name);
        let value = values.next();
        if values.next().is_some() {
            Err(Repeated)
        } else {
            Ok(value)
        }
    }

    /// Writes `name: value` lines, each with its CRLF.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        for (name, value) in self.iter() {
            for part in [name.as_bytes(), b": ", value, b"\r\n"] {
                out.extend_from_slice(part);
            }
        }
    }
}

/// The value of a field, as the caller has it: text or octets. Borrowed ones are copied, owned ones are not.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FieldValue(pub(super) Bytes);

impl From<Bytes> for FieldValue {
    fn from(value: Bytes) -> Self {
        Self(value)
    }
}

impl From<Vec<u8>> for FieldValue {
    fn from(value: Vec<u8>) -> Self {
        Self(value.into())
    }
}

impl From<String> for FieldValue {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl From<&[u8]> for FieldValue {
    fn from(value: &[u8]) -> Self {
        Self(Bytes::copy_from_slice(value))
    }
}

impl<const N: usize> From<&[u8; N]> for FieldValue {
    fn from(value: &[u8; N]) -> Self {
        value[..].into()
    }
}

impl From<&str> for FieldValue {
    fn from(value: &str) -> Self {
        value.as_bytes().into()
    }
}

impl From<&String> for FieldValue {
    fn from(value: &String) -> Self {
        value.as_bytes().into()
    }
}

/// The error for a field that may appear only once and appears more often.
pub(crate) struct Repeated;

/// Whether `bytes` are a token (RFC 9110 §5.6.2).
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let is_valid = |byte: &u8| TOKEN.get(usize::from(*byte)) == Some(&true);
    !bytes.is_empty() && bytes.iter().all(is_valid)
}

/// The bytes that may be in a token.
#[expect(clippy::indexing_slicing, reason = "evaluated at compile time")]
static TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte < u8::MAX {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'..=b'`' | b'|' | b'~');
        byte += 1;
    }
    table
};

/// Returns the number of bytes before the first one that no value may contain (RFC 9110 §5.5): a control character
/// other than a tab.
pub(super) fn text_len(bytes: &[u8]) -> usize {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~' | 0x80..);
    // Checks a whole block at once, without a branch for each byte.
    let is_whole = |block: &&[u8; 16]| block.iter().fold(true, |all, byte| all & is_text(byte));
    let whole = bytes
        .as_chunks()
        .0
        .iter()
        .take_while(is_whole)
        .count()
        .saturating_mul(16);
    let rest = bytes.iter().skip(whole);
    whole.saturating_add(rest.take_while(|byte| is_text(byte)).count())
}

/// The error for an invalid header field, which was not added.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InvalidHeader {
    /// The name is not a token.
    Name,
    /// The value has a control character.
    Value,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the name of a header field is not a token",
            Self::Value => "the value of a header field has a control character",
        })
    }
}

impl core::error::Error for InvalidHeader {}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn only_tokens_are_names() {
        for byte in 0..=u8::MAX {
            let separator = b"\"(),/:;<=>?@[\\]{}".contains(&byte);
            assert_eq!(
                is_token(&[byte]),
                byte.is_ascii_graphic() && !separator,
                "{byte:#x}"
            );
        }
        let mut headers = Headers::new();
        for name in ["", "a b", "a:", "a\r\n", "é", " a"] {
            assert_eq!(
                headers.push(name, "x"),
                Err(InvalidHeader::Name),
                "{name:?}"
            );
        }
        assert!(headers.is_empty());
    }

    #[test]
    fn values_have_no_control_characters() {
        for byte in 0..=u8::MAX {
            let valid = byte == b'\t' || !byte.is_ascii_control();
            // Before, inside and after whole blocks.
            for at in 1..50 {
                let mut value = vec![b'a'; 51];
                value[at] = byte;
                assert_eq!(text_len(&value), if valid { 51 } else { at });
                let mut headers = Headers::new();
                let pushed = headers.push("X", value);
                assert_eq!(pushed.is_ok(), valid, "{byte:#x}");
                assert_eq!(headers.len(), usize::from(valid));
            }
        }
    }

    #[test]
    fn names_have_no_case_and_values_keep_their_order() {
        let mut headers = Headers::new();
        headers.push("X-A", " 1,, 2\t").unwrap();
        headers.push("x-a", "3").unwrap();
        assert_eq!(headers.get("X-a"), Some(&b"1,, 2"[..]));
        assert_eq!(
            headers.get_all("x-A").collect::<Vec<_>>(),
            [&b"1,, 2"[..], b"3"]
        );
        assert_eq!(headers.list("x-a").collect::<Vec<_>>(), [b"1", b"2", b"3"]);
        assert!(headers.single("x-a").is_err());
        headers.set("X-A", "4");
        assert_eq!(headers.iter().collect::<Vec<_>>(), [("X-A", &b"4"[..])]);
    }
}
