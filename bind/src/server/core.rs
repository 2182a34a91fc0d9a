//! The state that all connections of a server share.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use proto::{Config, handshake::Response};

use super::{
    ServerError,
    guard::call,
    host::Host,
    registry::Registry,
    route::{Allowed, Decide, OnError, Routes, Subprotocols},
    subnet::Subnet,
};

/// The options of a server that runs, and its connections.
pub(super) struct Core<H: Host> {
    pub(super) config: Arc<Config>,
    pub(super) routes: Routes<H>,
    pub(super) origins: Allowed,
    pub(super) subprotocols: Subprotocols,
    pub(super) decide: Option<Decide>,
    /// The proxies that send a PROXY header, if any may connect.
    pub(super) proxies: Option<Vec<Subnet>>,
    /// The proxies whose `Forwarded` counts.
    pub(super) trusted: Vec<Subnet>,
    pub(super) retry_after: Duration,
    pub(super) on_error: Option<OnError>,
    pub(super) registry: Arc<Registry>,
    /// How many clients are being answered that the server is full.
    pub(super) refusing: AtomicUsize,
}

impl<H: Host> Core<H> {
    /// Whether this peer may connect. If the server expects PROXY headers, only proxies may. A peer at a Unix socket is on
    /// this machine, so it is a proxy if there are any.
    pub(super) fn may_connect(&self, peer: Option<SocketAddr>) -> bool {
        match (&self.proxies, peer) {
            (Some(proxies), Some(peer)) => proxies.iter().any(|it| it.contains(peer.ip())),
            _ => true,
        }
    }

    /// Whether the peer is a proxy whose word about its clients counts.
    pub(super) fn is_proxy(&self, peer: IpAddr) -> bool {
        let mut listed = self.proxies.iter().flatten().chain(&self.trusted);
        listed.any(|it| it.contains(peer))
    }

    pub(super) fn report(&self, error: &ServerError) {
        if let Some(on_error) = &self.on_error {
            let _ = call::<H, _>(|| on_error(error));
        }
    }

    /// Returns the response of a server that is full.
    pub(super) fn full(&self) -> Response {
        self.unavailable("the server has as many connections as it takes")
    }

    /// Returns a 503 that says when to come back (RFC 9110 §15.6.4).
    pub(super) fn unavailable(&self, why: &'static str) -> Response {
        let mut response = Response::text(503, why);
        let seconds = self.retry_after.as_secs().to_string();
        let set = response.headers.push("Retry-After", seconds);
        debug_assert!(set.is_ok(), "digits are valid");
        response
    }
}

/// A client that is being answered that the server is full.
pub(super) struct Refusing<H: Host>(Arc<Core<H>>);

impl<H: Host> Refusing<H> {
    /// The most such clients at a time. Others are closed.
    const MAX: usize = 64;

    /// Returns `None` if there are as many as there may be.
    pub(super) fn begin(core: Arc<Core<H>>) -> Option<Self> {
        let others = core.refusing.fetch_add(1, Ordering::Relaxed);
        let refusing = Self(core);
        (others < Self::MAX).then_some(refusing)
    }

    pub(super) const fn core(&self) -> &Arc<Core<H>> {
        &self.0
    }
}

impl<H: Host> Drop for Refusing<H> {
    fn drop(&mut self) {
        self.0.refusing.fetch_sub(1, Ordering::Relaxed);
    }
}
