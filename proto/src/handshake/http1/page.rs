//! A request for a page, which a server answers beside its sockets.

use alloc::sync::Arc;

use super::{
    error::RequestError,
    exchange::{Exchange, Remainder},
    response::{Method, Response},
};
use crate::{config::Config, handshake::request::Request};

/// A valid GET or HEAD that does not ask for a WebSocket, to be answered, however long that takes.
///
/// Until then nothing is read or written, and no deadline runs. The answer is the last one on this transport, so
/// further requests that the client sent after this one are dropped.
#[derive(Debug)]
#[must_use = "the client waits for an answer"]
pub struct PageRequest {
    pub(super) request: Arc<Request>,
    pub(super) method: Method,
    pub(super) config: Arc<Config>,
    /// Bytes that the client sent after its head, and the end of the transport if it came.
    pub(super) remainder: Remainder,
}

impl PageRequest {
    /// Returns the client's request. If its target was in absolute form, `Host` is the target's host.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the client's request, to keep it for longer than this.
    pub fn shared_request(&self) -> Arc<Request> {
        self.request.clone()
    }

    /// Whether the method is HEAD, which asks for the header fields of the page alone (RFC 9110 §9.3.2).
    pub fn is_head(&self) -> bool {
        self.method == Method::Head
    }

    /// Answers with `response`. Serve the returned exchange until it [`is_done`](Exchange::is_done).
    ///
    /// `Connection`, `Content-Length` and `Transfer-Encoding` are set to what is needed. Pass the same response for
    /// a HEAD as for a GET: the length is announced, and the body is not sent. A status below 200 or above 599 cannot
    /// answer a request, so it is sent as 500.
    pub fn respond(self, response: Response) -> Exchange {
        Exchange::refusal(self.config, response, self.method, &self.remainder)
    }

    /// Refuses the request with 426 (RFC 9110 §15.5.22), as [`poll`](super::server::Server::poll) does: there are
    /// only WebSockets at this target.
    pub fn refuse(self) -> Exchange {
        self.respond(RequestError::NoUpgrade.response())
    }
}
