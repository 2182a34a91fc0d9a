//! What waits to be framed.

use alloc::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use super::transmit::Transmit;
use crate::wire::frame::OpCode;

/// What could not be framed at once: never nothing.
#[derive(Default)]
pub(super) struct Backlog {
    pub(super) current: Option<Framing>,
    pub(super) queue: VecDeque<Item>,
    /// Payload bytes in both.
    pub(super) bytes: usize,
}

impl Backlog {
    /// How many items it has.
    pub(super) fn count(&self) -> u64 {
        (self.queue.len() as u64).saturating_add(self.current.is_some().into())
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes = self.bytes.saturating_add(item.payload.len());
        self.queue.push_back(item);
    }
}

/// Something that waits to be framed.
pub(super) struct Item {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    pub(super) payload: Bytes,
    pub(super) form: Form,
}

/// How its payload goes out.
#[derive(PartialEq)]
pub(super) enum Form {
    Plain,
    /// Compressed, if it is a part of a message or shrinks.
    Deflate,
    /// As this frame, which has it.
    Framed(Bytes),
}

/// What a client must not change it copies to mask.
pub(super) enum Payload {
    Shared(Bytes),
    Own(BytesMut),
}

impl Payload {
    /// `masked` tells whether it will be worth to mask `payload` where it is.
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
    /// What is not framed of it.
    pub(super) payload: Payload,
    /// What is not compressed of it, if it is to be.
    pub(super) raw: Option<Bytes>,
    /// It has its header already.
    pub(super) framed: bool,
    /// Payload bytes that are missing of a frame whose header is out.
    pub(super) left: usize,
    /// Turned so that it begins with the next of them.
    pub(super) key: [u8; 4],
}

impl Framing {
    /// `masked` tells whether its frames will be.
    pub(super) fn new(item: Item, masked: bool) -> Self {
        let (payload, raw, framed) = match item.form {
            Form::Plain => (item.payload, None, false),
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
            left: 0,
            key: [0; 4],
        }
    }

    /// Whether this is no frame boundary.
    pub(super) fn is_inside(&self) -> bool {
        self.left > 0
    }
}
