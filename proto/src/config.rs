use core::time::Duration;

use crate::deflate::options::Deflate;
use crate::error::EntropyError;

/// Which end of the connection this is (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Masks what it sends, refuses masked frames.
    Client,
    /// Refuses unmasked frames, closes the transport first.
    Server,
}

/// Limits, deadlines and policy of a connection.
///
/// Begin with `Config::default()`, change what matters, and share the result between connections: all that
/// take a configuration take an `Arc<Config>` or a `Config`.
///
#[cfg_attr(feature = "getrandom", doc = "```")]
#[cfg_attr(not(feature = "getrandom"), doc = "```ignore")]
/// # use bowline_proto::Config;
/// use std::{sync::Arc, time::Duration};
///
/// let config = Config::default()
///     .max_message_size(16 << 20)
///     .idle_timeout(Duration::from_secs(600))
///     .keep_alive(None);
/// let shared = Arc::new(config);
/// ```
///
/// Sizes are in bytes. A deadline that is `None`, or too long to be represented, never passes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// Largest message to assemble, inflated if it is compressed (1 MiB). Beyond it the connection
    /// fails with 1009.
    pub max_message_size: usize,
    /// Largest frame to accept, as it is on the wire. `None`: only the limit of the pull method applies, which is
    /// [`max_message_size`](Self::max_message_size) or [`max_stream_size`](Self::max_stream_size). Beyond it the
    /// connection fails with 1009.
    pub max_frame_size: Option<u64>,
    /// Largest message to accept piece by piece ([`Pull::Chunks`](crate::Pull::Chunks)), or
    /// to skip (unlimited). Beyond it the connection fails with 1009.
    pub max_stream_size: u64,
    /// Most frames in a message, empty ones counted (16,384). Beyond it the connection fails with
    /// 1008.
    pub max_fragments: u32,
    /// Largest message, or piece of one, to send (unlimited).
    pub max_send_size: usize,
    /// Sends messages in frames of at most this payload, at least one byte (`None`: one frame a
    /// message). A Pong or Close then waits for one such frame, not for a whole message.
    pub send_frame_size: Option<usize>,
    /// Unsent bytes above which a binding waits before it queues more, and to which messages are
    /// framed ahead of the transport (64 KiB).
    pub send_high_water: usize,

    /// Sends a Ping after this long without input, at most twice as long (20 s).
    pub keep_alive: Option<Duration>,
    /// Fails the connection if nothing at all is received for this long after a keep-alive Ping was sent (20 s).
    pub pong_timeout: Option<Duration>,
    /// Ends the connection if the closing handshake takes longer than this, counted from the first
    /// Close, sent or received (5 s).
    pub close_timeout: Option<Duration>,
    /// Fails the connection if output waits this long and not a byte of it is written (20 s).
    pub write_timeout: Option<Duration>,
    /// Fails the connection with 1008 if a message takes longer than this from its first frame to its
    /// last (none).
    pub message_timeout: Option<Duration>,
    /// Closes the connection with 1001 after this long, at most twice as long, without a data frame
    /// from the peer (none).
    pub idle_timeout: Option<Duration>,
    /// Whether the peer's Close is answered at once (true). If not, the application may finish what
    /// it was sending and answers by closing itself.
    pub reply_to_close: bool,

    /// Ends the opening handshake if the peer's head is not complete after this long (10 s).
    pub handshake_timeout: Option<Duration>,
    /// Largest head of a request or response (16 KiB; a request's is answered with 431).
    pub max_head_size: usize,
    /// Longest line in a head (8 KiB; answered with 414 for the request line, 431 for a field).
    pub max_head_line: usize,
    /// Most fields in a head (100; answered with 431).
    pub max_head_fields: usize,
    /// Most interim responses (1xx) that a client skips (16).
    pub max_interim_responses: usize,
    /// How much a client keeps of the body of a refusal (64 KiB).
    pub max_error_body: usize,
    /// Whether a client that offered subprotocols fails if the server picks none (false).
    pub require_subprotocol: bool,

    /// Compresses messages, if the peer agrees (`None`: never). RFC 7692.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,

    /// Fills its argument with unpredictable bytes, for masking keys (RFC 6455 §5.3) and the
    /// handshake's key (§4.1), or fails.
    pub entropy: fn(&mut [u8]) -> Result<(), EntropyError>,
}

impl Config {
    /// The defaults, with `entropy` as the source of randomness. With the feature `getrandom`, which every
    /// binding turns on, `Config::default()` takes the randomness of the operating system.
    pub const fn new(entropy: fn(&mut [u8]) -> Result<(), EntropyError>) -> Self {
        Self {
            max_message_size: 1 << 20,
            max_frame_size: None,
            max_stream_size: u64::MAX,
            max_fragments: 16_384,
            max_send_size: usize::MAX,
            send_frame_size: None,
            send_high_water: 64 << 10,
            keep_alive: Some(Duration::from_secs(20)),
            pong_timeout: Some(Duration::from_secs(20)),
            close_timeout: Some(Duration::from_secs(5)),
            write_timeout: Some(Duration::from_secs(20)),
            message_timeout: None,
            idle_timeout: None,
            reply_to_close: true,
            handshake_timeout: Some(Duration::from_secs(10)),
            max_head_size: 16 << 10,
            max_head_line: 8 << 10,
            max_head_fields: 100,
            max_interim_responses: 16,
            max_error_body: 64 << 10,
            require_subprotocol: false,
            #[cfg(feature = "deflate")]
            deflate: None,
            entropy,
        }
    }

    /// Returns the options of compression, if it is on: never without the feature.
    pub(crate) const fn compression(&self) -> Option<Deflate> {
        #[cfg(feature = "deflate")]
        {
            self.deflate
        }
        #[cfg(not(feature = "deflate"))]
        {
            None
        }
    }
}

/// The defaults, with the randomness of the operating system.
#[cfg(feature = "getrandom")]
impl Default for Config {
    fn default() -> Self {
        Self::new(|buf| getrandom::fill(buf).map_err(|_| EntropyError))
    }
}

/// Each sets the field of its name, and returns the configuration, so that calls can be chained.
macro_rules! setters {
    ($($field:ident: $type:ty,)*) => {$(
        #[doc = concat!("Sets [`", stringify!($field), "`](field@Self::", stringify!($field), ").")]
        #[must_use]
        pub fn $field(mut self, value: $type) -> Self {
            self.$field = value.into();
            self
        }
    )*};
}

impl Config {
    setters! {
        max_message_size: usize,
        max_frame_size: Option<u64>,
        max_stream_size: u64,
        max_fragments: u32,
        max_send_size: usize,
        send_frame_size: Option<usize>,
        send_high_water: usize,
        keep_alive: impl Into<Option<Duration>>,
        pong_timeout: impl Into<Option<Duration>>,
        close_timeout: impl Into<Option<Duration>>,
        write_timeout: impl Into<Option<Duration>>,
        message_timeout: impl Into<Option<Duration>>,
        idle_timeout: impl Into<Option<Duration>>,
        reply_to_close: bool,
        handshake_timeout: impl Into<Option<Duration>>,
        max_head_size: usize,
        max_head_line: usize,
        max_head_fields: usize,
        max_interim_responses: usize,
        max_error_body: usize,
        require_subprotocol: bool,
    }

    #[cfg(feature = "deflate")]
    setters! {
        deflate: impl Into<Option<Deflate>>,
    }
}
