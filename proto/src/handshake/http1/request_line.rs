//! The request line (RFC 9112 §3).

use alloc::{borrow::ToOwned, format};

use bytes::Bytes;

use super::error::RequestError;
use crate::{
    handshake::{origin, request::is_origin_form},
    text::utf8::Utf8Bytes,
};

/// The words of a request line of HTTP/1.1. Neither of them was checked.
pub(super) struct RequestLine<'a> {
    pub(super) method: &'a str,
    pub(super) target: &'a str,
}

impl<'a> RequestLine<'a> {
    pub(super) fn parse(line: &'a [u8]) -> Result<Self, RequestError> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse(line);
        if parsed == Err(httparse::Error::Version) && is_other_version(line) {
            return Err(RequestError::Version);
        }
        let (Ok(_), Some(method), Some(target), Some(version)) =
            (parsed, request.method, request.path, request.version)
        else {
            return Err(RequestError::Syntax);
        };
        if version != 1 {
            return Err(RequestError::Http10);
        }
        Ok(Self { method, target })
    }
}

/// The target of a request (RFC 9112 §3.2).
#[derive(Debug)]
pub(super) struct Target {
    /// The path with the query.
    pub(super) path: Utf8Bytes,
    /// The host of a target in absolute form.
    pub(super) host: Option<Bytes>,
}

impl Target {
    /// Parses a target. §4.2.1, item 1: "a Request-URI", which is a path with a query, or a whole http(s) URI.
    pub(super) fn parse(target: &str) -> Option<Self> {
        if is_origin_form(target) {
            return Some(Self {
                path: Utf8Bytes::from(target),
                host: None,
            });
        }
        let (scheme, rest) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = if rest.starts_with('/') {
            rest.to_owned()
        } else {
            format!("/{rest}")
        };
        let valid = origin::is_authority(host) && is_origin_form(&path);
        valid.then(|| Self {
            path: path.into(),
            host: Some(Bytes::copy_from_slice(host.as_bytes())),
        })
    }
}

/// Whether the line belongs to another version of HTTP (RFC 9112 §2.3).
fn is_other_version(line: &[u8]) -> bool {
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}
