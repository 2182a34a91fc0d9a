//! The acts of two ends, as data. `play` performs them on each binding.

use std::time::Duration;

use bind::proto::{Config, Kind, Message};

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The number of bytes that fit between the ends, in each direction.
    pub(crate) capacity: usize,
    /// Changes the configurations of the client and the server. Times are given in this unit.
    pub(crate) configure: fn(&mut Config, &mut Config, Duration),
    /// The subprotocols that the client offers.
    pub(crate) offers: &'static [&'static str],
    pub(crate) answer: Answer,
    /// Whether the calls of the opening handshake fail, instead of later ones.
    pub(crate) opening: bool,
    /// Whether some messages may not arrive even if nothing fails.
    pub(crate) lossy: bool,
    pub(crate) client: Script,
    pub(crate) server: Script,
}

/// The server's answer to the request.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Open,
    Speaks(&'static str),
    /// An impossible answer first, and then a correct one.
    Corrects(&'static str),
    Refuses(u16, &'static str),
    Drops,
}

#[derive(Clone, Copy)]
pub(crate) enum Script {
    Whole(&'static [Act]),
    /// The two halves, used at the same time, with clones of the write half.
    Split(&'static [Act], &'static [&'static [Act]]),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Send(Body),
    Feed(Body),
    TrySend(Body),
    /// Sends a message uncompressed.
    Plain(Body),
    Prepared(Body),
    /// Sends a message in pieces, with `send_chunk`.
    Chunks(&'static [usize]),
    /// Sends a message in pieces, with `stream`.
    Stream(&'static [usize]),
    /// Sends pieces with `stream`, and drops the guard.
    Leave(&'static [usize]),
    /// Sends the first piece of a message with `send_chunk`.
    Begin(usize),
    Flush,
    Ping,
    Pong,
    /// Receives this many messages.
    Recv(usize),
    /// Receives this many messages with `recv_chunk`.
    Chunked(usize),
    /// Receives events until a Ping, a Pong or a Close.
    UntilPing,
    UntilPong,
    UntilClose,
    /// Sleeps for this many units of time.
    Sleep(u32),
    Close,
    /// Closes without a code.
    CloseBare,
    Finish,
    Abort,
    Drop,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Body {
    Text(usize),
    Binary(usize),
}

impl Body {
    /// Returns the message that a writer sends with this number.
    pub(crate) fn message(self, writer: usize, number: usize) -> Message {
        match self {
            Self::Text(len) => {
                let pattern = format!("message {number} of writer {writer}; ");
                let mut text = pattern.repeat(len / pattern.len() + 1);
                text.truncate(len);
                text.into()
            }
            Self::Binary(len) => {
                let mut state = (writer * 977 + number * 31 + len + 1) as u32;
                let noise = std::iter::repeat_with(|| {
                    state ^= state << 13;
                    state ^= state >> 17;
                    state ^= state << 5;
                    state as u8
                });
                noise.take(len).collect::<Vec<u8>>().into()
            }
        }
    }
}

impl Act {
    /// Returns what the peer receives of this act.
    pub(crate) fn body(self) -> Option<Body> {
        match self {
            Self::Send(body)
            | Self::Feed(body)
            | Self::TrySend(body)
            | Self::Plain(body)
            | Self::Prepared(body) => Some(body),
            Self::Chunks(lens) | Self::Stream(lens) => Some(Body::Text(lens.iter().sum())),
            _ => None,
        }
    }
}

impl Script {
    /// Returns the messages that each writer sends.
    pub(crate) fn messages(self) -> Vec<Vec<Message>> {
        let writers = match &self {
            Self::Whole(acts) => std::slice::from_ref(acts),
            Self::Split(_, writers) => *writers,
        };
        let of_writer = |(writer, acts): (usize, &&'static [Act])| {
            let bodies = acts.iter().filter_map(|act| act.body());
            let numbered = bodies.enumerate();
            numbered
                .map(|(number, body)| body.message(writer, number))
                .collect()
        };
        writers.iter().enumerate().map(of_writer).collect()
    }
}

/// The kind of all messages in pieces.
pub(crate) const PIECES: Kind = Kind::Text;
