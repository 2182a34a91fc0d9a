//! The errors: one small enum for each activity, whose name says who is at fault.

use core::fmt;

/// The peer broke the protocol or a limit, so the connection has failed (RFC 6455 §7.1.7).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ProtocolError {
    /// A reserved bit is set, but no extension defines it (§5.2).
    ReservedBits,
    /// A reserved opcode (§5.2).
    Opcode(u8),
    /// A control frame without FIN (§5.5).
    FragmentedControl,
    /// A control frame of more than 125 bytes (§5.5).
    ControlTooLong,
    /// A client sent an unmasked frame (§5.1).
    Unmasked,
    /// A server sent a masked frame (§5.1).
    Masked,
    /// A payload length that is not in its shortest form, or whose top bit is set (§5.2).
    Length,
    /// A continuation frame without a message to continue (§5.4).
    Continuation,
    /// A new message before the previous one ended (§5.4).
    Interleaved,
    /// Text, or the reason of a Close, is not UTF-8 (§8.1).
    Utf8,
    /// Compressed data that is not complete, valid DEFLATE (RFC 7692 §7.2.2).
    Deflate,
    /// A Close body of one byte (§5.5.1).
    CloseBody,
    /// A close code that must not appear in a Close (§7.4).
    CloseCode(u16),
    /// A frame is larger than [`Config::max_frame_size`](crate::Config::max_frame_size).
    FrameTooBig {
        /// The limit, in bytes.
        max: u64,
    },
    /// A message became larger than [`Config::max_message_size`](crate::Config::max_message_size).
    MessageTooBig {
        /// The limit, in bytes.
        max: u64,
    },
    /// A streamed message became larger than [`Config::max_stream_size`](crate::Config::max_stream_size).
    StreamTooBig {
        /// The limit, in bytes.
        max: u64,
    },
    /// A message has more frames than [`Config::max_fragments`](crate::Config::max_fragments).
    TooManyFragments {
        /// The limit.
        max: u32,
    },
}

impl fmt::Display for ProtocolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ReservedBits => {
                "the peer set a reserved bit without an extension that defines it"
            }
            Self::Opcode(code) => return write!(f, "the peer sent reserved opcode {code:#x}"),
            Self::FragmentedControl => "the peer fragmented a control frame",
            Self::ControlTooLong => "the peer sent a control frame of more than 125 bytes",
            Self::Unmasked => "the client sent an unmasked frame",
            Self::Masked => "the server sent a masked frame",
            Self::Length => "the peer sent a malformed payload length",
            Self::Continuation => "the peer continued a message that it had not begun",
            Self::Interleaved => "the peer began a message before it ended the last",
            Self::Utf8 => "the peer sent text that is not UTF-8",
            Self::Deflate => "the peer sent compressed data that is not valid DEFLATE",
            Self::CloseBody => "the peer sent a Close whose body is one byte",
            Self::CloseCode(code) => return write!(f, "the peer sent invalid close code {code}"),
            Self::FrameTooBig { max } => {
                return write!(f, "frame exceeds max_frame_size ({max} bytes)");
            }
            Self::MessageTooBig { max } => {
                return write!(f, "message exceeds max_message_size ({max} bytes)");
            }
            Self::StreamTooBig { max } => {
                return write!(f, "streamed message exceeds max_stream_size ({max} bytes)");
            }
            Self::TooManyFragments { max } => {
                return write!(f, "message exceeds max_fragments ({max} frames)");
            }
        })
    }
}

impl core::error::Error for ProtocolError {}

/// The reason why nothing more is received. Exactly one of these ends a connection that did not close.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The peer broke the protocol or a limit. A Close reports this to the peer.
    Protocol(ProtocolError),
    /// The transport ended before the closing handshake did.
    Lost(Lost),
    /// A deadline passed.
    TimedOut(Deadline),
    /// The source of randomness failed, so no frame could be masked.
    Entropy,
}

impl From<ProtocolError> for ConnectionError {
    fn from(error: ProtocolError) -> Self {
        Self::Protocol(error)
    }
}

