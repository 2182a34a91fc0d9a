//! One stream of frames, read by us and by others. All come to the same messages and to the same end, or
//! [`table`] says why not.

use std::fmt;

pub mod peers;
mod stream;
pub mod table;

/// Which end reads.
pub use proto::Role;

/// What one implementation makes of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Verdict {
    /// Messages, whether they are text, and what they say.
    pub messages: Vec<(bool, Vec<u8>)>,
    /// What came behind them.
    pub end: End,
}

/// How a stream ends for whoever reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum End {
    /// It breaks a rule. What is told of it is not compared.
    Failed(String),
    /// By a Close, with this code.
    Closed(Option<u16>),
    /// In the middle of a frame, or of a message, or without a Close.
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
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Fastwebsockets,
        Self::Soketto,
        Self::TokioWebsockets,
        Self::Tungstenite,
        Self::Yawc,
    ];
}

/// One input: which end reads, and what.
pub fn run(data: &[u8]) {
    for mismatch in mismatches(data) {
        assert!(mismatch.row().is_some(), "{mismatch}");
    }
}

/// Where somebody differs from us.
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
        // Of a frame that is not all there, one may know already what the other has no time to learn here.
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

/// Whether the stream ends in a frame before which nothing is wrong.
fn ends_in_frame(role: Role, bytes: &[u8]) -> bool {
    last_frame(bytes).is_some_and(|start| peers::ours(role, &bytes[..start]).end == End::Eof)
}

/// Whether the frame in which the stream ends is wrong for us too, once it is there.
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

/// Where the frame begins in which the stream ends; `None` if it ends between two.
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

/// What the header at the front announces, itself included; `None` if it is not all there.
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

/// Two verdicts on one stream.
#[derive(Debug)]
pub struct Mismatch {
    /// Who differs.
    pub peer: Peer,
    /// Which end reads.
    pub role: Role,
    /// What it reads.
    pub bytes: Vec<u8>,
    /// What we make of it.
    pub ours: Verdict,
    /// What the peer makes of it.
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
