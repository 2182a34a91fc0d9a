//! The WebSocket protocol (RFC 6455), without I/O.
//!
//! *Bytes go in, events come out; messages go in, bytes come out; time is an argument.* This crate opens no socket,
//! reads no clock and draws no randomness of its own. It is the core of a binding, for any runtime or none.
//! Applications should use a binding, such as `bowline-tokio`.
//!
//! # Four steps
//!
//! A [`Connection`] is one end of a WebSocket. Its driver repeats four steps, in this order:
//!
//! ```
//! use bowline_proto::{Closed, Connection, Event, Instant, Pull, State};
//! use bytes::Buf;
//!
//! /// What a driver must provide.
//! trait Transport {
//!     /// Writes from the front of `bytes`, and returns how many bytes were written.
//!     fn write(&mut self, bytes: &[u8]) -> usize;
//!     /// Reads into `room`. Zero bytes mean the end, `None` means that `deadline` came first.
//!     fn read(&mut self, room: &mut [u8], deadline: Option<Instant>) -> Option<usize>;
//!     /// Ends our direction.
//!     fn shutdown(&mut self);
//!     fn now(&self) -> Instant;
//! }
//!
//! /// Sends back every message, until the connection has ended.
//! fn echo(mut connection: Connection, transport: &mut impl Transport) -> Option<Closed> {
//!     while connection.state() != State::Closed {
//!         // 1. Take what was received. Pings and the Close are answered automatically.
//!         while let Ok(Some(event)) = connection.poll_data(Pull::Messages) {
//!             if let Event::Data(chunk) = event {
//!                 // Fails only if the connection has ended.
//!                 let _ = connection.send(chunk.data);
//!             }
//!         }
//!         // 2. Write what is queued.
//!         while let Some(output) = connection.transmit() {
//!             let written = transport.write(output.chunk());
//!             output.advance(written);
//!             connection.handle_sent(true);
//!         }
//!         if connection.wants_shutdown() {
//!             transport.shutdown();
//!         }
//!         // 3. Read more, but only until the next deadline.
//!         let deadline = connection.poll_timeout();
//!         if let Some(room) = connection.recv_buf() {
//!             match transport.read(room, deadline) {
//!                 Some(0) => connection.handle_eof(),
//!                 Some(len) => connection.handle_input(len),
//!                 None => {}
//!             }
//!         }
//!         // 4. Pass the time.
//!         connection.handle_timeout(transport.now());
//!     }
//!     connection.closed()
//! }
//! #
//! # /// A client that says "hi" and Close 1000, and ends when the server has.
//! # #[derive(Default)]
//! # struct Script { input: &'static [u8], output: Vec<u8>, ended: bool }
//! #
//! # impl Transport for Script {
//! #     fn write(&mut self, bytes: &[u8]) -> usize {
//! #         let len = bytes.len().min(3);
//! #         self.output.extend_from_slice(&bytes[..len]);
//! #         len
//! #     }
//! #     fn read(&mut self, room: &mut [u8], _: Option<Instant>) -> Option<usize> {
//! #         if self.input.is_empty() && !self.ended {
//! #             return None;
//! #         }
//! #         let len = self.input.len().min(5);
//! #         room[..len].copy_from_slice(&self.input[..len]);
//! #         self.input = &self.input[len..];
//! #         Some(len)
//! #     }
//! #     fn shutdown(&mut self) {
//! #         self.ended = true;
//! #     }
//! #     fn now(&self) -> Instant {
//! #         Instant::EPOCH
//! #     }
//! # }
//! #
//! # use bowline_proto::{Config, EntropyError, Negotiated, Role};
//! # let config = std::sync::Arc::new(Config::new(|_| Err(EntropyError)));
//! # let connection = Connection::new(Role::Server, Negotiated::default(), config.clone());
//! # let mut script = Script {
//! #     input: b"\x81\x82\x00\x00\x00\x00hi\x88\x82\x00\x00\x00\x00\x03\xe8",
//! #     ..Script::default()
//! # };
//! # let closed = echo(connection, &mut script).unwrap();
//! # assert_eq!(script.output, b"\x81\x02hi\x88\x02\x03\xe8");
//! # assert_eq!((closed.code, closed.clean), (1000, true));
//! ```
//!
//! The opening handshake comes first. It has two state machines of its own, in [`handshake`]; each returns a
//! `Connection` when it is done. The [`guide`] covers everything else that a binding must know, and
//! `examples/std_echo.rs` is a complete server on blocking sockets in 80 lines.
//!
//! # Four kinds of methods
//!
//! | name | what it is | examples |
//! |---|---|---|
//! | `handle_*` | input from the transport and the clock | [`handle_input`], [`handle_eof`], [`handle_sent`], [`handle_timeout`] |
//! | a verb | a command from the application | [`send`], [`ping`], [`close`], [`abort`] |
//! | `poll_*`, [`transmit`] | output for both | [`poll_data`], [`poll_timeout`] |
//! | all others | getters | [`state`], [`is_full`], [`wants_shutdown`], [`closed`] |
//!
//! # Time is an argument
//!
//! The core knows only the time that was passed to it last, as an [`Instant`] that counts from an epoch of your
//! choice. When [`poll_timeout`] is in the past, it means *pass me the time now*: a deadline has begun whose start
//! is not known yet, or one has passed. This saves a reading of the clock for every message.
//!
//! # Limits
//!
//! Every limit and every deadline is a field of [`Config`], with a default. The core allocates nothing because of
//! an announced length: memory grows with what was received, up to [`max_message_size`](Config::max_message_size)
//! for a message that is assembled. The caller bounds the messages that wait to be sent: stop queueing while
//! [`is_full`] returns true. A peer that breaks a limit gets a Close with the matching code.
//!
//! # `no_std`
//!
//! Without default features the crate needs only `core` and `alloc`. Randomness comes from [`Config::entropy`],
//! which only clients use. The feature `deflate`, which compresses messages (RFC 7692), needs `std`.
//!
//! [`frame::Header`] and [`mask::apply`] are the low level, for programs that build something else on WebSocket
//! frames.
//!
//! [`handle_input`]: Connection::handle_input
//! [`handle_eof`]: Connection::handle_eof
//! [`handle_sent`]: Connection::handle_sent
//! [`handle_timeout`]: Connection::handle_timeout
//! [`send`]: Connection::send
//! [`ping`]: Connection::ping
//! [`close`]: Connection::close
//! [`abort`]: Connection::abort
//! [`transmit`]: Connection::transmit
//! [`poll_data`]: Connection::poll_data
//! [`poll_timeout`]: Connection::poll_timeout
//! [`state`]: Connection::state
//! [`is_full`]: Connection::is_full
//! [`wants_shutdown`]: Connection::wants_shutdown
//! [`closed`]: Connection::closed
#![no_std]
#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]
#![warn(
    clippy::alloc_instead_of_core,
    clippy::std_instead_of_alloc,
    clippy::std_instead_of_core
)]

