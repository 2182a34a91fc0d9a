use std::fmt;

use bind::{Error, proto::Message};

/// The reason for which [`recv_timeout`](crate::WebSocket::recv_timeout) and
/// [`try_recv`](crate::WebSocket::try_recv) return no message.
#[derive(Debug)]
pub enum TryRecvError {
    /// No message came in time. The connection goes on.
    Empty,
    /// The connection has ended; see [`WebSocket::recv`](crate::WebSocket::recv).
    Failed(Error),
}

impl TryRecvError {
    pub(crate) fn of(
        received: Option<Result<Option<Message>, Error>>,
    ) -> Result<Option<Message>, Self> {
        received.ok_or(Self::Empty)?.map_err(Self::Failed)
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no message has come in time"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TryRecvError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Empty => None,
            Self::Failed(error) => error.source(),
        }
    }
}
