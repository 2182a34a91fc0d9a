//! The opening handshake (RFC 6455 §4), as two machines without I/O.
//!
//! ```text
//! Client::new(request) ── request ──→ Server::new ──→ Incoming
//!                                                        │ accept      ──→ Connection
//! Connection ←── poll ←── response ──────────────────────┤
//!      Refused ←─────────────────────────────────────────┘ refuse      ──→ Exchange
//! ```
//!
//! Both hold an [`Exchange`], which a driver serves as it serves a [`Connection`](crate::Connection):
//! it reads into [`recv_buf`](Exchange::recv_buf), writes [`transmit`](Exchange::transmit), tells the
//! time when [`poll_timeout`](Exchange::poll_timeout) says so, and calls `poll` after each of these.
//! A server that has parsed the request already uses [`respond`].

use alloc::string::String;

mod body;
mod check;
mod client;
mod error;
mod exchange;
mod extensions;
mod head;
mod headers;
#[cfg(feature = "http")]
mod http;
mod key;
mod origin;
mod request;
mod response;
mod server;

pub use check::respond;
pub use client::Client;
pub use error::{AnswerError, HandshakeError, OfferError, RequestError, ResponseError};
pub use exchange::Exchange;
pub use headers::{Headers, InvalidHeader};
pub use request::Request;
pub use response::Response;
pub use server::{Incoming, NotAccepted, Server};

/// What both ends agreed on in the opening handshake.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Negotiated {
    /// The subprotocol, if one was picked.
    pub subprotocol: Option<String>,
}
