use std::{fmt, io};

use proto::{ConnectionError, Deadline, EntropyError, Lost, Outgoing, ProtocolError, SendError};

/// The reason why an operation on a socket failed. Each variant says who is at fault.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The peer broke the protocol or a limit, and was sent a Close that says so.
    Protocol(ProtocolError),
    /// The transport was lost before the closing handshake was complete.
    Lost(io::Error),
    /// A deadline passed.
    TimedOut(Deadline),
    /// The source of randomness failed, so no frame can be masked.
    Entropy,
    /// The caller's message cannot be sent.
    Send(SendError),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Lost(error) => write!(f, "connection lost: {error}"),
            Self::TimedOut(deadline) => deadline.fmt(f),
            Self::Entropy => EntropyError.fmt(f),
            Self::Send(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Our message includes that of `error`, so its cause comes next.
            Self::Lost(error) => error.source(),
            _ => None,
        }
    }
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        Self::Send(error)
    }
}

impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        match error {
            ConnectionError::Protocol(error) => Self::Protocol(error),
            ConnectionError::Lost(lost) => Self::Lost(io::Error::new(kind(lost), lost)),
            ConnectionError::TimedOut(deadline) => Self::TimedOut(deadline),
            _ => Self::Entropy,
        }
    }
}

/// Converts to the error that a stream of bytes returns.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error {
            Error::Lost(error) => return error,
            Error::Protocol(_) => io::ErrorKind::InvalidData,
            Error::TimedOut(_) => io::ErrorKind::TimedOut,
            Error::Send(SendError::Closed) => io::ErrorKind::BrokenPipe,
            Error::Send(SendError::NotUtf8) => io::ErrorKind::InvalidData,
            Error::Send(_) => io::ErrorKind::InvalidInput,
            Error::Entropy => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

/// The reason why `try_send` did not queue a message.
#[derive(Debug)]
pub enum TrySendError {
    /// As much is queued as `send_high_water` allows. Contains the message.
    Full(Outgoing),
    /// The message cannot be sent.
    Failed(Error),
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(_) => f.write_str("as much is queued as send_high_water allows"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TrySendError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Full(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

fn kind(lost: Lost) -> io::ErrorKind {
    match lost {
        Lost::Eof => io::ErrorKind::UnexpectedEof,
        Lost::Reset => io::ErrorKind::ConnectionReset,
        Lost::Failed => io::ErrorKind::BrokenPipe,
    }
}

/// Classifies an error of the transport for the protocol.
pub(crate) fn lost(error: &io::Error) -> Lost {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Lost::Eof,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::BrokenPipe => Lost::Reset,
        _ => Lost::Failed,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn errors_are_small() {
        assert!(size_of::<super::Error>() <= 32);
    }
}
