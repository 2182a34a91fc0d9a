//! Headers and masking: what is decoded is encoded to the same bytes, at every cut; what is encoded is
//! decoded to the same header; and a reading of RFC 6455 §5.2 that shares no code with ours agrees.

use arbitrary::Unstructured;
use proto::{
    ProtocolError,
    frame::{Header, OpCode},
    mask,
};

/// One input.
pub fn run(data: &[u8]) {
    check_bytes(data);
    let mut input = Unstructured::new(data);
    let _ = check_header(&mut input);
    let _ = check_mask(&mut input);
}

/// Any bytes.
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

/// Any header.
fn check_header(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let opcode = *input.choose(&[
        OpCode::Continuation,
        OpCode::Text,
        OpCode::Binary,
        OpCode::Close,
        OpCode::Ping,
        OpCode::Pong,
    ])?;
    // Lengths of all sizes, not only huge ones.
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

/// Masked in two pieces, and octet by octet as §5.3 has it.
fn check_mask(input: &mut Unstructured<'_>) -> arbitrary::Result<()> {
    let key: [u8; 4] = input.arbitrary()?;
    let at = input.arbitrary::<u8>()?;
    let payload = std::mem::replace(input, Unstructured::new(&[])).take_rest();
    let expected: Vec<u8> = payload
        .iter()
        .enumerate()
        .map(|(i, octet)| octet ^ key[i % 4])
        .collect();
    let mut masked = payload.to_vec();
    let at = usize::from(at).min(payload.len());
    let (front, back) = masked.split_at_mut(at);
    mask::apply(front, key, 0);
    mask::apply(back, key, at);
    assert_eq!(masked, expected, "cut at {at}");
    Ok(())
}

/// A header as §5.2 draws it, bit by bit.
fn read(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProtocolError> {
    let Some(first) = bytes.first() else {
        return Ok(None);
    };
    if first >> 4 & 3 != 0 {
        return Err(ProtocolError::ReservedBits);
    }
    let opcode = match first % 16 {
        0 => OpCode::Continuation,
        1 => OpCode::Text,
        2 => OpCode::Binary,
        8 => OpCode::Close,
        9 => OpCode::Ping,
        10 => OpCode::Pong,
        other => return Err(ProtocolError::Opcode(other)),
    };
    let (fin, is_control) = (*first >= 128, first % 16 >= 8);
    if is_control && !fin {
        return Err(ProtocolError::FragmentedControl);
    }
    let Some(second) = bytes.get(1) else {
        return Ok(None);
    };
    if is_control && second % 128 >= 126 {
        return Err(ProtocolError::ControlTooLong);
    }
    let extended = match second % 128 {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let Some(field) = bytes.get(2..2 + extended) else {
        return Ok(None);
    };
    let len = match extended {
        0 => u64::from(second % 128),
        _ => field
            .iter()
            .fold(0, |len, octet| len * 256 + u64::from(*octet)),
    };
    if extended == 2 && len < 126 || extended == 8 && !(65_536..1 << 63).contains(&len) {
        return Err(ProtocolError::Length);
    }
    let mut size = 2 + extended;
    let mut mask = None;
    if *second >= 128 {
        let Some(key) = bytes.get(size..size + 4) else {
            return Ok(None);
        };
        mask = key.try_into().ok();
        size += 4;
    }
    let header = Header {
        fin,
        rsv1: first >> 6 & 1 != 0,
        opcode,
        mask,
        len,
    };
    Ok(Some((header, size)))
}
