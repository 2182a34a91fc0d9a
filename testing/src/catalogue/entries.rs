//! The catalogue's data (see `tests/catalogue/README.md`), for the runners of all crates.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use proto::deflate::Deflate;

/// Returns all entries of `entries.json`, in order.
pub fn load() -> Vec<Entry> {
    serde_json::from_str(include_str!("../../../tests/catalogue/entries.json"))
        .expect("entries.json is valid")
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub id: String,
    pub side: Side,
    pub kind: Kind,
    pub basis: String,
    pub what: String,
    /// Cases that run from this table, against the core and against sockets.
    #[serde(default)]
    pub cases: Vec<Case>,
    /// The function in `proto/tests/catalogue` that runs what a table cannot describe.
    pub core: Option<String>,
    /// The function in `tests/suite/catalogue` that does the same.
    pub wire: Option<String>,
    /// Tests in other files that run it, as `file::name`.
    #[serde(default)]
    pub tests: Vec<String>,
    /// The reason why all of it, or the named part, is not run yet.
    pub deferred: Option<String>,
    pub note: Option<String>,
}

impl Entry {
    /// Whether none of it is run anywhere.
    pub fn is_deferred(&self) -> bool {
        self.cases.is_empty() && self.core.is_none() && self.wire.is_none() && self.tests.is_empty()
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    Server,
    Client,
    Both,
}

/// A MUST of an RFC, a SHOULD, or our choice where the RFC leaves room.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Must,
    Should,
    Choice,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    pub what: Option<String>,
    #[serde(default)]
    pub config: Options,
    to_server: Option<Bytes>,
    to_client: Option<Bytes>,
    /// The values for the slots of the input, one after the other.
    #[serde(default)]
    each: Vec<Bytes>,
    pub expect: Expect,
}

impl Case {
    /// Returns every input that the case describes for our server.
    pub fn to_server(&self) -> Vec<Vec<u8>> {
        self.inputs(self.to_server.as_ref())
    }

    /// Returns every input that the case describes for our client.
    pub fn to_client(&self) -> Vec<Vec<u8>> {
        self.inputs(self.to_client.as_ref())
    }

    fn inputs(&self, input: Option<&Bytes>) -> Vec<Vec<u8>> {
        match input {
            None => Vec::new(),
            Some(input) if self.each.is_empty() => vec![input.get()],
            Some(input) => self
                .each
                .iter()
                .map(|slot| {
                    let mut bytes = Vec::new();
                    input.write(&mut bytes, Some(slot));
                    bytes
                })
                .collect(),
        }
    }
}

/// The options that differ from the defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Options {
    pub max_frame_size: Option<u64>,
    pub max_message_size: Option<usize>,
    pub require_subprotocol: Option<bool>,
    /// The subprotocols that our client offers.
    #[serde(default)]
    pub subprotocols: Vec<String>,
    /// The only origins that our server accepts.
    pub origins: Option<Vec<String>>,
    /// Compression, which both ends agree on.
    pub deflate: Option<Compression>,
}

/// The options of compression that differ from the defaults.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compression {
    /// Takeover, in both directions.
    pub takeover: Option<bool>,
    pub send_bits: Option<u8>,
    pub recv_bits: Option<u8>,
}

impl Compression {
    pub fn options(self) -> Deflate {
        let mut options = Deflate::default();
        options.send.takeover = self.takeover.unwrap_or(options.send.takeover);
        options.recv.takeover = self.takeover.unwrap_or(options.recv.takeover);
        options.send.bits = self.send_bits.unwrap_or(options.send.bits);
        options.recv.bits = self.recv_bits.unwrap_or(options.recv.bits);
        options
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Everything that is delivered, in order.
    #[serde(default)]
    pub events: Vec<Event>,
    /// The Pongs we send, in order.
    #[serde(default)]
    pub pongs: Vec<Bytes>,
    /// The Close we send.
    pub close: Option<Code>,
    /// The one error, by its name. `Lost`, `Refused`, `TimedOut` and `Truncated` mean what they say; all others are
    /// violations of a rule.
    pub error: Option<String>,
    /// The byte at which the error is known, counted from one.
    pub by: Option<usize>,

    /// The status of our server's answer, or of one of several that an RFC allows.
    pub status: Option<Status>,
    /// Fields of our server's answer, or of the refusal that our client reports; `null` for fields that must not be
    /// present.
    #[serde(default)]
    pub fields: BTreeMap<String, Option<String>>,
    /// The target that our server's application gets.
    pub target: Option<String>,
    pub host: Option<String>,
    pub subprotocols: Option<Vec<String>>,
    /// The length of the refusal's body that our client reports.
    pub body: Option<usize>,
    /// Whether our client has a connection, and its subprotocol.
    #[serde(default)]
    pub open: bool,
    pub subprotocol: Option<String>,
}

/// The Close we send: a code, or the word `empty`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub enum Code {
    Number(u16),
    Word(Empty),
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Empty {
    Empty,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Status {
    One(u16),
    Any(Vec<u16>),
}

impl Status {
    pub fn allows(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Any(any) => any.contains(&status),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Event {
    Text(String),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Close(Option<Close>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    pub code: u16,
    pub reason: String,
}

/// Bytes: hexadecimal digits, text, repetitions, and lists of these. `_` is a slot for `each`.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub enum Bytes {
    Hex(String),
    Text { text: String },
    Repeat { repeat: Box<Self>, times: usize },
    Parts(Vec<Self>),
}

impl Bytes {
    pub fn get(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.write(&mut bytes, None);
        bytes
    }

    fn write(&self, out: &mut Vec<u8>, slot: Option<&Self>) {
        match self {
            Self::Hex(hex) if hex == "_" => slot.expect("a slot has `each`").write(out, None),
            Self::Hex(hex) => {
                assert!(hex.len().is_multiple_of(2), "odd count of digits: {hex}");
                for at in (0..hex.len()).step_by(2) {
                    out.push(u8::from_str_radix(&hex[at..at + 2], 16).expect("digits"));
                }
            }
            Self::Text { text } => out.extend_from_slice(text.as_bytes()),
            Self::Repeat { repeat, times } => out.extend(repeat.get().repeat(*times)),
            Self::Parts(parts) => parts.iter().for_each(|part| part.write(out, slot)),
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.get().escape_ascii())
    }
}
