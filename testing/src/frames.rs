//! Frames as RFC 6455 §5.2 draws them: one model for all tests. It shares no code with the library, so that the
//! library is not tested against itself.

use proto::{ProtocolError, Role};

pub const FIN: u8 = 0x80;
pub const RSV1: u8 = 0x40;
pub const CONTINUATION: u8 = 0x0;
pub const TEXT: u8 = 0x1;
pub const BINARY: u8 = 0x2;
/// Control frames are whole (§5.5), so these three have FIN set.
pub const CLOSE: u8 = 0x88;
pub const PING: u8 = 0x89;
pub const PONG: u8 = 0x8A;

/// A frame before it is masked: the first octet (FIN, RSV, opcode) and the payload.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    /// The key that a client masks with, where any key will do.
    pub const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

    pub fn new(first: u8, payload: impl AsRef<[u8]>) -> Self {
        Self {
            first,
            payload: payload.as_ref().to_vec(),
        }
    }

    pub fn text(payload: impl AsRef<[u8]>) -> Self {
        Self::new(FIN | TEXT, payload)
    }

    pub fn binary(payload: impl AsRef<[u8]>) -> Self {
        Self::new(FIN | BINARY, payload)
    }

    pub fn close(code: u16, reason: &str) -> Self {
        Self::new(CLOSE, [&code.to_be_bytes(), reason.as_bytes()].concat())
    }

    pub fn is_last(&self) -> bool {
        self.first & FIN != 0
    }

    pub fn opcode(&self) -> u8 {
        self.first & 0xF
    }

    /// Returns the code and the reason of a Close, or `None` if it is empty.
    pub fn code_and_reason(&self) -> Option<(u16, &str)> {
        let (code, reason) = self.payload.split_first_chunk()?;
        let reason = str::from_utf8(reason).expect("a reason is UTF-8");
        Some((u16::from_be_bytes(*code), reason))
    }

    // ---- Written ----------------------------------------------------------------------------------

    /// Encodes the frame as `sender` must write it: a client masks, a server does not (§5.1).
    pub fn from(&self, sender: Role) -> Vec<u8> {
        self.encode((sender == Role::Client).then_some(Self::KEY))
    }

    pub fn encode(&self, key: Option<[u8; 4]>) -> Vec<u8> {
        encode(self.first, &self.payload, key)
    }

    // ---- Read -------------------------------------------------------------------------------------

    /// Reads the frame at the front of `bytes`. Returns it with its length there, or `None` if it is not complete.
    /// The test fails if `sender` must not write the frame like that.
    pub fn read(bytes: &[u8], sender: Role) -> Option<(Self, usize)> {
        let header = Header::read(bytes).expect("a header by §5.2")?;
        assert_eq!(
            header.key.is_some(),
            sender == Role::Client,
            "a client masks, a server does not"
        );
        let end = header.size + usize::try_from(header.len).unwrap();
        let mut payload = bytes.get(header.size..end)?.to_vec();
        mask(&mut payload, header.key.unwrap_or_default());
        let first = header.first;
        Some((Self { first, payload }, end))
    }

    /// Reads all frames of `bytes`, which must end with a complete frame.
    pub fn read_all(mut bytes: &[u8], sender: Role) -> Vec<Self> {
        let mut frames = Vec::new();
        while !bytes.is_empty() {
            let (frame, len) = Self::read(bytes, sender).expect("whole frames");
            frames.push(frame);
            bytes = &bytes[len..];
        }
        frames
    }

    /// Reads all frames of `bytes` as [`Frame::read_all`] does, on a connection without compression: RSV1 is 0 in
    /// all of them (§5.2).
    pub fn read_all_plain(bytes: &[u8], sender: Role) -> Vec<Self> {
        let frames = Self::read_all(bytes, sender);
        let is_plain = |frame: &Self| frame.first & RSV1 == 0;
        assert!(frames.iter().all(is_plain), "RSV1 is set");
        frames
    }
}

