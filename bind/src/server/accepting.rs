//! Accepting connections, and letting them in.

use std::{
    io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use proto::Instant;

use super::{
    ServerError,
    attend::{attend, refuse},
    connection::Reached,
    core::{Core, Refusing},
    host::{Accepted, Host, Listening},
    listen::Door,
    registry::Refused,
    subnet::address_key,
};
use crate::transport::Timer;

/// A listening socket that is served.
pub(super) struct Accepting<H: Host> {
    listener: H::Listener,
    door: Arc<Door>,
    clock: H::Clock,
    /// The next attempt, while the system fails.
    retry_at: Option<Instant>,
    /// The attempts in a row that failed.
    failures: u32,
}

impl<H: Host> Accepting<H> {
    /// The connections that are accepted before other tasks run.
    const MAX: u32 = 64;
    /// The first and the longest time between attempts while the system fails.
    const RETRY: Duration = Duration::from_millis(10);
    const RETRY_MOST: Duration = Duration::from_secs(1);

    pub(super) fn new(host: &H, listener: Listening, door: Arc<Door>) -> io::Result<Self> {
        Ok(Self {
            listener: host.listen(listener)?,
            door,
            clock: host.clock(),
            retry_at: None,
            failures: 0,
        })
    }

    /// Accepts the connections that there are. Never ready.
    pub(super) fn poll(&mut self, core: &Arc<Core<H>>, host: &H, cx: &mut Context<'_>) {
        for _ in 0..Self::MAX {
            if core.registry.is_crowded() {
                return;
            }
            if let Some(at) = self.retry_at {
                if self.clock.poll_until(cx, at).is_pending() {
                    return;
                }
                self.retry_at = None;
            }
            match host.poll_accept(&mut self.listener, cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(accepted)) => {
                    self.failures = 0;
                    core.take_in(host, accepted, &self.door);
                }
                Poll::Ready(Err(error)) => self.fail(core, error),
            }
        }
        cx.waker().wake_by_ref();
    }

    fn fail(&mut self, core: &Core<H>, error: io::Error) {
        // The client has left before it was accepted, or a signal came.
        let passing = [io::ErrorKind::ConnectionAborted, io::ErrorKind::Interrupted];
        if passing.contains(&error.kind()) {
            return;
        }
        // Too many open files, for example. Some will be closed.
        let delay = Self::RETRY.saturating_mul(1 << self.failures.min(7));
        self.retry_at = self.clock.now().checked_add(delay.min(Self::RETRY_MOST));
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            core.report(&ServerError::Accept(error));
        }
    }
}

impl<H: Host> Core<H> {
    /// Lets a connection in, or refuses it.
    fn take_in(self: &Arc<Self>, host: &H, accepted: Accepted<H>, door: &Arc<Door>) {
        let peer = match &accepted {
            Accepted::Tcp(_, peer) => Some(*peer),
            Accepted::Other(_) => None,
        };
        if !self.may_connect(peer) {
            return;
        }
        let counted = peer.filter(|peer| !self.is_proxy(peer.ip()));
        let address = counted.map(|peer| address_key(peer.ip()));
        let host = host.for_connection();
        let io = match accepted {
            Accepted::Tcp(tcp, peer) => Reached::Tcp(host.stream(tcp, &self.config), peer),
            Accepted::Other(other) => Reached::Other(host.other(other, &self.config)),
        };
        let (core, door) = (self.clone(), door.clone());
        match self.registry.admit(address, host.kill()) {
            Ok(permit) => {
                let inside = host.clone();
                host.spawn(Box::pin(attend(core, inside, io, door, permit)));
            }
            Err(Refused::Full) if !door.is_secure() => {
                if let Some(refusing) = Refusing::begin(core) {
                    let inside = host.clone();
                    host.spawn(Box::pin(refuse(refusing, inside, io, door)));
                }
            }
            Err(_) => {}
        }
    }
}
