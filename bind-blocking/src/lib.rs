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
//! # fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use std::{net::TcpListener, sync::Arc, thread};
//!
//! let config = Arc::new(bowline_blocking::Config::default());
//! let listener = TcpListener::bind("127.0.0.1:9001")?;
//! loop {
//!     let (stream, _) = listener.accept()?;
//!     let config = config.clone();
//!     thread::spawn(move || {
//!         // Small messages leave at once.
//!         stream.set_nodelay(true)?;
//!         let mut socket = bowline_blocking::accept_any(stream, config)?;
//!         while let Some(message) = socket.recv()? {
//!             socket.feed(message)?;
//!         }
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//! }
//! # }
//! ```
//!
//! Beyond these: [`Connect`] for fields, credentials and TLS of a client; [`accept`] to look at a
//! request before it is answered; [`from_parts`] and [`respond`] below an HTTP server;
//! [`WebSocket::split`] to send and receive in different threads; [`accept_tls`] for a server by TLS;
//! [`Config`] for limits and deadlines; [`BlockingTransport`] for a transport of your own.
//!
//! # Rules
//!
//! * **Keep receiving.** `recv` answers Pings, keeps the connection alive and completes the closing
//!   handshake. An application that only sends splits the socket, and calls [`drain`](ReadHalf::drain) in a
//!   thread of its own.
//! * **No call waits without a bound**: each ends with one of the deadlines of [`Config`], unless you
//!   turn that off.
//! * **The socket's timeouts are ours** once it was given away: `set_read_timeout` is how a call looks at
//!   the time.
//! * **Answer by `feed`** in a loop of `recv`: what is queued leaves before `recv` waits, so the answers to
//!   all that came in one read go out in one write. `send` writes, and waits, once for each.
//! * **`recv` returns `Ok(None)`** after a Close, one `Err` after any other end, and `Ok(None)` from
//!   then on. `closed()` tells how it ended.
//! * A socket that is dropped ends without a Close; [`close`](WebSocket::close) it.
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `tls` (default) | `wss://` and `accept_tls`, by rustls |
//! | `ring` (default), `aws-lc` | the cryptography for it, if the application has not installed one for the process; of both, ring |
//! | `platform` (default) | the root certificates of the platform, to check servers by |
//! | `webpki` | Mozilla's root certificates, compiled in: with `platform`, if that has none |
//! | `idna` | international host names in URLs, such as `ws://münchen.example` |
//! | `deflate` | permessage-deflate (RFC 7692): [`Config::deflate`](proto::Config), `Outgoing::plain` |
//! | `http` | conversions from and to the types of the `http` crate |
//! | `tracing` | events of each connection's life, at level debug |

mod accept;
mod byte_stream;
mod clock;
mod connect;
mod error;
mod outlet;
mod pipe;
mod reading;
mod reunite;
mod run;
mod socket;
mod split;
mod sync;
mod transport;
mod writing;

#[cfg(feature = "tls")]
pub use accept::accept_tls;
pub use accept::{Incoming, NotAccepted, accept, accept_any, from_parts};
#[cfg(feature = "tls")]
pub use bind::rustls;
#[doc(inline)]
pub use bind::{ReuniteError, api::*};
pub use byte_stream::{ByteStream, MessageReader};
pub use clock::{Clock, Time};
pub use connect::{ClientStream, Resolving, Threads, connect, connect_over};
pub use error::TryRecvError;
pub use outlet::Outlet;
pub use pipe::Io;
pub use socket::WebSocket;
pub use split::{ReadHalf, Streaming, WriteHalf};
pub use transport::BlockingTransport;
