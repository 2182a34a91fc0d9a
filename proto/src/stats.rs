/// What has passed over a connection since it opened. Counting costs a few instructions for each message, and no memory
/// of its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// What the application received.
    pub received: Traffic,
    /// What was queued to be sent, and how much of it the transport has taken.
    pub sent: Traffic,
    /// How many of the messages, pieces of messages, Pings and Pongs that were queued will never be sent, because
    /// the connection has ended.
    pub dropped: u64,
}

/// What has passed in one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// Whole messages. One that came in pieces counts with its last piece, and one that was skipped does not count.
    pub messages: u64,
    /// The payload of messages, in bytes, uncompressed.
    pub payload: u64,
    /// Bytes that were read from, or written to, the transport: frames with their headers, as they are on the wire,
    /// but no part of the opening handshake. TLS adds to that.
    pub wire: u64,
    /// Pings, those of keep-alive included.
    pub pings: u64,
}
