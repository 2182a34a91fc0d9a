//! Headers and masking. A decoded header is encoded to the same bytes, at every cut; an encoded header is decoded
//! to the same header; and a reading of RFC 6455 §5.2 that shares no code with ours agrees.

use arbitrary::Unstructured;
use proto::{
    ProtocolError,
    frame::{Header, OpCode},
    mask,
};

use crate::frames::{self, FIN, RSV1};

/// Runs one input.
pub fn run(data: &[u8]) {
    check_bytes(data);
    let mut input = Unstructured::new(data);
    let _ = check_header(&mut input);
    let _ = check_mask(&mut input);
}

/// Checks any bytes.
fn check_bytes(data: &[u8]) {
    let head = &data[..data.len().min(Header::MAX_LEN)];
    for len in 0..=head.len() {
        assert_eq!(
            Header::decode(&head[..len]),
            read(&head[..len]),
            "{:x?}",
            &head[..len]
        );
    }
    let decoded = Header::decode(data);
    assert_eq!(
        decoded,
        Header::decode(head),
        "what follows a header is nothing to it"
    );
    if let Ok(Some((header, len))) = decoded {
        let mut out = [0; Header::MAX_LEN];
        let written = header.encode(&mut out);
        assert_eq!(&out[..written], &data[..len], "{header:?}");
    }
}

/// Checks any header.
fn check_header(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let opcode = *input.choose(&[
        OpCode::Continuation,
        OpCode::Text,
        OpCode::Binary,
        OpCode::Close,
        OpCode::Ping,
        OpCode::Pong,
    ])?;
    // Lengths of all sizes, because most random ones would be huge.
    let bits = input.int_in_range(0..=62)?;
    let header = Header {
        fin: input.arbitrary()?,
        rsv1: input.arbitrary()?,
        opcode,
        mask: input.arbitrary()?,
        len: input.arbitrary::<u64>()? & (u64::MAX >> 1) >> bits,
    };
    let mut out = [0; Header::MAX_LEN];
    let len = header.encode(&mut out);
    let expected = if opcode.is_control() && !header.fin {
        Err(ProtocolError::FragmentedControl)
    } else if opcode.is_control() && header.len > 125 {
        Err(ProtocolError::ControlTooLong)
    } else {
        Ok(Some((header, len)))
    };
    assert_eq!(Header::decode(&out), expected);
    Ok(())
}

/// Checks masking in two pieces, against §5.3 octet by octet.
fn check_mask(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let key: [u8; 4] = input.arbitrary()?;
    let at = input.arbitrary::<u8>()?;
    let payload = std::mem::replace(input, Unstructured::new(&[])).take_rest();
    let mut expected = payload.to_vec();
    frames::mask(&mut expected, key);
    let mut masked = payload.to_vec();
    let at = usize::from(at).min(payload.len());
    let (front, back) = masked.split_at_mut(at);
    mask::apply(front, key, 0);
    mask::apply(back, key, at);
    assert_eq!(masked, expected, "cut at {at}");
    Ok(())
}

/// Reads the header at the front of `bytes` with the model of the tests.
fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
    let read = frames::Header::read(bytes)?;
    Ok(read.map(|read| {
        let header = Header {
            fin: read.first & FIN != 0,
            rsv1: read.first & RSV1 != 0,
            opcode: match read.first & 0xF {
                0 => OpCode::Continuation,
                1 => OpCode::Text,
                2 => OpCode::Binary,
                8 => OpCode::Close,
                9 => OpCode::Ping,
                _ => OpCode::Pong,
            },
            mask: read.key,
            len: read.len,
        };
        (header, read.size)
    }))
}