/// Encodes frames as `sender` must write them, one after the other.
pub fn wire(frames: &[Frame], sender: Role) -> Vec<u8> {
    frames.iter().flat_map(|frame| frame.from(sender)).collect()
}

/// Encodes a frame, valid or not.
pub fn encode(first: u8, payload: &[u8], key: Option<[u8; 4]>) -> Vec<u8> {
    let mut bytes = header(first, payload.len() as u64, key);
    let start = bytes.len();
    bytes.extend_from_slice(payload);
    mask(&mut bytes[start..], key.unwrap_or_default());
    bytes
}

/// Encodes the header alone, with any announced length, in its shortest form.
pub fn header(first: u8, len: u64, key: Option<[u8; 4]>) -> Vec<u8> {
    let masked = if key.is_some() { 0x80 } else { 0 };
    let mut bytes = vec![first];
    match len {
        0..=125 => bytes.push(masked | len as u8),
        126..=65_535 => {
            bytes.push(masked | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        _ => {
            bytes.push(masked | 127);
            bytes.extend(len.to_be_bytes());
        }
    }
    bytes.extend(key.into_iter().flatten());
    bytes
}

/// Masks or unmasks a payload. §5.3: "transformed-octet-i = original-octet-i XOR masking-key-octet-j", j = i MOD 4.
pub fn mask(payload: &mut [u8], key: [u8; 4]) {
    for (i, octet) in payload.iter_mut().enumerate() {
        *octet ^= key[i % 4];
    }
}

/// The content of a header.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Header {
    /// FIN, RSV and the opcode.
    pub first: u8,
    pub key: Option<[u8; 4]>,
    /// The announced length of the payload, in octets.
    pub len: u64,
    /// The length of the header itself, in octets.
    pub size: usize,
}

impl Header {
    /// Reads the header at the front of `bytes`. Returns `None` if it is not complete, and a fault as soon as the
    /// octet has come that has it.
    pub fn read(bytes: &[u8]) -> Result<Option<Self>, ProtocolError> {
        let Some(&first) = bytes.first() else {
            return Ok(None);
        };
        let opcode = first & 0xF;
        let is_control = opcode >= 8;
        if first & 0x30 != 0 {
            return Err(ProtocolError::ReservedBits);
        }
        if !matches!(opcode, 0..=2 | 8..=10) {
            return Err(ProtocolError::Opcode(opcode));
        }
        if is_control && first & FIN == 0 {
            return Err(ProtocolError::FragmentedControl);
        }
        let Some(&second) = bytes.get(1) else {
            return Ok(None);
        };
        let short = second & 0x7F;
        if is_control && short > 125 {
            return Err(ProtocolError::ControlTooLong);
        }
        let (long, least) = match short {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        let Some(octets) = bytes.get(2..2 + long) else {
            return Ok(None);
        };
        let number = octets.iter().fold(0, |n, octet| n << 8 | u64::from(*octet));
        let len = if long == 0 { short.into() } else { number };
        if len < least || len >> 63 != 0 {
            return Err(ProtocolError::Length);
        }
        let mut size = 2 + long;
        let mut key = None;
        if second & 0x80 != 0 {
            let Some(octets) = bytes[size..].first_chunk() else {
                return Ok(None);
            };
            key = Some(*octets);
            size += 4;
        }
        Ok(Some(Self {
            first,
            key,
            len,
            size,
        }))
    }
}

/// Returns the masking key of each frame in `bytes`, all written by a client.
pub fn keys(mut bytes: &[u8]) -> Vec<[u8; 4]> {
    let mut keys = Vec::new();
    while let Some(header) = Header::read(bytes).expect("a header by §5.2") {
        keys.push(header.key.expect("a client masks"));
        bytes = &bytes[header.size + usize::try_from(header.len).unwrap()..];
    }
    assert!(bytes.is_empty(), "half a header");
    keys
}
