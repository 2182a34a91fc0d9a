//! One stream of frames, read by Bowline and by other libraries. All find the same messages and the same
//! end, or [`table`] says why not.

use std::fmt;

pub mod peers;
mod stream;
pub mod table;

/// The end that reads.
pub use proto::Role;

/// The result of one implementation for a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// The messages: whether each is text, and its content.
    pub messages: Vec<(bool, Vec<u8>)>,
    /// The end after these messages.
    pub end: End,
}

/// The end of a stream, as the reader sees it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// The stream breaks a rule. The texts of errors are not compared.
    Failed(String),
    /// The peer sent a Close, with this code.
    Closed(Option<u16>),
    /// The stream ended within a frame or a message, or without a Close.
    Eof,
}

/// Other implementations, in the versions of `fuzz/Cargo.lock`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Peer {
    /// <https://docs.rs/fastwebsockets>
    Fastwebsockets,
    /// <https://docs.rs/soketto>
    Soketto,
    /// <https://docs.rs/tokio-websockets>
    TokioWebsockets,
    /// <https://docs.rs/tungstenite>
    Tungstenite,
    /// <https://docs.rs/yawc>
    Yawc,
}

impl Peer {
    /// All peers.
    pub const ALL: [Self; 5] = [
        Self::Fastwebsockets,
        Self::Soketto,
        Self::TokioWebsockets,
        Self::Tungstenite,
        Self::Yawc,
    ];
}

/// Runs one input: the end that reads, and the bytes.
pub fn run(data: &[u8]) {
    for mismatch in mismatches(data) {
        assert!(mismatch.row().is_some(), "{mismatch}");
    }
}

/// Returns the results that differ from ours.
pub fn mismatches(data: &[u8]) -> Vec<Mismatch> {
    let Some((first, bytes)) = data.split_first() else {
        return Vec::new();
    };
    let role = if first & 1 == 0 {
        Role::Server
    } else {
        Role::Client
    };
    let ours = peers::ours(role, bytes);
    let mut mismatches = Vec::new();
    for peer in Peer::ALL {
        let theirs = peer.read(role, bytes);
        let same_end = match (&ours.end, &theirs.end) {
            (End::Failed(_), End::Failed(_)) => true,
            (ours, theirs) => ours == theirs,
        };
        // If a frame is incomplete, one implementation may see its error before the other can.
        let waits = match (&ours.end, &theirs.end) {
            (End::Failed(_), End::Eof) => ends_in_frame(role, bytes),
            (End::Eof, End::Failed(_)) => fails_when_complete(role, bytes),
            _ => false,
        };
        if !(same_end || waits) || ours.messages != theirs.messages {
            mismatches.push(Mismatch {
                peer,
                role,
                bytes: bytes.to_vec(),
                ours: ours.clone(),
                theirs,
            });
        }
    }
    mismatches
}

/// Whether the stream ends within a frame, and everything before that frame is valid.
fn ends_in_frame(role: Role, bytes: &[u8]) -> bool {
    last_frame(bytes).is_some_and(|start| peers::ours(role, &bytes[..start]).end == End::Eof)
}

/// Whether we also find the last frame wrong once it is complete.
fn fails_when_complete(role: Role, bytes: &[u8]) -> bool {
    let mut bytes = bytes.to_vec();
    for _ in 0..140 {
        if last_frame(&bytes).is_none() {
            break;
        }
        bytes.push(0);
    }
    matches!(peers::ours(role, &bytes).end, End::Failed(_))
}

/// Returns where the frame begins in which the stream ends; `None` if the stream ends between frames.
fn last_frame(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    while start < bytes.len() {
        match frame_size(&bytes[start..]) {
            Some(size) if size <= bytes.len() - start => start += size,
            _ => return Some(start),
        }
    }
    None
}

/// Returns the size of the first frame, header included, as its header announces it; `None` if the
/// header is incomplete.
fn frame_size(bytes: &[u8]) -> Option<usize> {
    let second = bytes.get(1)?;
    let key = if second & 0x80 == 0 { 0 } else { 4 };
    let (len, size) = match second & 0x7f {
        126 => (
            u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?).into(),
            4,
        ),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?), 10),
        len => (len.into(), 2),
    };
    bytes.get(size + key - 1)?;
    Some(
        usize::try_from(len)
            .unwrap_or(usize::MAX)
            .saturating_add(size + key),
    )
}

/// Two different results for one stream.
#[derive(Debug)]
pub struct Mismatch {
    /// The implementation that differs.
    pub peer: Peer,
    /// The end that reads.
    pub role: Role,
    /// The bytes that it reads.
    pub bytes: Vec<u8>,
    /// Our result.
    pub ours: Verdict,
    /// The peer's result.
    pub theirs: Verdict,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            peer,
            role,
            bytes,
            ours,
            theirs,
        } = self;
        write!(
            f,
            "{peer:?} as {role:?} reads {bytes:02x?}\n  ours:   {ours:?}\n  theirs: {theirs:?}"
        )
    }
}
