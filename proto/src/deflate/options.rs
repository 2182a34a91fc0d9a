//! How messages are compressed: what is wanted, and what was agreed on (RFC 7692 §7.1).

/// How to compress, and what to ask of the peer: [`Config::deflate`](crate::Config::deflate).
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
    pub(super) const BITS: core::ops::RangeInclusive<u8> = 9..=15;

    pub(crate) fn valid_bits(self) -> u8 {
        self.bits.clamp(*Self::BITS.start(), *Self::BITS.end())
    }
}