impl fmt::Display for ConnectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Protocol(error) => error.fmt(f),
            Self::Lost(lost) => lost.fmt(f),
            Self::TimedOut(deadline) => deadline.fmt(f),
            Self::Entropy => EntropyError.fmt(f),
        }
    }
}

impl core::error::Error for ConnectionError {}

/// The way in which the transport was lost.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Lost {
    /// It ended without a Close frame.
    Eof,
    /// The peer, or something between the ends, reset it.
    Reset,
    /// It failed in another way.
    Failed,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Eof => "the transport ended without a closing handshake",
            Self::Reset => "the transport was reset",
            Self::Failed => "the transport failed",
        })
    }
}

impl core::error::Error for Lost {}

/// The deadlines of a connection; each names the option that sets it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Deadline {
    /// [`Config::handshake_timeout`](crate::Config::handshake_timeout)
    Handshake,
    /// [`Config::pong_timeout`](crate::Config::pong_timeout)
    Pong,
    /// [`Config::close_timeout`](crate::Config::close_timeout)
    Close,
    /// [`Config::write_timeout`](crate::Config::write_timeout)
    Write,
    /// [`Config::message_timeout`](crate::Config::message_timeout)
    Message,
    /// [`Config::idle_timeout`](crate::Config::idle_timeout)
    Idle,
}

impl fmt::Display for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Handshake => "the opening handshake took longer than handshake_timeout",
            Self::Pong => "nothing was heard within pong_timeout of a Ping",
            Self::Close => "the closing handshake took longer than close_timeout",
            Self::Write => "the peer took no output for write_timeout",
            Self::Message => "a message took longer than message_timeout",
            Self::Idle => "no data was received for idle_timeout",
        })
    }
}

impl core::error::Error for Deadline {}

/// The reason why a message was not queued: the caller made a mistake, or sending has ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum SendError {
    /// A Close was queued, or the connection ended.
    Closed,
    /// A streamed message is unfinished: send its last chunk first.
    Unfinished,
    /// The chunk is not of the same kind as the message that it continues.
    KindChanged,
    /// The bytes that were written to a text message are not UTF-8 (RFC 6455 §5.6).
    NotUtf8,
    /// The chunk is not to be compressed, but the message that it continues is compressed.
    Compressed,
    /// The message is larger than [`Config::max_send_size`](crate::Config::max_send_size).
    TooBig {
        /// The limit, in bytes.
        max: u64,
    },
    /// The source of randomness failed, so no frame can be masked.
    Entropy,
}

impl From<EntropyError> for SendError {
    fn from(_: EntropyError) -> Self {
        Self::Entropy
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed for sending",
            Self::Unfinished => "a streamed message is unfinished: send its last chunk first",
            Self::NotUtf8 => "the bytes that were written to a text message are not UTF-8",
            Self::KindChanged => "text and binary chunks cannot be mixed in one message",
            Self::Compressed => {
                "an uncompressed chunk cannot continue a compressed message: send the first one uncompressed, too"
            }
            Self::TooBig { max } => {
                return write!(f, "message exceeds max_send_size ({max} bytes)");
            }
            Self::Entropy => return EntropyError.fmt(f),
        })
    }
}

impl core::error::Error for SendError {}

/// The source of randomness failed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EntropyError;

impl fmt::Display for EntropyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the source of randomness failed")
    }
}

impl core::error::Error for EntropyError {}

#[cfg(test)]
mod tests {
    #[test]
    fn errors_are_small() {
        assert!(size_of::<super::ConnectionError>() <= 32);
        assert!(size_of::<super::SendError>() <= 32);
    }
}

/// A control frame's payload would be longer than the protocol allows (RFC 6455 §5.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ControlTooLong {
    /// Its length in bytes.
    pub len: usize,
    /// The most that is allowed, in bytes.
    pub max: usize,
}

impl fmt::Display for ControlTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} bytes are too many for a control frame, which takes at most {}",
            self.len, self.max
        )
    }
}

impl core::error::Error for ControlTooLong {}
