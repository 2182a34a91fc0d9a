//! The differences between other libraries and Bowline, and what the RFC says. Each row is needed by
//! some input of the corpus.

use crate::{End, Mismatch, Peer};

/// A difference of one library.
#[derive(Debug)]
pub struct Row {
    /// The library that differs.
    pub peer: Peer,
    /// The difference.
    pub differs: Differs,
    /// The rule of RFC 6455, and the behaviour of the library.
    pub why: &'static str,
}

/// The kind of a difference.
#[derive(Clone, Copy, Debug)]
pub enum Differs {
    /// It accepts an error with this name in our `ProtocolError`, or finds it later. Its later results
    /// may be anything.
    Passes(&'static str),
    /// It fails, with this text in its error, where we do not.
    Refuses(&'static str),
    /// It reports another close code.
    Tells,
    /// It reports a Close without a code as an end without a Close.
    Hides,
}

use Differs::{Hides, Passes, Refuses, Tells};
use Peer::{Fastwebsockets, Soketto, TokioWebsockets, Tungstenite, Yawc};

const fn row(peer: Peer, differs: Differs, why: &'static str) -> Row {
    Row { peer, differs, why }
}

const CONTROL: &str = "§5.5: control frames \"MUST have a payload length of 125 bytes or less\": \
    we notice at the second byte, it does after the whole length";
const MASKED: &str =
    "§5.1: \"A client MUST close a connection if it detects a masked frame\": not checked";
const UNMASKED: &str = "§5.1: \"The server MUST close the connection upon receiving a frame that is not \
    masked\": not checked";
const LIMIT: &str =
    "§10.4: limits are up to the implementation: it refuses a frame of exactly the limit";
const LENGTH: &str =
    "§5.2: \"the minimal number of bytes MUST be used to encode the length\": not checked";
const UTF8: &str = "§8.1: it \"MUST _Fail the WebSocket Connection_\": we do at the first byte that cannot \
    be valid, it does after the whole message";
const CODE: &str = "§7.4.1: codes that \"MUST NOT be set as a status code in a Close control frame\", and \
    §7.4.2: \"not used\": reported as 1002 instead of as an error";
const NEW: &str = "§7.4.2: codes 1000 to 2999 are \"defined in this protocol, its future revisions, and \
    extensions\": 1014 is registered, and it does not know that";

/// All rows.
pub const ROWS: &[Row] = &[
    row(Fastwebsockets, Passes("ControlTooLong"), CONTROL),
    row(Fastwebsockets, Passes("Masked"), MASKED),
    row(Fastwebsockets, Passes("Unmasked"), UNMASKED),
    row(Fastwebsockets, Refuses("Frame too large"), LIMIT),
    row(Fastwebsockets, Passes("Length"), LENGTH),
    row(
        Fastwebsockets,
        Passes("Interleaved"),
        "§5.4: \"fragments of one message MUST NOT be interleaved\" with another: the second one wins",
    ),
    row(Fastwebsockets, Passes("Utf8"), UTF8),
    row(Fastwebsockets, Refuses("Invalid close code"), NEW),
    row(Soketto, Passes("Masked"), MASKED),
    row(Soketto, Passes("Unmasked"), UNMASKED),
    row(
        Soketto,
        Passes("CloseBody"),
        "§5.5.1: \"If there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer\": half a \
        code is taken as none",
    ),
    row(Soketto, Passes("Length"), LENGTH),
    row(
        Soketto,
        Passes("ControlTooLong"),
        "§5.2: \"the minimal number of bytes MUST be used to encode the length\": a short control frame may say \
        its length in two bytes",
    ),
    row(
        Soketto,
        Passes("Interleaved"),
        "§5.4: \"fragments of one message MUST NOT be interleaved\" with another: it forgets the first",
    ),
    row(Soketto, Passes("Utf8"), "§8.1: left to the application"),
    row(Soketto, Passes("CloseCode"), CODE),
    row(Soketto, Tells, NEW),
    row(
        Soketto,
        Hides,
        "§7.1.5: of a Close without a code \"_The WebSocket Connection Close Code_ is considered to be 1005\"",
    ),
    row(
        Soketto,
        Refuses("unexpected opcode: Continue"),
        "§5.4: \"Control frames … MAY be injected in the middle of a fragmented message\": a Pong there makes \
        it forget the message",
    ),
    row(TokioWebsockets, Passes("Utf8"), UTF8),
    row(Tungstenite, Passes("ControlTooLong"), CONTROL),
    row(Tungstenite, Passes("Length"), LENGTH),
    row(Tungstenite, Passes("CloseCode"), CODE),
    row(Tungstenite, Tells, NEW),
    row(
        Yawc,
        Passes("ReservedBits"),
        "§5.2: RSV1 without an extension, \"the receiving endpoint MUST _Fail\": not checked on control frames",
    ),
    row(Yawc, Passes("Masked"), MASKED),
    row(Yawc, Refuses("Frame too large"), LIMIT),
    row(Yawc, Passes("ControlTooLong"), CONTROL),
    row(Yawc, Passes("Length"), LENGTH),
    row(Yawc, Passes("Utf8"), UTF8),
    row(Yawc, Refuses("Invalid close code"), NEW),
];

impl Mismatch {
    /// Returns the row that explains this difference, if there is one.
    pub fn row(&self) -> Option<&'static Row> {
        let (ours, theirs) = (&self.ours, &self.theirs);
        let has_more = theirs.messages.starts_with(&ours.messages);
        let has_fewer = ours.messages.starts_with(&theirs.messages);
        ROWS.iter().find(|row| {
            row.peer == self.peer
                && match (row.differs, &ours.end, &theirs.end) {
                    (Passes(name), End::Failed(error), _) => error.starts_with(name) && has_more,
                    (Refuses(text), _, End::Failed(error)) => error.contains(text) && has_fewer,
                    (Tells, End::Closed(_), End::Closed(_)) => has_more && has_fewer,
                    (Hides, End::Closed(None), End::Eof) => has_more && has_fewer,
                    _ => false,
                }
        })
    }
}
