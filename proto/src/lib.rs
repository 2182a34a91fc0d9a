//! The WebSocket protocol (RFC 6455), without I/O.
//!
//! *Bytes go in, events come out; messages go in, bytes come out; time is an argument.* This crate
//! opens no socket, reads no clock and draws no randomness of its own.
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
mod control;
mod error;
pub mod frame;
pub mod handshake;
pub mod mask;
mod message;
mod recv;
mod send;
mod time;
mod utf8;

pub use close::{CloseCode, CloseFrame, Closed, ControlTooLong, Initiator};
pub use config::{Config, Role};
pub use connection::{Connection, Event, State};
pub use control::Control;
pub use error::{Deadline, EntropyError, Lost, ProtocolError, RecvError, SendError};
pub use handshake::Negotiated;
pub use message::{Chunk, ControlPayload, Kind, Message};
pub use recv::Receiver;
pub use send::{Sender, Transmit};
pub use time::Instant;
pub use utf8::{InvalidUtf8, Utf8Bytes};
