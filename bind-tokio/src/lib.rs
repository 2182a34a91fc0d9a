//! WebSockets (RFC 6455) for tokio.
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
//!
//! A server:
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//!
//! let config = Arc::new(bowline_tokio::config());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let config = config.clone();
//!     tokio::spawn(async move {
//!         // Small messages leave at once.
//!         stream.set_nodelay(true)?;
//!         let mut socket = bowline_tokio::accept_any(stream, &config).await?;
//!         while let Some(message) = socket.recv().await? {
//!             socket.feed(message).await?;
//!         }
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//! }
//! # }
//! ```
//!
//! Beyond these: [`Connect`] for fields, credentials and TLS of a client; [`accept`] to look at a
//! request before it is answered; [`from_upgraded`] and [`respond`] below an HTTP server;
//! [`WebSocket::split`](bind::WebSocket::split) to send and receive in different tasks;
//! [`Config`] for limits and deadlines.
//!
//! # Rules
//!
//! * **Keep receiving.** A pending `recv` answers Pings, keeps the connection alive and completes the
//!   closing handshake. An application that only sends splits the socket, and calls
//!   [`drain`](bind::ReadHalf::drain) in a task of its own.
//! * **Everything is cancel-safe**, so `select!` is fine; each method tells what dropping its future
//!   means. The opening handshake is the exception: dropped, it drops the transport.
//! * **Answer by `feed`** in a loop of `recv`: what is queued leaves before `recv` waits, so the answers to
//!   all that came in one read go out in one write. `send` writes, and waits, once for each.
//! * **`recv` returns `Ok(None)`** after a Close, one `Err` after any other end, and `Ok(None)` from
//!   then on. `closed()` tells how it ended.
//! * A socket that is dropped ends without a Close; [`close`](bind::WebSocket::close) it.
//!
//! # Runtimes
//!
//! No task is spawned, and a transport of your own may be any that has the traits of tokio. But deadlines, and
//! [`Config`] has some by default, are kept by the timers of the runtime that polls: build it with `enable_all`, or
//! `enable_time`, and `enable_io` for [`connect`].
//!
//! * Without timers the first call that has to wait for a deadline panics, and without I/O [`connect`] does: tokio does
//!   not tell beforehand. Outside of a runtime [`connect`], [`connect_over`], [`accept`] and [`accept_any`] return an error, and
//!   a call of a socket that has to wait for a deadline panics.
//! * A socket may move to another runtime and outlive the first: its deadlines go along. Tokio's `TcpStream` does not; once
//!   its runtime has ended it fails, and the call with it, by [`Error::Lost`].
//!
//! # Features
//!
//! | feature | |
//! |---|---|
//! | `tls` (default) | `wss://` by rustls, with the roots of the platform |
//! | `deflate` | permessage-deflate (RFC 7692): [`Config::deflate`](proto::Config), `Outgoing::plain` |
//! | `futures` | `Stream` and `Sink` for the socket and its halves |
//! | `http` | conversions from and to the types of the `http` crate |
//! | `tracing` | events of each connection's life, at level debug |

mod accept;
mod connect;
mod io;
mod tls;

pub use accept::{accept, accept_any, from_parts, from_upgraded};
#[doc(inline)]
pub use bind::{Owner, Streaming, api::*};
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
