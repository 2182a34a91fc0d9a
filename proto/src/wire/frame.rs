//! Frame headers (RFC 6455 §5.2): the low level, for a program that builds its own protocol on WebSocket frames.

use crate::error::ProtocolError;

/// The purpose of a frame (RFC 6455 §5.2, §11.8).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OpCode {
    /// The next fragment of a message.
    Continuation = 0x0,
    /// Text.
    Text = 0x1,
    /// Binary.
    Binary = 0x2,
    /// Closing handshake.
    Close = 0x8,
    /// Asks for a Pong.
    Ping = 0x9,
    /// Answers a Ping.
    Pong = 0xA,
}

impl OpCode {
    /// Returns the opcode in the low four bits of a frame's first byte, or `None` if it is reserved.
    pub const fn from_bits(bits: u8) -> Option<Self> {
        Some(match bits & 0xF {
            0x0 => Self::Continuation,
            0x1 => Self::Text,
            0x2 => Self::Binary,
            0x8 => Self::Close,
            0x9 => Self::Ping,
            0xA => Self::Pong,
            _ => return None,
        })
    }

    /// Whether this is a control opcode (RFC 6455 §5.5).
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

/// A frame without its payload (RFC 6455 §5.2).
///
/// ```text
///  0               1               2               3
/// |FIN|RSV|opcode |MASK| length 7 | length 16 or 64 …| key 32 …|
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// Whether this is the last fragment of its message.
    pub fin: bool,
    /// Whether the message is compressed (RFC 7692 §6), if compression was negotiated.
    pub rsv1: bool,
    /// The purpose of the frame.
    pub opcode: OpCode,
    /// The masking key, on frames from a client.
    pub mask: Option<[u8; 4]>,
    /// The payload length in bytes, less than 2⁶³.
    pub len: u64,
}

impl Header {
    /// The longest header, in bytes.
    pub const MAX_LEN: usize = 14;

    /// Makes a header that is neither masked nor compressed.
    pub(crate) const fn new(opcode: OpCode, fin: bool, len: usize) -> Self {
        Self {
            fin,
            rsv1: false,
            opcode,
            mask: None,
            len: len as u64,
        }
    }

    /// Reads a header from the front of `input`. Returns it with its length in bytes, or `None` if it is not
    /// complete yet.
    ///
    /// Returns an error at the first byte that no valid header can have. Whether the opcode, the mask or RSV1 is
    /// allowed at this point depends on the connection, so it is not checked here.
    pub fn decode(input: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let Some((&first, rest)) = input.split_first() else {
            return Ok(None);
        };
        // §5.2: RSV "MUST be 0 unless an extension is negotiated"; no extension defines RSV2, RSV3.
        if first & 0x30 != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        // §5.2: "If an unknown opcode is received, the receiving endpoint MUST _Fail_".
        let opcode = OpCode::from_bits(first).ok_or(ProtocolError::Opcode(first & 0xF))?;
        let fin = first & 0x80 != 0;
        // §5.5: "All control frames … MUST NOT be fragmented."
        if opcode.is_control() && !fin {
            return Err(ProtocolError::FragmentedControl);
        }
        let Some((&second, rest)) = rest.split_first() else {
            return Ok(None);
        };
        let short = second & 0x7F;
        // §5.5: "All control frames MUST have a payload length of 125 bytes or less".
        if opcode.is_control() && short > 125 {
            return Err(ProtocolError::ControlTooLong);
        }
        let (len, rest) = match short {
            126 => match rest.split_first_chunk() {
                Some((len, rest)) => (u16::from_be_bytes(*len).into(), rest),
                None => return Ok(None),
            },
            127 => match rest.split_first_chunk() {
                Some((len, rest)) => (u64::from_be_bytes(*len), rest),
                None => return Ok(None),
            },
            len => (len.into(), rest),
        };
        // §5.2: "the minimal number of bytes MUST be used", "the most significant bit MUST be 0".
        let valid = match short {
            126 => len > 125,
            127 => len > u16::MAX.into() && len >> 63 == 0,
            _ => true,
        };
        if !valid {
            return Err(ProtocolError::Length);
        }
        let (mask, rest) = match (second & 0x80 != 0, rest.split_first_chunk()) {
            (false, _) => (None, rest),
            (true, Some((mask, rest))) => (Some(*mask), rest),
            (true, None) => return Ok(None),
        };
        let header = Self {
            fin,
            rsv1: first & 0x40 != 0,
            opcode,
            mask,
            len,
        };
        Ok(Some((header, input.len().saturating_sub(rest.len()))))
    }

    #[inline]
    const fn first(&self) -> u8 {
        (self.fin as u8) << 7 | (self.rsv1 as u8) << 6 | self.opcode as u8
    }

    /// Writes the header to the front of `out` in its shortest form, and returns its length in bytes. If `len` is
    /// 2⁶³ or more, its top bit is dropped.
    #[inline]
    pub fn encode(&self, out: &mut [u8; Self::MAX_LEN]) -> usize {
        let first = self.first();
        let masked = (self.mask.is_some() as u8) << 7;
        let key = self.mask.unwrap_or_default();
        let size = match self.len {
            len @ ..126 => {
                let [a, b, rest @ ..] = out;
                (*a, *b) = (first, masked | len as u8);
                put_key(rest, key);
                2
            }
            len @ 126..=0xFFFF => {
                let [a, b, c, d, rest @ ..] = out;
                (*a, *b) = (first, masked | 126);
                [*c, *d] = (len as u16).to_be_bytes();
                put_key(rest, key);
                4
            }
            len => {
                let [a, b, rest @ ..] = out;
                (*a, *b) = (first, masked | 127);
                if let Some((long, rest)) = rest.split_first_chunk_mut() {
                    *long = (len & u64::MAX >> 1).to_be_bytes();
                    put_key(rest, key);
                }
                10
            }
        };
        if self.mask.is_some() {
            usize::saturating_add(size, 4)
        } else {
            size
        }
    }
}

fn put_key(out: &mut [u8], key: [u8; 4]) {
    if let Some(place) = out.first_chunk_mut() {
        *place = key;
    }
}
