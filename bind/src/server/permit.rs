use std::{
    fmt,
    net::SocketAddr,
    sync::{Arc, OnceLock},
};

use proto::{Instant, IntoClose};

use super::{registry::Registry, subnet::Subnet};
use crate::output::{Orders, Place};

/// A connection's permission to use the server. Dropping it makes room for another connection.
pub(super) struct Permit {
    registry: Arc<Registry>,
    id: u64,
    orders: Orders,
    /// The address that it counts for.
    address: OnceLock<Subnet>,
    /// The address of its client and the path, present once it is open.
    client: OnceLock<(Option<SocketAddr>, Box<str>)>,
    /// When it has to close, if its handler has a deadline.
    deadline: OnceLock<Instant>,
    /// Ends the transport, if a thread may be blocked in it.
    kill: Option<Kill>,
}

impl Permit {
    pub(super) fn new(
        registry: Arc<Registry>,
        id: u64,
        address: Option<Subnet>,
        kill: Option<Kill>,
    ) -> Self {
        Self {
            registry,
            id,
            orders: Orders::default(),
            address: address.map_or_else(OnceLock::new, OnceLock::from),
            client: OnceLock::new(),
            deadline: OnceLock::new(),
            kill,
        }
    }

    /// Whether it counts for an address.
    pub(super) fn is_counted(&self) -> bool {
        self.address.get().is_some()
    }

    /// Whether it has become a socket.
    pub(super) fn is_open(&self) -> bool {
        self.client.get().is_some()
    }

    /// Returns when the socket has to close, if its handler has a deadline.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.deadline.get().copied()
    }

    pub(super) const fn id(&self) -> u64 {
        self.id
    }

    pub(super) fn close(&self, frame: impl IntoClose) {
        self.orders.close(frame.into_close());
    }

    pub(super) fn abort(&self) {
        self.orders.abort();
        if let Some(kill) = &self.kill {
            kill();
        }
    }

    /// Counts the connection for the address of its client, which became known later. Returns whether it fits.
    pub(super) fn count(&self, address: Subnet) -> bool {
        let most = self.registry.limits().per_address;
        let fits = self.registry.lock().count(Some(address), most);
        fits && self.address.set(address).is_ok()
    }

    /// Notes that the request was read, so that the connection no longer counts as one in its handshake.
    pub(super) fn heard(&self) {
        self.registry.lock().handshakes.remove(&self.id);
    }

    /// Notes that the socket opens. Returns `false` if the server is stopping.
    pub(super) fn open(&self, now: Instant, client_addr: Option<SocketAddr>, path: &str) -> bool {
        let limit = self.registry.limits().handler;
        let mut state = self.registry.lock();
        if state.drain.is_some() {
            return false;
        }
        let _ = self.client.set((client_addr, path.into()));
        state.handshakes.remove(&self.id);
        state.open += 1;
        if let Some(deadline) = limit.and_then(|(limit, _)| now.checked_add(limit)) {
            let _ = self.deadline.set(deadline);
            state.deadlines.insert((deadline, self.id));
            if state.deadlines.first() == Some(&(deadline, self.id)) {
                drop(state);
                self.registry.wakers.wake_others(None);
            }
        }
        true
    }

    /// Returns the address of the client and the path, as far as they are known.
    pub(super) fn client(&self) -> (Option<SocketAddr>, String) {
        match self.client.get() {
            Some((addr, path)) => (*addr, path.to_string()),
            None => (None, String::new()),
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.id).finish()
    }
}

impl Place for Permit {
    fn orders(&self) -> &Orders {
        &self.orders
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let limits = self.registry.limits();
        let mut state = self.registry.lock();
        state.members.remove(&self.id);
        if self.is_open() {
            state.open -= 1;
        } else {
            state.handshakes.remove(&self.id);
        }
        if let Some(&address) = self.address.get()
            && limits.per_address.is_some()
        {
            state.uncount(address);
        }
        if let (Some(&deadline), Some((_, grace))) = (self.deadline.get(), limits.handler)
            && !state.deadlines.remove(&(deadline, self.id))
            && let Some(last) = deadline.checked_add(grace)
        {
            state.deadlines.remove(&(last, self.id));
        }
        let crowded = state.leaving.len() == Registry::MAX_LEAVING;
        let makes_room = state.leaving.remove(&self.id) && crowded;
        let wakes = makes_room || state.drain.is_some();
        drop(state);
        if wakes {
            self.registry.wakers.wake_others(None);
        }
    }
}

/// Ends a transport in which a thread may be blocked.
pub type Kill = Box<dyn Fn() + Send + Sync>;
