//! A fast path for small messages. Its verdict on each is the same as the parser's.

use bytes::{Buf, Bytes};

use super::input::Input;
use crate::{
    config::{Config, Role},
    message::{Kind, Message},
    text::utf8,
    wire::{frame::OpCode, mask},
};

/// A batch of whole small messages that arrived together. They are uncompressed, unfragmented, within every limit,
/// and have no control frame between them.
///
/// Most messages are like that. They are unmasked in one pass and share one allocation, which costs a third of what
/// the parser costs for each. Everything else stays in the input for the parser.
#[derive(Default)]
pub(super) struct Batch {
    /// The unmasked frames, with their headers.
    frames: Bytes,
}

impl Batch {
    /// The most bytes that are unmasked and copied together. A small message that the application keeps therefore
    /// pins at most this many.
    const MOST: u16 = 4 << 10;

    /// Returns the size in bytes of the largest message that a batch may take. Such a message must be within the
    /// limits for whole messages and the limits for chunks, because a batch is taken before the application says
    /// how it will pull its later messages.
    pub(super) fn max(config: &Config) -> u16 {
        let max = config
            .max_frame_size
            .unwrap_or(u64::MAX)
            .min(config.max_message_size as u64)
            .min(config.max_stream_size);
        u16::try_from(max).map_or(Self::MOST, |max| max.min(Self::MOST))
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Drops the messages that were not taken.
    pub(super) fn clear(&mut self) {
        self.frames.clear();
    }

    /// Moves the small messages at the front of `input` here, and takes the first of them. Returns `None` and
    /// leaves `input` alone if something else comes first, or a message larger than `max` bytes.
    pub(super) fn fill(&mut self, input: &mut Input, role: Role, max: u16) -> Option<Message> {
        let bytes = input.bytes_mut();
        let end = bytes.len().min(Self::MOST.into());
        let mut remaining = end;
        let (mut count, mut last) = (0_u32, 0);
        let mut rest = bytes.get_mut(..end).unwrap_or_default();
        while let Some(([0x81 | 0x82, second], body)) = rest.split_first_chunk_mut() {
            let short = match role {
                Role::Server => *second ^ 0x80,
                Role::Client => *second,
            };
            let (len, body) = match short {
                0..126 => (short.into(), body),
                126 => match body.split_first_chunk_mut() {
                    Some((len, body)) => (u16::from_be_bytes(*len).into(), body),
                    None => break,
                },
                _ => break,
            };
            // The parser judges a length that is encoded in more bytes than it needs.
            if len > max.into() || short == 126 && len < 126 {
                break;
            }
            let next = if role == Role::Client {
                body.get_mut(len..)
            } else if let Some((key, body)) = body.split_first_chunk_mut()
                && let Some((payload, next)) = body.split_at_mut_checked(len)
            {
                mask::apply(payload, *key, 0);
                Some(next)
            } else {
                None
            };
            let Some(next) = next else { break };
            remaining = next.len();
            rest = next;
            last = len;
            count = count.wrapping_add(1);
        }
        let taken = end.saturating_sub(remaining);
        let frames = input.bytes().get(..taken).unwrap_or_default();
        let &first = frames.first()?;
        if count == 1 {
            let payload = frames.get(taken.saturating_sub(last)..)?;
            if let Some(kind) = kind(first, payload) {
                let payload = Bytes::copy_from_slice(payload);
                input.consume(taken);
                return Some(Message::from_checked(kind, payload));
            }
        }
        self.frames = Bytes::copy_from_slice(frames);
        input.consume(taken);
        self.next(role)
    }

    /// Takes the next message. Returns `None` at the end, and at a text that is not UTF-8, which stays in the
    /// batch.
    #[inline(always)]
    pub(super) fn next(&mut self, role: Role) -> Option<Message> {
        let &[first, second] = self.frames.first_chunk()?;
        let mut head: usize = if role == Role::Server { 6 } else { 2 };
        let mut len = usize::from(second & 0x7F);
        if len == 126 {
            let &[_, _, high, low] = self.frames.first_chunk()?;
            head = head.saturating_add(2);
            len = u16::from_be_bytes([high, low]).into();
        }
        let end = head.saturating_add(len);
        let kind = kind(first, self.frames.get(head..end)?)?;
        let mut payload = if end < self.frames.len() {
            self.frames.split_to(end)
        } else {
            core::mem::take(&mut self.frames)
        };
        payload.advance(head.min(payload.len()));
        Some(Message::from_checked(kind, payload))
    }
}

/// Returns the kind that the first octet of a frame announces, or `None` for a text whose payload is not UTF-8.
#[inline]
fn kind(first: u8, payload: &[u8]) -> Option<Kind> {
    if first & 0xF == OpCode::Binary as u8 {
        return Some(Kind::Binary);
    }
    utf8::is_utf8(payload).then_some(Kind::Text)
}
