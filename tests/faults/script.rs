//! What two ends may do with each other, as data: `play` does it on each binding.

use std::time::Duration;

use bind::proto::{Config, Kind, Message};

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// How many bytes fit between the ends, each way.
    pub(crate) capacity: usize,
    /// Changes the client's configuration and the server's; what takes time takes this unit of it.
    pub(crate) configure: fn(&mut Config, &mut Config, Duration),
    /// What the client offers to speak.
    pub(crate) offers: &'static [&'static str],
    pub(crate) answer: Answer,
    /// The calls of the opening handshake fail, not those behind it.
    pub(crate) opening: bool,
    /// Not everything arrives, even if nothing fails.
    pub(crate) lossy: bool,
    pub(crate) client: Script,
    pub(crate) server: Script,
}

/// What the server does with the request.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Open,
    Speaks(&'static str),
    /// What cannot be answered first, then as it should be.
    Corrects(&'static str),
    Refuses(u16, &'static str),
    Drops,
}

#[derive(Clone, Copy)]
pub(crate) enum Script {
    Whole(&'static [Act]),
    /// The halves at work at once, and clones of the sending one.
    Split(&'static [Act], &'static [&'static [Act]]),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    Send(Body),
    Feed(Body),
    TrySend(Body),
    /// Kept out of compression.
    Plain(Body),
    Prepared(Body),
    /// In pieces, by `send_chunk`.
    Chunks(&'static [usize]),
    /// In pieces, by `stream`.
    Stream(&'static [usize]),
    /// Pieces of one by `stream` that is dropped.
    Leave(&'static [usize]),
    /// The first piece of one, by `send_chunk`.
    Begin(usize),
    Flush,
    Ping,
    Pong,
    /// So many messages.
    Recv(usize),
    /// So many messages, by `recv_chunk`.
    Chunked(usize),
    /// Events until a Ping, a Pong, or a Close.
    UntilPing,
    UntilPong,
    UntilClose,
    /// So many units of time.
    Sleep(u32),
    Close,
    /// Without a code.
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
    /// The message of this number of a writer.
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
    /// What the peer will receive of it.
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
    /// The messages that each writer sends.
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
