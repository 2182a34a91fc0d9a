use std::{fmt, future::poll_fn, net::SocketAddr, sync::Arc};

use proto::IntoClose;

use super::{
    drain::Stop,
    host::Host,
    registry::{Registry, SocketInfo},
};
use crate::{
    socket::WebSocket,
    transport::{Timer, Transport},
    wakers::Key,
};

/// The open sockets of a server: counts them, lists them, closes one of them, and stops them all. Clones are of the same
/// sockets.
///
/// A `Server` has one. An HTTP server that hosts sockets forgets them once they are upgraded, so such a server stops
/// properly only with a tracker of its own, to which each socket is [added](Self::track).
pub struct Tracker<H> {
    host: H,
    pub(super) registry: Arc<Registry>,
}

impl<H: Host + Default> Tracker<H> {
    /// Makes a tracker without sockets.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<H: Host + Default> Default for Tracker<H> {
    fn default() -> Self {
        Self::on(H::default())
    }
}

impl<H: Host> Tracker<H> {
    /// Makes a tracker that waits by means of `host`.
    pub fn on(host: H) -> Self {
        Self {
            host,
            registry: Arc::default(),
        }
    }

    /// Adds a socket, until it ends or is dropped. If the sockets are being stopped already, it is told to close at once.
    pub fn track(&self, socket: &mut impl Tracked, client_addr: Option<SocketAddr>, path: &str) {
        let socket = socket.driven();
        let now = self.host.clock().now();
        match self.registry.admit(None, None) {
            Ok(permit) if permit.open(now, client_addr, path) => socket.attach(permit),
            _ => socket.begin_close(self.registry.farewell()),
        }
    }

    /// Returns how many sockets are open.
    pub fn count(&self) -> usize {
        self.registry.count()
    }

    /// Returns the open sockets, in the order in which they were opened.
    pub fn list(&self) -> Vec<SocketInfo> {
        self.registry.list()
    }

    /// Tells the socket with this number to close. Returns `false` if there is no such socket any more.
    ///
    /// The socket closes as soon as its handler is in a call that waits, and at the latest in the next one.
    pub fn close(&self, id: u64, frame: impl IntoClose) -> bool {
        let permit = self.registry.permit(id);
        permit.inspect(|it| it.close(frame)).is_some()
    }

    /// Ends the transport of the socket with this number, without a Close. Returns `false` if there is no such socket any
    /// more.
    pub fn abort(&self, id: u64) -> bool {
        let permit = self.registry.permit(id);
        permit.inspect(|it| it.abort()).is_some()
    }

    /// Stops: no new connection is let in, each socket is told to close, and what is left at the deadline is ended. Returns
    /// how many connections did not end by themselves, once all have ended. A handler that does not return within a
    /// second after the deadline is not waited for.
    ///
    /// The Closes are sent while something waits here or in `serve`, so wait for the result. Stopping twice is stopping
    /// once: the first deadline counts, and both calls wait.
    pub fn stop(&self, stop: impl Into<Stop>) -> H::Wait<usize> {
        self.registry.stop(stop.into());
        let waits = Waits::new(self.registry.clone());
        let mut clock = self.host.clock();
        self.host.wait(async move {
            poll_fn(|cx| waits.registry.poll_stopped(waits.key, &mut clock, cx)).await
        })
    }
}

/// A socket that a [`Tracker`] can track: the `WebSocket` of any binding.
pub trait Tracked {
    /// The transport.
    type Io: Transport;

    /// Returns the socket of the driver, whose calls follow the orders of the tracker from now on.
    fn driven(&mut self) -> &mut WebSocket<Self::Io>;
}

impl<S: Transport> Tracked for WebSocket<S> {
    type Io = S;

    fn driven(&mut self) -> &mut Self {
        self
    }
}

impl<H: Clone> Clone for Tracker<H> {
    fn clone(&self) -> Self {
        Self {
            host: self.host.clone(),
            registry: self.registry.clone(),
        }
    }
}

impl<H> fmt::Debug for Tracker<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tracker").finish_non_exhaustive()
    }
}

/// A task's place among those that wait for a server to stop.
pub(super) struct Waits {
    pub(super) registry: Arc<Registry>,
    pub(super) key: Key,
}

impl Waits {
    pub(super) fn new(registry: Arc<Registry>) -> Self {
        Self {
            key: registry.wakers.enter(),
            registry,
        }
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.registry.wakers.leave(self.key);
    }
}
