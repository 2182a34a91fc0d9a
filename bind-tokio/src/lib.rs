//! WebSockets for tokio.
//!
//! A client:
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut socket, _response) = bowline_tokio::connect("wss://echo.example/").await?;
//! socket.send("hello").await?;
//! while let Some(message) = socket.recv().await? {
//!     println!("{message:?}");
//! }
//! # Ok(()) }
//! ```

mod accept;
mod connect;
mod io;
mod tls;

pub use accept::{accept, accept_any, from_parts, from_upgraded};
pub use bind::{
    Connect, ConnectError, Error, Owner, Streaming, TrySendError, UrlError, config,
    proto::{
        self, Chunk, CloseCode, CloseFrame, Closed, Config, ControlPayload, ControlTooLong,
        Deadline, EntropyError, Event, Initiator, InvalidUtf8, Kind, Lost, Message, Negotiated,
        ProtocolError, Role, SendError, State, Utf8Bytes,
        handshake::{
            AnswerError, HandshakeError, Headers, InvalidHeader, OfferError, Request, RequestError,
            Response, ResponseError, respond,
        },
    },
};
pub use connect::{connect, connect_over};
pub use io::{Clock, Io};
pub use tls::MaybeTls;
#[cfg(feature = "tls")]
pub use tokio_rustls::{self, rustls};

/// A WebSocket over any transport of tokio.
pub type WebSocket<S> = bind::WebSocket<Io<S>, Clock>;
/// The receiving direction of a [`WebSocket`].
pub type ReadHalf<S> = bind::ReadHalf<Io<S>, Clock>;
/// The sending direction of a [`WebSocket`]; clones send over the same connection.
pub type WriteHalf<S> = bind::WriteHalf<Io<S>, Clock>;
/// A client's request, to be accepted or refused.
pub type Incoming<S> = bind::Incoming<Io<S>, Clock>;
/// A request that was not accepted, and still waits for an answer.
pub type NotAccepted<S> = bind::NotAccepted<Io<S>, Clock>;

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
