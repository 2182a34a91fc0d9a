//! WebSockets (RFC 6455) for blocking sockets and threads, without an async runtime.
//!
//! A client:
//!
//! ```no_run
//! # fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut socket, _response) = bowline_blocking::connect("wss://echo.example/")?;
//! socket.send("hello")?;
//! while let Some(message) = socket.recv()? {
//!     println!("{message:?}");
//! }
//! # Ok(()) }
//! ```
//!
//! A server, with a thread for each client:
//!
//! ```no_run
//! use bowline_blocking::Server;
//!
//! fn main() -> std::io::Result<()> {
//!     let server = Server::bind("127.0.0.1:9001")?.path("/ws", |mut socket, _request| {
//!         while let Ok(Some(message)) = socket.recv() {
//!             let _ = socket.send(message);
//!         }
//!     });
//!     server.serve()
//! }
//! ```
//!
//! See also: [`Connect`] for a client's header fields, credentials and TLS; [`Reconnect`] for a
//! client that connects again when its connection is lost; [`Server`] for limits, pages, proxies and
//! stopping; [`accept`] to look at a request in an accept loop of your own; [`from_parts`] and
//! [`respond`] to run beneath an HTTP server; [`WebSocket::split`] to send and receive in different
//! threads; [`accept_tls`] for a server with TLS; [`Config`] for limits and deadlines;
//! [`BlockingTransport`] for a transport of your own.
//!
//! # Rules
//!
//! * **Keep receiving.** `recv` answers Pings, keeps the connection alive and completes the closing
//!   handshake. An application that only sends should split the socket and call
//!   [`drain`](ReadHalf::drain) in a thread of its own.
//! * **Every call is bounded**: it ends with one of the deadlines of [`Config`], unless you turn that
//!   deadline off.
//! * **The socket's timeouts are ours** once you have passed it in: each call sets the read timeout to
//!   keep its deadlines.
//! * **Answer with `feed`** in a loop of `recv`. `feed` only queues, and `recv` writes the queue before
//!   it waits, so the answers to everything that came in one read go out in one write. `send` writes and
//!   waits for each message.
//! * **`recv` returns `Ok(None)`** after a Close, one `Err` after any other end, and `Ok(None)` from
//!   then on. `closed()` says how the connection ended.
//! * A socket that is dropped ends without a Close; call [`close`](WebSocket::close) first.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `tls` (default) | `wss://` and `accept_tls`, by rustls |
//! | `ring` (default), `aws-lc` | the cryptography for TLS, if the application has not installed its own for the process; with both, ring |
//! | `platform` (default) | the platform's root certificates, by which servers are checked |
//! | `webpki` | Mozilla's root certificates, compiled in; with `platform`, used if the platform has none |
//! | `idna` | international host names in URLs, such as `ws://münchen.example` |
//! | `deflate` | permessage-deflate (RFC 7692): [`Config::deflate`](proto::Config), `Outgoing::uncompressed` |
//! | `http` | conversions from and to the types of the `http` crate |
//! | `tracing` | a span for each connection, and events for its opening, its end, its errors and its Pings, at level debug |

mod accept;
mod byte_stream;
mod clock;
mod connect;
mod error;
mod outlet;
mod pipe;
mod reading;
mod reconnect;
mod reunite;
mod run;
mod server;
mod socket;
mod split;
mod sync;
mod transport;
mod writing;

#[cfg(feature = "tls")]
pub use accept::accept_tls;
pub use accept::{InMemory, Incoming, NotAccepted, accept, accept_any, from_parts, pair};
#[cfg(feature = "tls")]
pub use bind::rustls;
#[doc(inline)]
pub use bind::{ReuniteError, api::*};
pub use byte_stream::{ByteStream, MessageReader};
pub use clock::{Clock, Time};
pub use connect::{ClientStream, Threaded, Threads, connect, connect_over, connector};
pub use error::TryRecvError;
pub use outlet::Outlet;
pub use pipe::Io;
pub use reconnect::{Reconnect, ReconnectSender};
pub use server::{Listener, Server, ServerStream, Tracker};
pub use socket::WebSocket;
pub use split::{ReadHalf, Streaming, WriteHalf};
pub use transport::BlockingTransport;
