#![doc = include_str!("../docs/crate.md")]

mod accept;
mod byte_stream;
#[cfg(feature = "axum")]
mod extract;
#[cfg(feature = "hyper")]
mod hosted;
mod io;
mod runtime;
mod server;
#[cfg(feature = "hyper")]
mod upgrade;

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
#[cfg(feature = "axum")]
pub use extract::{UpgradeRejection, UpgradeRequest, WebSocketUpgrade};
#[cfg(feature = "hyper")]
pub use hosted::Hosted;
pub use io::{Clock, Io};
pub use runtime::{
    ClientStream, Reconnect, ReconnectSender, Tokio, connect, connect_over, connector,
};
pub use server::{Listener, Server, ServerStream, Tracker};
#[cfg(feature = "hyper")]
pub use upgrade::{Pending, Upgrade, upgrade};

/// The examples of the README and of the guides.
#[cfg(doctest)]
mod guides {
    #[cfg(feature = "axum")]
    #[doc = include_str!("../../README.md")]
    struct Readme;
    #[doc = include_str!("../../docs/sending.md")]
    struct Sending;
    #[doc = include_str!("../../docs/endings.md")]
    struct Endings;
    #[doc = include_str!("../../docs/closing.md")]
    struct Closing;
    #[doc = include_str!("../../docs/keep-alive.md")]
    struct KeepAlive;
    #[doc = include_str!("../../docs/limits.md")]
    struct Limits;
    #[doc = include_str!("../../docs/compression.md")]
    struct Compression;
    #[doc = include_str!("../../docs/connecting.md")]
    struct Connecting;
    #[doc = include_str!("../../docs/reconnecting.md")]
    struct Reconnecting;
    #[doc = include_str!("../../docs/proxies.md")]
    struct Proxies;
    #[cfg(feature = "ring")]
    #[doc = include_str!("../../docs/tls.md")]
    struct Tls;
    #[doc = include_str!("../../docs/testing-your-app.md")]
    struct TestingYourApp;
    #[doc = include_str!("../../docs/cancel-safety.md")]
    struct CancelSafety;
    #[cfg(feature = "tls")]
    #[doc = include_str!("../../docs/serving.md")]
    struct Serving;
    #[cfg(feature = "axum")]
    #[doc = include_str!("../../docs/hosting.md")]
    struct Hosting;
}
