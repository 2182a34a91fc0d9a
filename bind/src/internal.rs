//! Functions and types that our bindings need beyond the API, and some that only our tests need. They may change in any version.

use proto::{Message, Outgoing};

use crate::{
    client::{Environment, Host},
    driver,
    error::Error,
    output,
    socket::WebSocket,
    transport::Transport,
    write_half::WriteHalf,
};

pub use crate::reconnect::{
    link::{Link, Route},
    machine::{Machine, Step},
    outage::outage_of,
};
pub use crate::runtime::refuse_itself;
pub use crate::server::Allowed;
pub use crate::server::proxy_protocol::{ProxyHeader, ProxyHeaderError, Source};
pub use crate::transport::within;

/// Returns what `recv` would return, if that is one of many small messages that came in one read. If this returns
/// `None`, call `recv`.
#[inline]
pub fn recv_small<S: Transport>(socket: &mut WebSocket<S>) -> Option<Message> {
    socket.recv_small()
}

/// Queues a small message as `feed` would, if nothing has to be sent before it. If this returns `false`, call `feed`.
#[inline]
pub fn feed_small<S: Transport>(socket: &mut WebSocket<S>, message: &Outgoing) -> bool {
    socket.feed_small(message)
}

/// Writes and flushes all output, including what the reader owes the peer. This is for a binding whose reader may be
/// blocked. Fails with [`Error::TimedOut`] if the peer takes no output.
pub async fn flush_all<S: Transport>(write: &WriteHalf<S>) -> Result<(), Error> {
    write.flush_all().await
}

/// Frees the memory that this thread keeps for the sockets it runs. A binding whose threads block calls this before a
/// thread waits for long.
pub fn release_thread_memory() {
    driver::release_loan();
    output::release_loan();
    proto::internal::release_thread_memory();
}

/// Returns the URL of the proxy that [`Proxy::from_env`](crate::Proxy::from_env) chooses for a server, if the environment
/// has the variables that `get` returns. A test cannot change the environment of a process that has threads.
pub fn proxy_of(get: impl Fn(&str) -> Option<String>, host: &Host, port: u16) -> Option<String> {
    let environment = Environment::read(get);
    environment.proxy(host, port).map(str::to_owned)
}
