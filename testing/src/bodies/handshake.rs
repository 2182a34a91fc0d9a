//! Shared parts of the bodies for both halves of the opening handshake: limits, and input that is cut anywhere.

use std::fmt::Debug;

use arbitrary::Unstructured;
use proto::{Config, Connection, ConnectionError, Event, deflate::Agreed, handshake::Exchange};

use crate::{
    bodies::{
        cuts::Cuts,
        transport::{self, End},
    },
    ends::fill,
};

/// The configuration of either end.
#[derive(Debug)]
pub(crate) struct Setup {
    seed: u8,
    /// Whether limits are so small that short heads reach them.
    tight: bool,
    pub(crate) deflate: bool,
}

impl Setup {
    pub(crate) fn read(input: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(Self {
            seed: input.arbitrary()?,
            tight: input.arbitrary()?,
            deflate: input.arbitrary()?,
        })
    }

    pub(crate) fn config(&self) -> Config {
        let mut config = Config::new(transport::entropy);
        if self.tight {
            config.max_head_size = 400;
            config.max_head_line = 100;
            config.max_head_fields = 8;
            config.max_interim_responses = 2;
            config.max_error_body = 10;
        }
        config.deflate = self.deflate.then(Default::default);
        config
    }

    /// Returns the outcome of `run`, which must be the same with its input whole and in pieces.
    pub(crate) fn in_cuts<T: Debug + PartialEq>(&self, run: impl Fn(Cuts) -> T) -> T {
        let whole = run(Cuts::Whole);
        let cut = run(Cuts::from_seed(self.seed));
        assert_eq!(whole, cut, "cuts change nothing");
        whole
    }
}

/// Lets `half` read `bytes` in pieces, until `poll` has an outcome; then the transport ends. `poll` gets the half,
/// and the bytes that were not read, or `None` after the transport has ended.
pub(crate) fn feed<H, T>(
    half: &mut H,
    exchange: fn(&mut H) -> &mut Exchange,
    bytes: &[u8],
    cuts: Cuts,
    end: End,
    mut poll: impl FnMut(&mut H, Option<&[u8]>) -> Option<T>,
) -> T {
    let mut rest = bytes;
    for mut piece in cuts.pieces(bytes) {
        while !piece.is_empty() {
            // Nothing more is read after the outcome is decided.
            let Some(room) = exchange(half).recv_buf() else {
                break;
            };
            let len = fill(room, piece);
            (piece, rest) = (&piece[len..], &rest[len..]);
            exchange(half).handle_input(len);
            if let Some(outcome) = poll(half, Some(rest)) {
                return outcome;
            }
        }
    }
    end.comes(exchange(half));
    poll(half, None).expect("an end without an outcome")
}

/// Checks the frames in `rest`, which follows the head and may have been read in part with it.
pub(crate) fn converse(
    connection: &mut Connection,
    rest: &[u8],
    cuts: Cuts,
) -> Vec<Result<Event, ConnectionError>> {
    let mut events = Vec::new();
    transport::poll(connection, &mut events);
    transport::hear(connection, rest, cuts, &mut events);
    connection.handle_eof();
    transport::poll(connection, &mut events);
    transport::comparable(&mut events);
    events
}

/// Returns what was agreed on: a subprotocol, and compression.
pub(crate) fn agreed(connection: &Connection) -> (Option<String>, Option<Agreed>) {
    let subprotocol = connection.subprotocol().map(str::to_owned);
    (subprotocol, connection.deflate())
}
