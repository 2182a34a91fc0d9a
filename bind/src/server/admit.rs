//! The answers to a client that asks for a page or for a socket.

use std::net::Ipv4Addr;

use proto::handshake::{RequestError, Response};

use super::{
    ServerError,
    connection::Stream,
    core::Core,
    guard::{Guarded, Panicked, call},
    host::{Boxed, Host},
    permit::Permit,
    request::ClientRequest,
    route::Handler,
    subnet::address_key,
};
use crate::{
    handshake::{Incoming, PageRequest},
    transport::{Timer, within},
};

/// The text of a 500, which says nothing about the reason.
pub(super) const FAILED: &str = "the server has failed";

impl<H: Host> Core<H> {
    /// Answers a request that asks for no upgrade.
    pub(super) async fn show(
        &self,
        page: PageRequest<Stream<H>>,
        request: ClientRequest,
        clock: &H::Clock,
    ) {
        let response = match (self.routes.page(request.path()), &self.routes.fallback) {
            (Some(response), _) => response.clone(),
            (None, _) if self.routes.socket(request.path()).is_some() => {
                return page.refuse().await;
            }
            (None, Some(fallback)) => {
                let answer = self.answered(fallback, request, clock).await;
                answer.unwrap_or_else(|failure| failure)
            }
            (None, None) => Response::text(404, "there is nothing at this path"),
        };
        page.respond(response).await;
    }

    /// Waits for an answer of the application, as long as a client may take for its request. Returns a response if the
    /// answer comes too late, or if the application has panicked.
    async fn answered<T>(
        &self,
        ask: impl Fn(ClientRequest) -> Boxed<T>,
        request: ClientRequest,
        clock: &H::Clock,
    ) -> Result<T, Response> {
        let (client_addr, asked) = (request.client_addr, request.request.clone());
        let timeout = self.config.handshake_timeout;
        let deadline = timeout.and_then(|timeout| clock.now().checked_add(timeout));
        let answer = async { Guarded::new(call::<H, _>(|| ask(request))?).await };
        let answer = within(answer, clock.clone(), deadline).await;
        // In blocking nothing interrupts the application, so the answer may come too late.
        let in_time = answer.filter(|_| deadline.is_none_or(|deadline| clock.now() <= deadline));
        let late = || self.unavailable("the server took too long to decide");
        in_time.ok_or_else(late)?.map_err(|Panicked| {
            let path = asked.path().to_owned();
            self.report(&ServerError::Panicked { client_addr, path });
            Response::text(500, FAILED)
        })
    }

    /// Decides whether a client may open a socket. Returns its handler, or the response to refuse with.
    pub(super) async fn admit(
        &self,
        incoming: &Incoming<Stream<H>>,
        request: ClientRequest,
        permit: &Permit,
        clock: &H::Clock,
    ) -> Result<(Handler<H>, ClientRequest), Response> {
        let Some(handler) = self.routes.socket(request.path()).cloned() else {
            return Err(Response::text(404, "there is no socket at this path"));
        };
        if !self.origins.with(|origins| incoming.is_from(origins)) {
            return Err(RequestError::ForeignOrigin.response());
        }
        // A client that comes through a proxy was not counted when the proxy connected. If it is not known, because the proxy
        // has passed on contradictions, the proxy is counted.
        let counted = match (request.client_addr, request.peer_addr) {
            _ if permit.is_counted() => None,
            (Some(client), _) => Some(client.ip()).filter(|client| !self.is_proxy(*client)),
            (None, Some(peer)) => Some(peer.ip()),
            (None, None) => Some(Ipv4Addr::UNSPECIFIED.into()),
        };
        if counted.is_some_and(|counted| !permit.count(address_key(counted))) {
            return Err(self.full());
        }
        let request = match &self.decide {
            None => request,
            Some(decide) => {
                let decision = self.answered(decide, request, clock);
                Box::pin(decision).await??
            }
        };
        if permit.open(clock.now(), request.client_addr, request.path()) {
            Ok((handler, request))
        } else {
            Err(self.unavailable("the server is stopping"))
        }
    }
}
