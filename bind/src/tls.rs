//! TLS over any transport, by rustls.

mod optional;
#[cfg(feature = "tls")]
mod server;
#[cfg(feature = "tls")]
mod stream;

pub use optional::OptionalTls;
#[cfg(feature = "tls")]
pub use server::accept_tls;
#[cfg(feature = "tls")]
pub(crate) use stream::TlsStream;
