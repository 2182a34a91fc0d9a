//! The catalogue's data (see `README.md` beside this file), for the runners of all crates.

#![allow(
    dead_code,
    reason = "each runner includes this file and uses a part of it"
)]

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

use crate::Deflate;

/// All entries of `entries.json`, in its order.
pub(crate) fn load() -> Vec<Entry> {
    serde_json::from_str(include_str!("entries.json")).expect("entries.json is valid")
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) side: Side,
    pub(crate) kind: Kind,
    pub(crate) basis: String,
    pub(crate) what: String,
    /// Run from this table, against the core and against sockets.
    #[serde(default)]
    pub(crate) cases: Vec<Case>,
    /// The function in `proto/tests/catalogue` that runs what a table cannot tell.
    pub(crate) core: Option<String>,
    /// The function in `tests/suite/catalogue` that does.
    pub(crate) wire: Option<String>,
    /// Tests of other files that run it, as `file::name`.
    #[serde(default)]
    pub(crate) tests: Vec<String>,
    /// Why all of it, or the part that is named, is not run yet.
    pub(crate) deferred: Option<String>,
    pub(crate) note: Option<String>,
}

impl Entry {
    /// Whether nothing of it is run anywhere.
    pub(crate) fn is_deferred(&self) -> bool {
        self.cases.is_empty() && self.core.is_none() && self.wire.is_none() && self.tests.is_empty()
    }
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Side {
    Server,
    Client,
    Both,
}

/// A MUST of an RFC, a SHOULD, or our choice where it leaves room.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Must,
    Should,
    Choice,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) what: Option<String>,
    #[serde(default)]
    pub(crate) config: Options,
    to_server: Option<Bytes>,
    to_client: Option<Bytes>,
    /// What to put into the slots of the input, one after the other.
    #[serde(default)]
    each: Vec<Bytes>,
    pub(crate) expect: Expect,
}

impl Case {
    /// Every input that the case describes for our server.
    pub(crate) fn to_server(&self) -> Vec<Vec<u8>> {
        self.inputs(self.to_server.as_ref())
    }

    /// Every input that the case describes for our client.
    pub(crate) fn to_client(&self) -> Vec<Vec<u8>> {
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

/// What differs from the defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) max_frame_size: Option<u64>,
    pub(crate) max_message_size: Option<usize>,
    pub(crate) require_subprotocol: Option<bool>,
    /// The subprotocols that our client offers.
    #[serde(default)]
    pub(crate) subprotocols: Vec<String>,
    /// The only origins that our server accepts.
    pub(crate) origins: Option<Vec<String>>,
    /// Compression, which both ends agree on.
    pub(crate) deflate: Option<Compression>,
}

/// What differs from the defaults of compression.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compression {
    /// In both directions.
    pub(crate) takeover: Option<bool>,
    pub(crate) send_bits: Option<u8>,
    pub(crate) recv_bits: Option<u8>,
}

impl Compression {
    pub(crate) fn options(self) -> Deflate {
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
pub(crate) struct Expect {
    /// What is delivered, all of it, in order.
    #[serde(default)]
    pub(crate) events: Vec<Event>,
    /// The Pongs we send, in order.
    #[serde(default)]
    pub(crate) pongs: Vec<Bytes>,
    /// The Close we send.
    pub(crate) close: Option<Code>,
    /// The one error, by its name. `Lost`, `Refused`, `TimedOut` and `Truncated` are what they say,
    /// all others break a rule.
    pub(crate) error: Option<String>,
    /// The byte at which the error is known, counted from one.
    pub(crate) by: Option<usize>,

    /// The status of our server's answer, or of one of several that an RFC allows.
    pub(crate) status: Option<Status>,
    /// Fields of our server's answer, or of the refusal that our client reports; `null` for those
    /// that must not be in it.
    #[serde(default)]
    pub(crate) fields: BTreeMap<String, Option<String>>,
    /// What our server's application is told.
    pub(crate) target: Option<String>,
    pub(crate) host: Option<String>,
    pub(crate) subprotocols: Option<Vec<String>>,
    /// The length of the refusal's body that our client reports.
    pub(crate) body: Option<usize>,
    /// Whether our client has a connection, and its subprotocol.
    #[serde(default)]
    pub(crate) open: bool,
    pub(crate) subprotocol: Option<String>,
}

/// The Close we send: a code, or the word `empty`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub(crate) enum Code {
    Number(u16),
    Word(Empty),
}

#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Empty {
    Empty,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Status {
    One(u16),
    Any(Vec<u16>),
}

impl Status {
    pub(crate) fn allows(&self, status: u16) -> bool {
        match self {
            Self::One(one) => *one == status,
            Self::Any(any) => any.contains(&status),
        }
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    Text(String),
    Binary(Bytes),
    Ping(Bytes),
    Pong(Bytes),
    Close(Option<Close>),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Close {
    pub(crate) code: u16,
    pub(crate) reason: String,
}

/// Bytes: hexadecimal digits, text, repetitions, and lists of these. `_` is a slot for `each`.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Bytes {
    Hex(String),
    Text { text: String },
    Repeat { repeat: Box<Self>, times: usize },
    Parts(Vec<Self>),
}

impl Bytes {
    pub(crate) fn get(&self) -> Vec<u8> {
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
