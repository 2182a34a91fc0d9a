//! The sockets and pages of a server, and their paths.

use std::sync::Arc;

use proto::handshake::{Origins, Response};

use super::{
    ServerError,
    host::{Boxed, Host},
    request::ClientRequest,
};

/// A function of the application that serves a socket.
pub(super) type Handler<H> =
    Arc<dyn Fn(<H as Host>::Socket, ClientRequest) -> Boxed<()> + Send + Sync>;
/// A function of the application that lets a client in or refuses it.
pub(super) type Decide =
    Box<dyn Fn(ClientRequest) -> Boxed<Result<ClientRequest, Response>> + Send + Sync>;
/// A function of the application that answers a request for a page.
pub(super) type Fallback = Box<dyn Fn(ClientRequest) -> Boxed<Response> + Send + Sync>;

/// A function of the application that is told of failures.
pub(super) type OnError = Box<dyn Fn(&ServerError) + Send + Sync>;

/// The sockets and pages of a server.
pub(super) struct Routes<H: Host> {
    sockets: Vec<(String, Handler<H>)>,
    pages: Vec<(String, Response)>,
    pub(super) fallback: Option<Fallback>,
}

impl<H: Host> Routes<H> {
    pub(super) const fn new() -> Self {
        Self {
            sockets: Vec::new(),
            pages: Vec::new(),
            fallback: None,
        }
    }

    pub(super) fn add_socket(&mut self, path: &str, handler: Handler<H>) {
        self.sockets.push((path.to_owned(), handler));
    }

    pub(super) fn add_page(&mut self, path: &str, page: Response) {
        self.pages.push((path.to_owned(), page));
    }

    /// Returns the handler of a path: the one for exactly this path, or else the one for the longest beginning of it.
    pub(super) fn socket(&self, path: &str) -> Option<&Handler<H>> {
        let fitting = self.sockets.iter().filter(|(route, _)| fits(route, path));
        let best = fitting.max_by_key(|(route, _)| (!route.ends_with('*'), route.len()));
        best.map(|(_, handler)| handler)
    }

    /// Returns the page of exactly this path. Nothing is decoded, and `..` means nothing.
    pub(super) fn page(&self, path: &str) -> Option<&Response> {
        let mut pages = self.pages.iter();
        pages.find(|(route, _)| route == path).map(|(_, page)| page)
    }
}

/// Whether a path is that of a route, which may end with `*` for everything that begins so.
fn fits(route: &str, path: &str) -> bool {
    match route.strip_suffix('*') {
        Some(beginning) => path.starts_with(beginning),
        None => route == path,
    }
}

/// The subprotocols of a server.
#[derive(Debug, Default)]
pub(super) struct Subprotocols {
    pub(super) names: Vec<String>,
    /// Whether the server's order decides, and not the client's.
    pub(super) own_order: bool,
}

impl Subprotocols {
    /// Picks one of those that the client `offers`.
    pub(super) fn pick<'a>(&self, mut offers: impl Iterator<Item = &'a str>) -> Option<&'a str> {
        let rank = |offer: &str| self.names.iter().position(|name| name == offer);
        if !self.own_order {
            return offers.find(|offer| rank(offer).is_some());
        }
        let known = offers.filter_map(|offer| Some((rank(offer)?, offer)));
        known.min().map(|(_, offer)| offer)
    }
}

/// The pages that may connect, as a server keeps them: [`Origins`] without a lifetime.
#[derive(Clone, Debug, Default)]
pub enum Allowed {
    /// See [`Origins::SameHost`].
    #[default]
    SameHost,
    /// See [`Origins::Listed`].
    Listed(Vec<String>),
    /// See [`Origins::Any`].
    Any,
}

impl Allowed {
    /// Calls `f` with the same as the core knows it.
    pub fn with<T>(&self, f: impl FnOnce(Origins<'_>) -> T) -> T {
        match self {
            Self::SameHost => f(Origins::SameHost),
            Self::Any => f(Origins::Any),
            Self::Listed(list) => {
                let list: Vec<_> = list.iter().map(String::as_str).collect();
                f(Origins::Listed(&list))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_is_a_path_or_the_beginning_of_paths() {
        assert!(fits("/ws", "/ws") && fits("/*", "/") && fits("/a/*", "/a/b/c"));
        assert!(!fits("/ws", "/ws/") && !fits("/ws", "/") && !fits("/a/*", "/a"));
    }

    #[test]
    fn the_order_of_the_client_or_of_the_server_decides() {
        let mut spoken = Subprotocols {
            names: vec!["v2".to_owned(), "v1".to_owned()],
            own_order: false,
        };
        let offers = ["v0", "v1", "v2"];
        assert_eq!(spoken.pick(offers.into_iter()), Some("v1"));
        spoken.own_order = true;
        assert_eq!(spoken.pick(offers.into_iter()), Some("v2"));
        assert_eq!(spoken.pick(["v0"].into_iter()), None);
    }
}
