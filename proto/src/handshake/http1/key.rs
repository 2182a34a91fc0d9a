//! `Sec-WebSocket-Key` and `Sec-WebSocket-Accept` (RFC 6455 §4.1, §4.2.2).

use alloc::string::String;

use base64::{Engine, alphabet, engine::general_purpose};
use sha1::{Digest, Sha1};

use crate::{config::Config, error::EntropyError};

/// Base64 with padding. Stray bits in the last character are ignored when decoding.
pub(crate) const BASE64: general_purpose::GeneralPurpose = general_purpose::GeneralPurpose::new(
    &alphabet::STANDARD,
    general_purpose::GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true),
);

/// Generates a new key. §4.1: "a nonce consisting of a randomly selected 16-byte value".
pub(super) fn generate(config: &Config) -> Result<String, EntropyError> {
    let mut nonce = [0; 16];
    (config.entropy)(&mut nonce)?;
    Ok(BASE64.encode(nonce))
}

/// §4.2.1: the value "when decoded, is 16 bytes in length".
pub(super) fn is_valid(key: &[u8]) -> bool {
    let mut nonce = [0; 18];
    BASE64.decode_slice(key, &mut nonce) == Ok(16)
}

/// Computes the `Sec-WebSocket-Accept` of a key. §4.2.2: "concatenating /key/", as it was sent, with a fixed
/// string, "taking the SHA-1 hash" and "base64-encoding" it.
pub(super) fn accept(key: &[u8]) -> String {
    let hash = Sha1::new()
        .chain_update(key)
        .chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    BASE64.encode(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s1_3_the_example_of_the_rfc() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ=="),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    #[test]
    fn s4_2_1_a_key_is_16_bytes_of_base64() {
        assert!(is_valid(b"dGhlIHNhbXBsZSBub25jZQ=="));
        assert!(is_valid(b"dGhlIHNhbXBsZSBub25jZR=="), "stray bits");
        for key in [
            "",
            "AAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAAA=",
            "AAAAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA",
            "AAAAAAAAAAAAAAAAAAAAAA=A",
            "AAAAAAAAAAA=AAAAAAAAAA==",
            "dGhlIHNhbXBsZSBub25j$Q==",
            "dGhlIHNhbXBsZSBub25j-Q==",
            "dGhlIHNhbXBsZSBub25jZQ== ",
        ] {
            assert!(!is_valid(key.as_bytes()), "{key}");
        }
    }
}
