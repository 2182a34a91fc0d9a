//! Frames as the other end writes and reads them (RFC 6455 §5.2), for the runners of all crates:
//! written apart from the library, so that it does not judge itself.

/// The key that a client masks with, where any would do.
pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    pub fin: bool,
    pub opcode: u8,
    pub key: Option<[u8; 4]>,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn new(opcode: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            fin: true,
            opcode,
            key: None,
            payload: payload.as_ref().to_vec(),
        }
    }

    /// The code and the reason of a Close; `None` if it is empty.
    pub fn close(&self) -> Option<(u16, &str)> {
        let (code, reason) = self.payload.split_first_chunk()?;
        let reason = std::str::from_utf8(reason).expect("a reason is UTF-8");
        Some((u16::from_be_bytes(*code), reason))
    }
}

/// The header of a frame that announces `len` bytes, masked with [`KEY`] on the way to a server.
pub fn header(first: u8, len: u64, to_server: bool) -> Vec<u8> {
    let mask = if to_server { 0x80 } else { 0 };
    let mut out = vec![first];
    match len {
        0..126 => out.push(mask | len as u8),
        126..65536 => {
            out.push(mask | 126);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(mask | 127);
            out.extend_from_slice(&len.to_be_bytes());
        }
    }
    if to_server {
        out.extend_from_slice(&KEY);
    }
    out
}

/// A frame whose first byte is `first`, masked with [`KEY`] on the way to a server.
pub fn frame(first: u8, payload: impl AsRef<[u8]>, to_server: bool) -> Vec<u8> {
    let payload = payload.as_ref();
    let mut out = header(first, payload.len() as u64, to_server);
    let key = if to_server { KEY } else { [0; 4] };
    out.extend(payload.iter().zip(key.iter().cycle()).map(|(b, k)| b ^ k));
    out
}

/// The frame at the front of `bytes`, unmasked, and its length on the wire; `None` if it is not all
/// there. Asserts that the header has its shortest form and no reserved bit.
pub fn decode(bytes: &[u8]) -> Option<(Frame, usize)> {
    let (&[first, second], rest) = bytes.split_first_chunk()?;
    assert_eq!(first & 0x70, 0, "reserved bits in {first:#x}");
    let (len, rest) = match second & 0x7f {
        126 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u16::from_be_bytes(*len);
            assert!(len > 125, "length {len} is not in its shortest form");
            (u64::from(len), rest)
        }
        127 => {
            let (len, rest) = rest.split_first_chunk()?;
            let len = u64::from_be_bytes(*len);
            assert!(len > 65535, "length {len} is not in its shortest form");
            (len, rest)
        }
        len => (u64::from(len), rest),
    };
    let (key, rest) = if second & 0x80 == 0 {
        (None, rest)
    } else {
        let (key, rest) = rest.split_first_chunk()?;
        (Some(*key), rest)
    };
    let payload = rest.get(..usize::try_from(len).ok()?)?;
    let mask = key.unwrap_or_default();
    let frame = Frame {
        fin: first & 0x80 != 0,
        opcode: first & 0xf,
        key,
        payload: payload
            .iter()
            .zip(mask.iter().cycle())
            .map(|(b, k)| b ^ k)
            .collect(),
    };
    let size = bytes.len() - rest.len() + payload.len();
    Some((frame, size))
}

/// All frames in `bytes`, which ends with one, from a client or from a server.
pub fn decode_all(mut bytes: &[u8], from_client: bool) -> Vec<Frame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let (frame, size) = decode(bytes).expect("output ends with a whole frame");
        assert_eq!(frame.key.is_some(), from_client, "masked by the wrong end");
        bytes = &bytes[size..];
        frames.push(frame);
    }
    frames
}
