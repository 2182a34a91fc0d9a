//! Messages that wait to be framed.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::transmit::Transmit;
use crate::wire::frame::OpCode;

/// Items that could not be framed at once. Never empty: it is dropped with its last item.
#[derive(Default)]
pub(super) struct Backlog {
    pub(super) current: Option<Framing>,
    pub(super) queue: VecDeque<Item>,
    /// The number of payload bytes in both.
    pub(super) bytes: usize,
}

impl Backlog {
    /// The number of its items.
    pub(super) fn count(&self) -> u64 {
        (self.queue.len() as u64).saturating_add(self.current.is_some().into())
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.payload.len());
        self.queue.push_back(item);
    }
}

/// A message, a chunk or a control frame that waits to be framed.
pub(super) struct Item {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    pub(super) payload: Bytes,
    pub(super) form: Form,
}

/// The form in which an item's payload is sent.
#[derive(PartialEq)]
pub(super) enum Form {
    Uncompressed,
    /// Compressed, if it is a part of a message or gets smaller.
    Deflate,
    /// As this complete frame, which contains the payload.
    Framed(Bytes),
}

/// A payload that waits. A client masks `Own` in place, but must copy `Shared` to mask it.
pub(super) enum Payload {
    Shared(Bytes),
    Own(BytesMut),
}

impl Payload {
    /// `masked` says whether the payload will be masked. Owning it then pays off if it is large.
    pub(super) fn new(payload: Bytes, masked: bool) -> Self {
        if !masked || payload.len() < Transmit::COPY_BELOW {
            return Self::Shared(payload);
        }
        match payload.try_into_mut() {
            Ok(own) => Self::Own(own),
            Err(shared) => Self::Shared(shared),
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shared(bytes) => bytes.len(),
            Self::Own(bytes) => bytes.len(),
        }
    }

    /// Takes `count` bytes, or all, off the front.
    pub(super) fn split_to(&mut self, count: usize) -> Self {
        let count = count.min(self.len());
        match self {
            Self::Shared(bytes) => Self::Shared(bytes.split_to(count)),
            Self::Own(bytes) => Self::Own(bytes.split_to(count)),
        }
    }
}

/// An item that is being framed.
pub(super) struct Framing {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    /// The payload that is not framed yet.
    pub(super) payload: Payload,
    /// The payload that is still to be compressed, if any.
    pub(super) raw: Option<Bytes>,
    /// Whether the payload is a complete frame with its header.
    pub(super) framed: bool,
    /// The number of payload bytes still missing of a frame whose header was written.
    pub(super) remaining: usize,
    /// The mask key, rotated so that it begins with the next byte.
    pub(super) key: [u8; 4],
}

impl Framing {
    /// `masked` says whether its frames will be masked.
    pub(super) fn new(item: Item, masked: bool) -> Self {
        let (payload, raw, framed) = match item.form {
            Form::Uncompressed => (item.payload, None, false),
            Form::Deflate => (Bytes::new(), Some(item.payload), false),
            Form::Framed(frame) => (frame, None, true),
        };
        Self {
            opcode: item.opcode,
            fin: item.fin,
            rsv1: false,
            payload: Payload::new(payload, masked),
            raw,
            framed,
            remaining: 0,
            key: [0; 4],
        }
    }

    /// Whether a frame has been begun and not finished.
    pub(super) fn is_inside(&self) -> bool {
        self.remaining > 0
    }
}
