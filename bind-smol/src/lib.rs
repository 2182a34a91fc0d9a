//! WebSockets (RFC 6455) for smol, and for whatever has the traits of futures-io.
//!
//! A client:
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! let (mut socket, _response) = bowline_smol::connect("wss://echo.example/").await?;
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
//! let config = Arc::new(bowline_smol::config());
//! let listener = smol::net::TcpListener::bind("127.0.0.1:9001").await?;
//! loop {
//!     let (stream, _) = listener.accept().await?;
//!     let config = config.clone();
//!     let served = smol::spawn(async move {
//!         // Small messages leave at once.
//!         stream.set_nodelay(true)?;
//!         let mut socket = bowline_smol::accept_any(stream, &config).await?;
//!         while let Some(message) = socket.recv().await? {
//!             socket.feed(message).await?;
//!         }
//!         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
//!     });
//!     served.detach();
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
//! * **Everything is cancel-safe**, so `race` and `or` are fine; each method tells what dropping its
//!   future means. The opening handshake is the exception: dropped, it drops the transport.
//! * **Answer by `feed`** in a loop of `recv`: what is queued leaves before `recv` waits, so the answers to
//!   all that came in one read go out in one write. `send` writes, and waits, once for each.
//! * **`recv` returns `Ok(None)`** after a Close, one `Err` after any other end, and `Ok(None)` from
//!   then on. `closed()` tells how it ended.
//! * A socket that is dropped ends without a Close; [`close`](bind::WebSocket::close) it.
//!
//! # Runtimes
//!
//! Any executor will do: nothing is spawned. Timers are async-io's, `connect` dials with async-net and
//! looks names up on the thread pool of `blocking`, all of which are parts of smol and work without it.
//!
//! The streams of async-std work unchanged, in [`accept`], [`connect_over`] and [`from_parts`]. But it
//! is no longer maintained; its successor is smol. Its `TcpStream`, and `smol::Async<TcpStream>`, end
//! the connection only when they are dropped, not when they are closed. A peer that is refused, or that
//! has broken the protocol, may so have to wait for `close_timeout` until it sees the end.
//! `smol::net::TcpStream` has no such fault, and is made `From` an `Async<TcpStream>`.
//!
//! ## The thread that looks at the sockets
//!
//! A thread in `smol::block_on` (`async_io::block_on`) looks at its sockets when its future waits. With
//! `Executor::run` as the future that is when no task can go on, or after 200 of them: with tasks of 30 µs,
//! such as a message of 512 bytes that is compressed with context takeover takes, after 6 ms. async-io has a thread of its own for
//! such cases, which looks 50 µs after the last look, and then interrupts the executor's thread again and again: a server of 200
//! connections on one core came to 100 to 250 switches between threads for each thousand messages, on tokio to 10, and
//! a message took up to twice as long; on two cores, of which the clients needed one, a third longer. A loop of your own,
//! which looks after every 8 tasks, came to 20, and took as long as tokio:
//!
//! ```no_run
//! # use std::sync::Arc;
//! # let executor = Arc::new(smol::Executor::<'static>::new());
//! smol::block_on(async {
//!     loop {
//!         for _ in 0..8 {
//!             executor.tick().await;
//!         }
//!         smol::future::yield_now().await;
//!     }
//! });
//! ```
//!
//! Each look is three system calls, so small messages are no faster by it.
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
#[cfg(feature = "tls")]
pub use futures_rustls::{self, rustls};
pub use io::{Clock, Io};
pub use tls::MaybeTls;

/// A WebSocket over any transport of futures-io.
pub type WebSocket<S> = bind::WebSocket<Io<S>, Clock>;
/// The receiving direction of a [`WebSocket`].
pub type ReadHalf<S> = bind::ReadHalf<Io<S>, Clock>;
/// The sending direction of a [`WebSocket`]; clones send over the same connection.
pub type WriteHalf<S> = bind::WriteHalf<Io<S>, Clock>;
/// A client's request, to be accepted or refused.
pub type Incoming<S> = bind::Incoming<Io<S>, Clock>;
/// A request that was not accepted, and still waits for an answer.
pub type NotAccepted<S> = bind::NotAccepted<Io<S>, Clock>;
