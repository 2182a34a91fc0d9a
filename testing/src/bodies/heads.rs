//! Heads as another parser reads them, and what RFC 6455 §4 demands of them.

use base64::{Engine, prelude::BASE64_STANDARD};
use proto::handshake::Headers;
use sha1::{Digest, Sha1};

/// A head that another parser has read, and what follows it.
#[derive(Debug)]
pub(crate) struct Head<'a> {
    pub(crate) status: u16,
    /// The target, of a request.
    pub(crate) target: &'a str,
    pub(crate) fields: Vec<(&'a str, &'a [u8])>,
    pub(crate) body: &'a [u8],
}

impl<'a> Head<'a> {
    /// Reads `bytes`, which must be one response and nothing else, except for its body.
    pub(crate) fn of_response(bytes: &'a [u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut response = httparse::Response::new(&mut fields);
        let parsed = response.parse(bytes);
        let Ok(httparse::Status::Complete(len)) = parsed else {
            panic!("{parsed:?}: no response: {}", bytes.escape_ascii());
        };
        assert_eq!(response.version, Some(1));
        assert_eq!(Some(len), head_len(bytes), "one head");
        Self {
            status: response.code.expect("a status"),
            target: "",
            fields: pairs(response.headers),
            body: &bytes[len..],
        }
    }

    /// Reads `bytes`, which must be one GET and nothing else.
    pub(crate) fn of_request(bytes: &'a [u8]) -> Self {
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut request = httparse::Request::new(&mut fields);
        let parsed = request.parse(bytes);
        assert_eq!(
            parsed,
            Ok(httparse::Status::Complete(bytes.len())),
            "not one request: {}",
            bytes.escape_ascii()
        );
        assert_eq!((request.method, request.version), (Some("GET"), Some(1)));
        assert_eq!(Some(bytes.len()), head_len(bytes), "one head");
        Self {
            status: 0,
            target: request.path.expect("a target"),
            fields: pairs(request.headers),
            body: b"",
        }
    }

    /// Returns the value of a field that is present at most once.
    pub(crate) fn get(&self, name: &str) -> Option<&'a str> {
        let mut values = self
            .fields
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let (_, value) = values.next()?;
        assert!(values.next().is_none(), "{name} is there twice");
        Some(str::from_utf8(value).expect("text"))
    }

    pub(crate) fn assert_is(&self, name: &str, value: &str) {
        assert_eq!(self.get(name), Some(value), "{name}");
    }

    /// Checks that it is the last response on its transport, and that it says where it ends.
    pub(crate) fn assert_last(&self) {
        assert!(
            self.get("Connection")
                .is_some_and(|value| value.starts_with("close"))
        );
        self.assert_is("Content-Length", &self.body.len().to_string());
        assert_eq!(self.get("Transfer-Encoding"), None);
    }
}

fn pairs<'a>(fields: &[httparse::Header<'a>]) -> Vec<(&'a str, &'a [u8])> {
    fields
        .iter()
        .map(|field| (field.name, field.value))
        .collect()
}

/// Returns the value of a field that is present at most once.
pub(crate) fn one<'a>(headers: &'a Headers, name: &str) -> Option<&'a [u8]> {
    let mut values = headers.get_all(name);
    let value = values.next();
    assert!(values.next().is_none(), "{name} is there twice");
    value
}

/// Skips empty lines before a head (RFC 9112 §2.2).
pub(crate) fn skip_empty_lines(mut bytes: &[u8]) -> &[u8] {
    while let Some(rest) = bytes.strip_prefix(b"\r\n") {
        bytes = rest;
    }
    bytes
}

/// Returns where the first head in `bytes` ends. Some readers would take a lone CR or LF as the end.
pub(crate) fn head_len(bytes: &[u8]) -> Option<usize> {
    let len = bytes.windows(4).position(|end| end == b"\r\n\r\n")? + 4;
    let lines = bytes[..len].split(|&byte| byte == b'\n');
    for line in lines.filter(|line| !line.is_empty()) {
        let line = line.strip_suffix(b"\r").expect("a lone LF");
        assert!(
            !line.contains(&b'\r') && !line.contains(&0),
            "a lone CR, or NUL"
        );
    }
    Some(len)
}

/// Returns the `Sec-WebSocket-Accept` of a key (§4.2.2, item 5).
pub(crate) fn accept(key: &[u8]) -> String {
    let mut hash = Sha1::new();
    hash.update(key);
    hash.update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    BASE64_STANDARD.encode(hash.finalize())
}

/// Whether the key is valid. §4.2.1, item 5: 22 digits of base64, the last one with four unused bits, and two `=`.
pub(crate) fn decodes_to_16(key: &[u8]) -> bool {
    let is_digit = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.strip_suffix(b"==")
        .is_some_and(|digits| digits.len() == 22 && digits.iter().all(is_digit))
}

/// Whether a comma-separated list over several fields has `token`, in any case.
pub(crate) fn has_token<'a>(mut fields: impl Iterator<Item = &'a [u8]>, token: &[u8]) -> bool {
    fields.any(|field| {
        field
            .split(|&byte| byte == b',')
            .any(|element| element.trim_ascii().eq_ignore_ascii_case(token))
    })
}

/// Whether the list has `name` exactly; `None` always counts as present.
pub(crate) fn has_exact<'a>(
    mut fields: impl Iterator<Item = &'a [u8]>,
    name: Option<&str>,
) -> bool {
    name.is_none_or(|name| {
        fields.any(|field| {
            field
                .split(|&byte| byte == b',')
                .any(|element| element.trim_ascii() == name.as_bytes())
        })
    })
}

/// Decodes base64.
pub(crate) fn decode(text: &[u8]) -> Vec<u8> {
    BASE64_STANDARD.decode(text).expect("base64")
}
