use std::{
    io,
    sync::{Arc, atomic::AtomicUsize},
    task::{Context, Poll},
    time::Duration,
};

use super::{
    Server, accepting::Accepting, core::Core, host::Host, registry::Limits, tracker::Waits,
};

/// A server that runs.
pub(super) struct Serving<H: Host> {
    host: H,
    core: Arc<Core<H>>,
    accepting: Vec<Accepting<H>>,
    waits: Waits,
    clock: H::Clock,
}

impl<H: Host> Serving<H> {
    pub(super) fn new(server: Server<H>) -> io::Result<Self> {
        if let Some(mistake) = server.mistake {
            return Err(mistake);
        }
        let grace = server.config.close_timeout.unwrap_or(Duration::MAX);
        let registry = server.tracker.registry;
        registry.limit(Limits {
            handler: server.handler_deadline.map(|time| (time, grace)),
            ..server.limits
        });
        let host = server.host;
        let mut accepting = Vec::new();
        for (listener, door) in server.listeners {
            accepting.push(Accepting::new(&host, listener, Arc::new(door))?);
        }
        let core = Core {
            config: server.config,
            routes: server.routes,
            origins: server.origins,
            subprotocols: server.subprotocols,
            decide: server.decide,
            proxies: server.proxies,
            trusted: server.trusted,
            retry_after: server.retry_after,
            on_error: server.on_error,
            registry: registry.clone(),
            refusing: AtomicUsize::new(0),
        };
        Ok(Self {
            clock: host.clock(),
            host,
            core: Arc::new(core),
            accepting,
            waits: Waits::new(registry),
        })
    }

    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (registry, key) = (&self.core.registry, self.waits.key);
        if registry.poll_stopping(key, cx).is_ready() {
            self.accepting = Vec::new();
            return registry.poll_stopped(key, &mut self.clock, cx).map(drop);
        }
        for accepting in &mut self.accepting {
            accepting.poll(&self.core, &self.host, cx);
        }
        registry.poll_deadlines(&mut self.clock, cx)
    }
}
