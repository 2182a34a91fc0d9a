/// Counts of everything that passed over a connection since it opened.
///
/// Counting takes a few instructions for each message.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// The messages that the application received.
    pub received: Traffic,
    /// The messages that were queued. `wire` counts only what the transport has taken.
    pub sent: Traffic,
    /// The number of messages, pieces of messages, Pings and Pongs that were queued and will never be sent, because the
    /// connection has ended.
    pub dropped: u64,
}

/// Counts of one direction.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Traffic {
    /// The number of whole messages. A message in pieces counts with its last piece; a skipped message does not count.
    pub messages: u64,
    /// The payload of messages in bytes, uncompressed.
    pub payload: u64,
    /// The bytes that the transport read or wrote: whole frames as they are on the wire. The opening handshake and the
    /// overhead of TLS are not counted.
    pub wire: u64,
    /// The number of Pings, including those of keep-alive.
    pub pings: u64,
}
