//! The credentials of a request (RFC 7617, RFC 6750), and how to compare them. RFC 6455 §10.5: servers "can use any
//! client authentication mechanism available to a generic HTTP server".

use alloc::{borrow::ToOwned, string::String};
use core::{fmt, hint::black_box};

use base64::Engine;

use super::{http1::key::BASE64, request::Request};

/// The user and the password of a request; see [`Request::basic`].
pub struct Basic {
    user: String,
    password: String,
}

impl Basic {
    /// Returns the user, who is not known to be the one who knows the password.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// Whether these are `user` and `password`. Both are compared by [`secrets_match`], even if the first one differs, so
    /// that the time does not say which of them was wrong.
    pub fn is(&self, user: &str, password: &str) -> bool {
        secrets_match(self.user.as_bytes(), user.as_bytes())
            & secrets_match(self.password.as_bytes(), password.as_bytes())
    }
}

/// Hides the password.
impl fmt::Debug for Basic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Basic")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Request {
    /// Returns the user and the password of `Authorization: Basic` (RFC 7617), in UTF-8. Without one, answer with 401
    /// and a `WWW-Authenticate` field.
    ///
    /// Returns `None` if there is not exactly one `Authorization`, if it has another scheme, or if it is not valid.
    pub fn basic(&self) -> Option<Basic> {
        let pair = BASE64.decode(self.credentials("Basic")?).ok()?;
        let pair = core::str::from_utf8(&pair).ok()?;
        // RFC 7617 §2: they "MUST NOT contain any control characters".
        if pair.bytes().any(|byte| byte.is_ascii_control()) {
            return None;
        }
        // A "user-id containing a colon" is not possible, so the first one ends it.
        let (user, password) = pair.split_once(':')?;
        Some(Basic {
            user: user.to_owned(),
            password: password.to_owned(),
        })
    }

    /// Returns the token of `Authorization: Bearer` (RFC 6750 §2.1), to be compared by [`secrets_match`], or to be
    /// verified if it is signed.
    ///
    /// Returns `None` if there is not exactly one `Authorization`, if it has another scheme, or if what follows is not
    /// a token of the characters that the RFC allows. The `WebSocket` of a web page cannot send this field.
    pub fn bearer(&self) -> Option<&str> {
        let token = self.credentials("Bearer")?;
        // `b64token`, which may end with padding.
        let unpadded = token.trim_end_matches('=');
        let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
        (!unpadded.is_empty() && unpadded.bytes().all(is_valid)).then_some(token)
    }

    /// Returns what follows this `scheme` in the only `Authorization` field (RFC 9110 §11.6.2).
    fn credentials(&self, scheme: &str) -> Option<&str> {
        let field = self.headers().single("Authorization").ok().flatten()?;
        let (given, rest) = core::str::from_utf8(field).ok()?.split_once(' ')?;
        // RFC 9110 §11.1: "a case-insensitive token to identify the authentication scheme".
        let is_same = given.eq_ignore_ascii_case(scheme);
        is_same.then(|| rest.trim_start_matches(' '))
    }
}

/// Whether `given`, which a client sent, equals the secret that is `expected`. The time depends on the length of
/// `given`, and not on where the two differ, so a client that measures it does not learn the secret byte by byte.
///
/// The length of the secret is not hidden: the caches of a processor may show whether it was read. Nor does Rust promise
/// that compiled code takes constant time: [`black_box`] keeps compilers from ending the comparison early, but only as
/// far as they respect it. Passwords that are stored should be hashes that are slow to compute, which this function does
/// not make.
///
/// Two empty values match, so do not compare with a secret that was not configured.
pub fn secrets_match(given: &[u8], expected: &[u8]) -> bool {
    let is_as_long = given.len() == expected.len();
    // What has another length is compared with itself, which takes as long.
    let other = if is_as_long { expected } else { given };
    let differing = differing_bits(given.iter().zip(other));
    black_box(differing == 0) & is_as_long
}

/// Returns the bits in which any pair differs. It takes every pair, wherever the first difference is.
fn differing_bits<'a>(pairs: impl Iterator<Item = (&'a u8, &'a u8)>) -> u8 {
    pairs.fold(0, |bits, (given, expected)| {
        black_box(bits | (given ^ expected))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nothing here can measure the time that compiled code takes. This counts the bytes that the source compares.
    #[test]
    fn s10_5_every_byte_is_compared_wherever_the_first_difference_is() {
        let secret = [7; 40];
        for at in 0..secret.len() {
            let mut given = secret;
            given[at] ^= 0x10;
            let mut compared = 0;
            let pairs = given.iter().zip(&secret).inspect(|_| compared += 1);
            assert_eq!(differing_bits(pairs), 0x10);
            assert_eq!(compared, secret.len(), "the difference is at {at}");
        }
    }
}
