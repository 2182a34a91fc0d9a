//! The half of Bowline that every binding shares: one driver, written against three small traits.
//!
//! `bowline-tokio`, `bowline-smol` and `bowline-blocking` implement [`Read`], [`Write`] and [`Timer`] and
//! re-export what a user needs of this crate; use one of them, unless you write a binding. The protocol
//! is in [`proto`]; what is here knows of waiting, of wakers and of time, and of no rule of the protocol.

mod connect;
mod dial;
mod driver;
mod error;
#[cfg(feature = "futures")]
mod futures;
mod handshake;
mod io;
mod lanes;
mod output;
mod read_half;
mod shared;
mod socket;
mod streaming;
mod sync;
#[cfg(feature = "tls")]
mod tls;
mod wakers;
mod write_half;

pub use connect::{Connect, ConnectError, Destination, UrlError, config};
pub use dial::dial;
pub use error::{Error, TrySendError};
pub use handshake::{Incoming, NotAccepted, accept, accept_any, connect};
pub use io::{PeerAddr, Read, Timer, Write};
pub use proto;
pub use read_half::ReadHalf;
pub use socket::WebSocket;
pub use streaming::{Owner, Streaming};
pub use write_half::WriteHalf;

/// Gives back the memory that this thread keeps for the sockets it runs. A binding whose threads wait calls
/// this before one of them waits for long.
#[doc(hidden)]
pub fn release_thread_memory() {
    driver::release_loan();
    output::release_loan();
    proto::release_thread_memory();
}

/// What every binding exports beside its own.
pub mod api {
    pub use proto::{
        self, Chunk, CloseCode, CloseFrame, Closed, Config, ControlPayload, ControlTooLong,
        Deadline, EntropyError, Event, Initiator, InvalidUtf8, Kind, Lost, Message, Negotiated,
        Outgoing, Prepared, ProtocolError, Role, SendError, State, Utf8Bytes,
        handshake::{
            AnswerError, HandshakeError, Headers, HttpVersion, InvalidHeader, OfferError, Request,
            RequestError, Response, ResponseError, respond,
        },
    };

    #[cfg(feature = "deflate")]
    pub use proto::deflate::Deflate;

    pub use crate::{Connect, ConnectError, Error, TrySendError, UrlError, config};
}
