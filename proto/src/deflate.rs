//! permessage-deflate (RFC 7692): messages that are compressed.
//!
//! Both ends agree on it in the opening handshake, if both have [`Config::deflate`]:
//!
//! ```
//! use bowline_proto::{Config, deflate::Deflate};
//!
//! # let entropy = |bytes: &mut [u8]| Ok(bytes.fill(7));
//! let mut config = Config::new(entropy);
//! config.deflate = Some(Deflate::default());
//! ```
//!
//! Nothing else changes: messages are compressed as they are framed and inflated as they arrive, and
//! [`max_message_size`](Config::max_message_size) bounds what comes out while it does.
//!
//! # Memory
//!
//! A state is made when the first message needs it. Without context takeover it goes back to a pool
//! after each message, which keeps at most 32 of either kind for the process. With takeover each
//! connection keeps its own until it ends.
//!
//! | state | KiB |
//! |---|---|
//! | inflating, whatever the window | 46 |
//! | compressing, window 15, memory level 8 (the default) | 371 |
//! | compressing, window 12, memory level 5 ([`Deflate::low_memory`]) | 161 |
//! | compressing, window 9, memory level 1 | 134 |
//!
//! # Secrets
//!
//! The length of a compressed message tells something of its content. If an attacker may choose a part
//! of what is sent together with a secret, or after it with takeover, lengths give the secret away bit
//! by bit. Send such messages by [`Outgoing::plain`](crate::Outgoing::plain): they are not compressed,
//! and no later message refers to them. So it is with a message in pieces of which the first is one.

use alloc::{boxed::Box, vec::Vec};

use crate::{Config, Negotiated};

mod deflater;
mod inflater;
mod offer;
mod pool;

pub(crate) use deflater::Deflater;
pub(crate) use inflater::{Corrupt, Inflater};
pub(crate) use offer::{agree, answer, offer};

/// How to compress, and what to ask of the peer: [`Config::deflate`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Deflate {
    /// From 1, which is the fastest, to 9, which packs most (1). Of JSON in messages of 1 KiB level 1
    /// leaves 30 % at 450 MB/s, level 6 leaves 21 % at 70 MB/s.
    pub level: u8,
    /// From 1 to 9: memory for the symbols of a block, 2 to the power of this times 512 bytes (8).
    pub memory_level: u8,
    /// Messages of fewer bytes are sent as they are (64).
    pub threshold: usize,
    /// What we send is compressed within this window at most.
    pub send: Window,
    /// What the peer may use at most. A smaller window saves memory on its side only.
    pub recv: Window,
}

/// The LZ77 window of one direction (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The base-2 logarithm of its size in bytes, from 9 to 15 (15).
    pub bits: u8,
    /// Whether it goes on from one message to the next (true): that packs small messages much better,
    /// and costs a state for each connection.
    pub takeover: bool,
}

/// What both ends agreed on in the opening handshake (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Agreed {
    /// Our window. A client that may use 8 bits only sends plain messages.
    pub send: Window,
    /// The peer's.
    pub recv: Window,
}

impl Default for Deflate {
    fn default() -> Self {
        Self {
            level: 1,
            memory_level: 8,
            threshold: 64,
            send: Window::LARGEST,
            recv: Window::LARGEST,
        }
    }
}

impl Deflate {
    /// No context takeover in either direction, so that a connection holds no state between messages,
    /// and small ones while it does.
    pub const fn low_memory() -> Self {
        Self {
            level: 1,
            memory_level: 5,
            threshold: 64,
            send: Window {
                bits: 12,
                takeover: false,
            },
            recv: Window {
                bits: Window::LARGEST.bits,
                takeover: false,
            },
        }
    }
}

impl Window {
    const LARGEST: Self = Self {
        bits: 15,
        takeover: true,
    };

    /// The bits that we can compress with: 8 we cannot.
    const BITS: core::ops::RangeInclusive<u8> = 9..=15;

    fn valid_bits(self) -> u8 {
        self.bits.clamp(*Self::BITS.start(), *Self::BITS.end())
    }
}

/// What turns the messages of a connection into bytes and back, if that was agreed on.
pub(crate) fn codec(
    negotiated: &Negotiated,
    config: &Config,
) -> (Option<Box<Inflater>>, Option<Box<Deflater>>) {
    let Some(agreed) = negotiated.deflate else {
        return (None, None);
    };
    let options = config.deflate.unwrap_or_default();
    let deflater = Window::BITS.contains(&agreed.send.bits);
    (
        Some(Box::new(Inflater::new(agreed.recv.takeover))),
        deflater.then(|| Box::new(Deflater::new(&options, agreed.send))),
    )
}

/// A whole message that is compressed by itself, and the bits of the window it needs; `None` if that
/// is not wanted, or not smaller.
pub(crate) fn whole(payload: &[u8], config: &Config) -> Option<(u8, Vec<u8>)> {
    let options = config.deflate?;
    let window = Window {
        takeover: false,
        ..options.send
    };
    let mut deflater = Deflater::new(&options, window);
    if payload.len() < options.threshold {
        return None;
    }
    let deflated = deflater.deflate(payload, true)?;
    (deflated.len() < payload.len()).then(|| (deflater.bits(), deflated))
}
