use alloc::vec::Vec;

use bytes::Bytes;
use httparse::Status;

use crate::handshake::headers::Headers;

/// The body of a refusal while it arrives (RFC 9112 §6.3). At most `max` bytes are kept, and no memory is reserved
/// for an announced length.
#[derive(Debug)]
pub(super) struct Body {
    kept: Vec<u8>,
    max: usize,
    framing: Framing,
}

/// The rule that says where the body ends.
#[derive(Debug)]
enum Framing {
    /// The number of bytes that remain. It is unlimited if only the end of the transport ends the body.
    Length(u64),
    /// The number of bytes of the chunk that remain, and whether CRLF follows the chunk.
    Chunk(u64, bool),
}

impl Body {
    /// The longest line before a chunk, with its CRLF.
    const MAX_CHUNK_LINE: usize = 256;

    pub(super) fn new(status: u16, headers: &Headers, max: usize) -> Self {
        let mut framing = Framing::Length(u64::MAX);
        if matches!(status, 204 | 304) {
            framing = Framing::Length(0);
        } else if let Some(coding) = headers.list("Transfer-Encoding").last() {
            if coding.eq_ignore_ascii_case(b"chunked") {
                framing = Framing::Chunk(0, false);
            }
        } else if let Some(length) = headers.get("Content-Length")
            && let Some(length) = core::str::from_utf8(length)
                .ok()
                .and_then(|text| text.parse().ok())
        {
            framing = Framing::Length(length);
        }
        Self {
            kept: Vec::new(),
            max,
            framing,
        }
    }

    /// Takes the next part of the body off the front of `input`. Returns `None` if all of the body has come, or as
    /// much as is kept.
    pub(super) fn take(&mut self, input: &[u8]) -> Option<usize> {
        let mut rest = input;
        while self.kept.len() < self.max {
            let remaining = match &mut self.framing {
                Framing::Length(0) => return None,
                Framing::Chunk(0, ends) => {
                    let crlf: &[u8] = if *ends { b"\r\n" } else { b"" };
                    let Some(line) = rest.strip_prefix(crlf) else {
                        return crlf.starts_with(rest).then(|| taken(input, rest));
                    };
                    match httparse::parse_chunk_size(line) {
                        Ok(Status::Complete((len, size)))
                            if size > 0 && len <= Self::MAX_CHUNK_LINE =>
                        {
                            rest = line.get(len..).unwrap_or_default();
                            self.framing = Framing::Chunk(size, true);
                            continue;
                        }
                        Ok(Status::Partial) if line.len() < Self::MAX_CHUNK_LINE => {
                            return Some(taken(input, rest));
                        }
                        _ => return None,
                    }
                }
                Framing::Length(remaining) | Framing::Chunk(remaining, _) => remaining,
            };
            if rest.is_empty() {
                return Some(input.len());
            }
            let size = usize::try_from(*remaining)
                .unwrap_or(usize::MAX)
                .min(rest.len());
            *remaining = remaining.saturating_sub(size as u64);
            let (piece, more) = rest.split_at_checked(size)?;
            let room = self.max.saturating_sub(self.kept.len());
            self.kept
                .extend_from_slice(piece.get(..room).unwrap_or(piece));
            rest = more;
        }
        None
    }

    /// Returns the bytes that were kept.
    pub(super) fn finish(&mut self) -> Bytes {
        core::mem::take(&mut self.kept).into()
    }
}

fn taken(input: &[u8], rest: &[u8]) -> usize {
    input.len().saturating_sub(rest.len())
}
