use crate::{CloseFrame, ControlPayload};

/// What a [`Receiver`](crate::Receiver) owes the peer, on its way to the
/// [`Sender`](crate::Sender): at most one Ping, one Pong and one Close.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[must_use = "hand it to the sender"]
pub struct Control {
    pub(crate) ping: Option<ControlPayload>,
    pub(crate) pong: Option<ControlPayload>,
    pub(crate) close: Option<Option<CloseFrame>>,
}

impl Control {
    /// Whether nothing is owed.
    pub const fn is_empty(&self) -> bool {
        self.ping.is_none() && self.pong.is_none() && self.close.is_none()
    }

    /// Adds what is owed since. Of Pongs the latest wins: RFC 6455 §5.5.3, "MAY elect to send a Pong
    /// frame for only the most recently processed Ping frame". Of Closes the first wins, and nothing
    /// is asked of a peer that is told goodbye.
    pub(crate) fn merge(&mut self, newer: Self) {
        self.pong = newer.pong.or_else(|| self.pong.take());
        self.close = self.close.take().or(newer.close);
        self.ping = match self.close {
            Some(_) => None,
            None => newer.ping.or_else(|| self.ping.take()),
        };
    }
}
