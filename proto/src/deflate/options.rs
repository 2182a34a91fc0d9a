//! The options of compression, and the result of the negotiation (RFC 7692 §7.1).

/// The options for compressing, and for what the peer may do: see [`Config::deflate`](crate::Config::deflate).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Deflate {
    /// From 1, the fastest, to 9, the smallest output (1). Level 1 compresses JSON messages of 1 KiB to 30 % at 450
    /// MB/s, level 6 to 21 % at 70 MB/s.
    pub level: u8,
    /// From 1 to 9 (8). The symbols of a block take 512 bytes times 2 to the power of this.
    pub memory_level: u8,
    /// Messages smaller than this many bytes are sent uncompressed (64).
    pub threshold: usize,
    /// The largest window for the messages that we send.
    pub send: Window,
    /// The largest window that the peer may use. A smaller one saves memory on its side only.
    pub recv: Window,
}

/// The LZ77 window of one direction (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Window {
    /// The base-2 logarithm of its size in bytes, from 9 to 15 (15).
    pub bits: u8,
    /// Whether the window continues from one message to the next (true). That compresses small messages much
    /// better, but every connection then keeps a state.
    pub takeover: bool,
}

/// The parameters that both ends agreed on in the opening handshake (RFC 7692 §7.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Agreed {
    /// Our window. A client that is allowed only 8 bits sends uncompressed messages.
    pub send: Window,
    /// The peer's window.
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
    /// Returns options that save memory: no context takeover in either direction, so that a connection holds no
    /// state between messages, and smaller states for compressing.
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

    /// The window sizes that we can compress with. The RFC also allows 8 bits, which we cannot use.
    pub(super) const BITS: core::ops::RangeInclusive<u8> = 9..=15;

    pub(crate) fn valid_bits(self) -> u8 {
        self.bits.clamp(*Self::BITS.start(), *Self::BITS.end())
    }
}
