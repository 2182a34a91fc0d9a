//! The opening handshake (RFC 6455 §4): two state machines without I/O.
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
//! Each holds an [`Exchange`], which a driver serves as it serves a [`Connection`](crate::Connection): it reads
//! into [`recv_buf`](Exchange::recv_buf), writes [`transmit`](Exchange::transmit), passes the time when
//! [`poll_timeout`](Exchange::poll_timeout) asks for it, and calls `poll` after each of these. A server that also
//! serves pages calls [`poll_any`](Server::poll_any), which returns an [`Incoming`] or a [`PageRequest`]. A server that
//! has already parsed the request uses [`respond`]. All of these are built on [`Offer`] and [`Asked`], which work on
//! header fields alone and so also serve handshakes outside HTTP/1.1.
//!
//! ```
//! # use std::{error::Error, sync::Arc};
//! use bowline_proto::{Config, handshake::{Client, Headers, Request, Server}};
//! use bytes::Buf;
//!
//! # fn main() -> Result<(), Box<dyn Error>> {
//! # let config = Config::new(|bytes| { bytes.fill(7); Ok(()) });
//! let config = Arc::new(config);
//! let mut client = Client::new(Request::new("chat.example", "/ws?name=ann")?, config.clone())?;
//! let mut server = Server::new(config.clone());
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

mod answer;
mod credentials;
#[cfg(feature = "deflate")]
mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "handshake/deflate/absent.rs"]
mod deflate;
mod error;
mod extensions;
mod headers;
mod offer;
mod origin;
mod request;

/// The handshake in the bytes of HTTP/1.1.
pub(crate) mod http1 {
    mod body;
    pub(super) mod check;
    pub(super) mod client;
    pub(crate) mod error;
    pub(crate) mod exchange;
    mod head;
    #[cfg(feature = "http")]
    mod http;
    pub(super) mod key;
    pub(super) mod page;
    mod request_line;
    pub(super) mod response;
    pub(crate) mod responses;
    pub(super) mod server;
}

pub use answer::{Answer, Asked};
pub use credentials::{Basic, secrets_match};
pub use error::{AnswerError, Disagreement, OfferError, Refusal};
pub use headers::{FieldValue, Headers, InvalidHeader};
pub use http1::{
    check::{HttpVersion, respond},
    client::Client,
    error::{HandshakeError, RequestError, ResponseError},
    exchange::Exchange,
    page::PageRequest,
    response::Response,
    server::{Arrived, Incoming, NotAccepted, Server},
};
pub use offer::Offer;
pub use origin::Origins;
pub(crate) use origin::has_port;
pub use request::Request;
