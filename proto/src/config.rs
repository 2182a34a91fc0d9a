use core::time::Duration;

use crate::deflate::options::Deflate;
use crate::error::EntropyError;

/// Which end of the connection this is (RFC 6455 §5.1).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Role {
    /// Masks its frames, and refuses masked ones.
    Client,
    /// Refuses unmasked frames, and closes the transport first.
    Server,
}

/// The frame that keep-alive sends each time that [`Config::keep_alive`] has passed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum KeepAlive {
    /// A Ping, if nothing was received (RFC 6455 §5.5.2). Its answer proves that the peer is alive, and
    /// [`Config::pong_timeout`] is the deadline for that.
    #[default]
    Ping,
    /// An unsolicited Pong, whatever was sent or received. RFC 6455 §5.5.3: "This serves as a unidirectional
    /// heartbeat." It keeps our direction open where idle connections are cut. The peer does not answer it, so it
    /// neither finds a peer that is gone nor measures latency, and [`Config::pong_timeout`] does nothing. It is sent
    /// once a millisecond at most.
    Pong,
}

/// Limits, deadlines and policy of a connection.
///
/// Start with `Config::default()`, change what matters, and share the result between connections. Everything that takes
/// a configuration takes a `Config` or an `Arc<Config>`.
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
/// A deadline that is `None`, or too long to be represented, never passes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Config {
    /// The largest message to assemble, in bytes; inflated, if it is compressed. Beyond it the connection fails
    /// with 1009. Default: 1 MiB.
    pub max_message_size: usize,
    /// The largest frame to accept, in bytes on the wire. Beyond it the connection fails with 1009. If it is
    /// `None`, only the limit of the pull method applies: [`max_message_size`](field@Self::max_message_size) or
    /// [`max_stream_size`](field@Self::max_stream_size). Default: `None`.
    pub max_frame_size: Option<u64>,
    /// The largest message to receive in chunks ([`Pull::Chunks`](crate::Pull::Chunks)) or to skip, in bytes;
    /// inflated, if it is compressed. Beyond it the connection fails with 1009. Default: unlimited.
    pub max_stream_size: u64,
    /// The most frames of a message, including empty ones. Beyond it the connection fails with 1008. Default:
    /// 16,384.
    pub max_fragments: u32,
    /// The largest message, or piece of one, to send, in bytes. Beyond it the call fails, and the connection stays
    /// open. Default: unlimited.
    pub max_send_size: usize,
    /// Messages are sent in frames of at most this many bytes, at least one. A Pong or Close then waits for one
    /// such frame instead of a whole message. If it is `None`, a message is one frame. Default: `None`.
    pub send_frame_size: Option<usize>,
    /// The unsent bytes above which a binding waits before it queues more. Messages are also framed ahead of the
    /// transport up to this mark. Default: 64 KiB.
    pub send_high_water: usize,

    /// A Ping is sent after this long without input, and at most twice as long. With [`KeepAlive::Pong`] an
    /// unsolicited Pong is sent each time that this long has passed. If it is `None`, neither is sent. Default: 20 s.
    pub keep_alive: Option<Duration>,
    /// Whether keep-alive sends Pings or unsolicited Pongs. Default: `Ping`.
    pub keep_alive_kind: KeepAlive,
    /// The connection fails if nothing at all is received for this long after a keep-alive Ping was sent. Default:
    /// 20 s.
    pub pong_timeout: Option<Duration>,
    /// The connection ends if the closing handshake takes longer than this, counted from the first Close that was
    /// sent or received. Default: 5 s.
    pub close_timeout: Option<Duration>,
    /// The connection fails if output waits this long and no byte of it is written. Default: 20 s.
    pub write_timeout: Option<Duration>,
    /// The connection fails with 1008 if a message takes longer than this from its first frame to its last.
    /// Default: `None`.
    pub message_timeout: Option<Duration>,
    /// The connection closes with 1001 after this long, and at most twice as long, without a data frame from the
    /// peer. Default: `None`.
    pub idle_timeout: Option<Duration>,
    /// Whether the peer's Close is answered at once. If not, the application may finish what it is sending, and
    /// answers by closing. Default: `true`.
    pub reply_to_close: bool,

    /// The opening handshake fails if the peer's head is not complete after this long. Default: 10 s.
    pub handshake_timeout: Option<Duration>,
    /// The largest head of a request or response, in bytes. A larger request is answered with 431. Default: 16 KiB.
    pub max_head_size: usize,
    /// The longest line in a head, in bytes. A longer request line is answered with 414, a longer field with 431.
    /// Default: 8 KiB.
    pub max_head_line: usize,
    /// The most fields in a head. A request with more is answered with 431. Default: 100.
    pub max_head_fields: usize,
    /// The most interim responses (1xx) that a client skips. Default: 16.
    pub max_interim_responses: usize,
    /// The most bytes that a client keeps of the body of a refusal. Default: 64 KiB.
    pub max_error_body: usize,
    /// Whether a client that offered subprotocols fails if the server picks none. Default: `false`.
    pub require_subprotocol: bool,

    /// How messages are compressed if the peer agrees (RFC 7692). If it is `None`, they never are. Default: `None`.
    #[cfg(feature = "deflate")]
    pub deflate: Option<Deflate>,

    /// Fills its argument with unpredictable bytes, or fails. They become masking keys (RFC 6455 §5.3) and the key
    /// of the opening handshake (§4.1). Default: the system's randomness.
    pub entropy: fn(&mut [u8]) -> Result<(), EntropyError>,
}

impl Config {
    /// Returns the defaults, with `entropy` as the source of randomness. With the feature `getrandom`, which every
    /// binding turns on, `Config::default()` uses the randomness of the operating system.
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
            keep_alive_kind: KeepAlive::Ping,
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

/// Returns the defaults, with the randomness of the operating system.
#[cfg(feature = "getrandom")]
impl Default for Config {
    fn default() -> Self {
        Self::new(|buf| getrandom::fill(buf).map_err(|_| EntropyError))
    }
}

/// Makes methods that set the field of their name and return the configuration, so that calls can be chained.
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
        keep_alive_kind: KeepAlive,
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
