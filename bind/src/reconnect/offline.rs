use std::fmt;

use proto::Outgoing;

use crate::error::Error;

/// The treatment of a message that is sent while there is no connection.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Offline {
    /// The call fails and returns the message.
    #[default]
    Fail,
    /// The call waits for a connection. It must not be made by the task or thread that receives, because that one connects.
    Wait,
    /// The message is queued, and sent after the next `on_connect`. The call fails if the bounds are exceeded.
    Queue {
        /// The most messages.
        messages: usize,
        /// The most payload in bytes.
        bytes: usize,
    },
}

/// The reason why a message was not sent.
#[derive(Debug)]
#[non_exhaustive]
pub enum ReconnectSendError {
    /// There is no connection. Contains the message.
    Disconnected(Outgoing),
    /// There is no connection, and as much is queued as [`Offline::Queue`] allows. Contains the message.
    Full(Outgoing),
    /// There will be no connection any more. Contains the message.
    Ended(Outgoing),
    /// The message was handed to a connection, which failed, or it cannot be sent at all. It is not sent again, because
    /// the peer may have received it.
    Failed(Error),
}

impl fmt::Display for ReconnectSendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Disconnected(_) => f.write_str(
                "there is no connection now: send the message again later, or choose Offline::Wait or Offline::Queue",
            ),
            Self::Full(_) => f.write_str("there is no connection now, and the queue is full"),
            Self::Ended(_) => f.write_str("there is no connection, and no attempt to connect any more"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ReconnectSendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Failed(error) => error.source(),
            _ => None,
        }
    }
}
