//! TLS over any transport, by rustls.

#[cfg(feature = "tls")]
mod client;
mod maybe;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod stream;

#[cfg(feature = "tls")]
pub(crate) use client::client_config;
pub use maybe::MaybeTls;
#[cfg(feature = "tls")]
pub use server::accept_tls;
#[cfg(feature = "tls")]
pub(crate) use stream::TlsStream;
