//! The opening handshake (RFC 6455 §4), as two machines without I/O.
//!
//! ```text
//! Client ── request ──→ Server ──→ Incoming ── accept ──→ Connection
//!   │                                  │
//!   │  ←── 101 ─────────────── accept ─┤
//!   │  ←── any other status ── refuse ─┘──→ Exchange, until it is done
//!   ↓
//! Connection, or HandshakeError::Refused
//! ```
//!
//! Each holds an [`Exchange`], which a driver serves as it serves a
//! [`Connection`](crate::Connection): it reads into [`recv_buf`](Exchange::recv_buf), writes
//! [`transmit`](Exchange::transmit), tells the time when [`poll_timeout`](Exchange::poll_timeout) says
//! so, and calls `poll` after each of these. A server that has parsed the request already uses
//! [`respond`].
//!
//! ```
//! # use std::{error::Error, sync::Arc};
//! use bowline_proto::{Config, handshake::{Client, Headers, Request, Server}};
//! use bytes::Buf;
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let config = Config::new(|bytes| { bytes.fill(7); Ok(()) });
//! let config = Arc::new(config);
//! let mut client = Client::new(Request::new("chat.example", "/ws?name=ann")?, &config)?;
//! let mut server = Server::new(&config);
//!
//! // To the server, over any transport:
//! let bytes = client.exchange().transmit().expect("a request");
//! let room = server.exchange().recv_buf().expect("a server that waits");
//! let len = bytes.remaining().min(room.len());
//! bytes.copy_to_slice(&mut room[..len]);
//! client.exchange().handle_sent(true);
//! server.exchange().handle_input(len);
//!
//! let incoming = server.poll()?.expect("a whole request");
//! assert_eq!(incoming.request().query(), Some("name=ann"));
//! let mut ours = incoming.accept(None, Headers::new())?;
//!
//! // And back:
//! let bytes = ours.transmit().expect("a response");
//! let room = client.exchange().recv_buf().expect("a client that waits");
//! let len = bytes.remaining().min(room.len());
//! bytes.copy_to_slice(&mut room[..len]);
//! ours.handle_sent(true);
//! client.exchange().handle_input(len);
//!
//! let (response, mut theirs) = client.poll()?.expect("a whole response");
//! assert_eq!(response.status, 101);
//! theirs.send("hello")?;
//! # Ok(())
//! # }
//! ```

use alloc::string::String;

mod body;
mod check;
mod client;
mod error;
mod exchange;
pub(crate) mod extensions;
mod head;
pub(crate) mod headers;
#[cfg(feature = "http")]
mod http;
mod key;
mod origin;
mod request;
mod response;
mod server;

pub use check::{HttpVersion, respond};
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
    /// How messages are compressed, if they may be (RFC 7692).
    #[cfg(feature = "deflate")]
    pub deflate: Option<crate::deflate::Agreed>,
}
