#![doc = include_str!("../docs/crate.md")]

mod accept;
mod byte_stream;
mod io;
mod runtime;
mod server;

#[cfg(feature = "tls")]
pub use accept::accept_tls;
pub use accept::{InMemory, accept, accept_any, from_parts, pair};
#[cfg(feature = "tls")]
pub use bind::rustls;
#[doc(inline)]
pub use bind::{
    Incoming, MessageReader, NotAccepted, Outlet, ReadHalf, ReuniteError, Streaming, WebSocket,
    WriteHalf, api::*,
};
pub use byte_stream::ByteStream;
pub use io::{Clock, Io};
pub use runtime::{
    ClientStream, Reconnect, ReconnectSender, Smol, connect, connect_over, connector,
};
pub use server::{Listener, Server, ServerStream, Tracker};