extern crate alloc;
#[cfg(any(feature = "std", test))]
extern crate std;

mod close;
mod config;
mod connection;
#[cfg(feature = "deflate")]
pub mod deflate;
#[cfg(not(feature = "deflate"))]
#[path = "deflate/absent.rs"]
mod deflate;
mod error;
mod event;
pub mod guide;
pub mod handshake;
mod message;
mod negotiated;
mod recv;
mod send;
mod stats;
mod time;
pub mod tunnel;

/// Memory that is kept for later messages.
mod memory {
    #[cfg(feature = "deflate")]
    pub(crate) mod pool;
    pub(crate) mod spare;
}

mod text {
    pub(crate) mod utf8;
}

mod wire {
    pub mod frame;
    pub mod mask;
}

pub use close::{
    CloseFrame, Closed, Initiator, IntoClose,
    code::{CloseCode, InvalidCloseCode},
};
pub use config::{Config, KeepAlive, Role};
pub use connection::{Connection, State};
pub use error::{
    ConnectionError, ControlTooLong, Deadline, EntropyError, Lost, ProtocolError, SendError,
};
pub use event::{Event, Pull};
pub use message::{Chunk, ControlPayload, Kind, Message};
pub use negotiated::Negotiated;
pub use recv::{Receiver, input::RecvBuf};
pub use send::{
    Sender,
    outgoing::{Outgoing, Prepared},
    transmit::Transmit,
};
pub use stats::{Stats, Traffic};
pub use text::utf8::{InvalidUtf8, Utf8Bytes};
pub use time::Instant;
pub use wire::{frame, mask};

#[doc(hidden)]
pub mod internal;
