//! Sockets beneath an HTTP server: the options, the answer to a request of hyper, and the wait for the connection.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bind::{
    WebSocket, from_parts,
    internal::Allowed,
    proto::{
        Config, Negotiated, Role,
        handshake::{self, Headers, RequestError, respond},
    },
};
use hyper::{
    Method, Request, Response, StatusCode, Version,
    body::Bytes,
    http::HeaderMap,
    upgrade::{OnUpgrade, on},
};

use crate::{hosted::Hosted, server::Tracker};

/// How to answer a request that asks for a WebSocket. Pass it to [`upgrade`], and keep it for the next request.
///
/// By default no subprotocol is spoken, only pages of the server itself may connect, and the configuration is
/// [`Config::default`].
///
/// The extractor for axum has the same methods; there `T` is the request.
#[derive(Clone, Debug, Default)]
#[must_use = "options do nothing until a request is answered"]
pub struct Upgrade<T = ()> {
    subprotocols: Vec<String>,
    allowed: Allowed,
    config: Arc<Config>,
    tracker: Option<Tracker>,
    #[cfg_attr(
        not(feature = "axum"),
        expect(dead_code, reason = "there is no request")
    )]
    pub(crate) request: T,
}

impl Upgrade {
    /// Makes the default options.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T> Upgrade<T> {
    /// Sets the subprotocols that the server speaks. The first of the client's offers that is among them is picked; if
    /// there is none, the socket has no subprotocol.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols = names.into_iter().map(S::into).collect();
        self
    }

    /// Lets pages of these origins connect, each written like `https://chat.example`, and no others. See
    /// [`Origins::Listed`](handshake::Origins::Listed).
    ///
    /// By default pages of the server itself may connect ([`Origins::SameHost`](handshake::Origins::SameHost)). List the origins if a proxy changes
    /// `Host`.
    pub fn origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.allowed = Allowed::Listed(origins.into_iter().map(S::into).collect());
        self
    }

    /// Lets every page connect. A browser then sends the user's cookies on behalf of any page, so do not rely on
    /// them (RFC 6455 §10.2).
    pub fn any_origin(mut self) -> Self {
        self.allowed = Allowed::Any;
        self
    }

    /// Sets the configuration of the socket, which many sockets can share. The HTTP server has read the request, so
    /// only [`max_head_fields`](Config::max_head_fields) and [`max_head_line`](Config::max_head_line) of the limits of
    /// the handshake apply.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Adds each socket to `tracker`, which counts, lists and stops them. The HTTP server forgets a connection once it is a
    /// socket, so it does not wait for it when it stops.
    ///
    /// The tracker does not know the address of the client, which only the HTTP server knows.
    pub fn tracker(mut self, tracker: &Tracker) -> Self {
        self.tracker = Some(tracker.clone());
        self
    }

    /// Returns the same options for a request.
    #[cfg(feature = "axum")]
    pub(crate) fn of<U>(self, request: U) -> Upgrade<U> {
        Upgrade {
            subprotocols: self.subprotocols,
            allowed: self.allowed,
            config: self.config,
            tracker: self.tracker,
            request,
        }
    }

    /// Returns the fields of the 101, and what was agreed on.
    pub(crate) fn answer(
        &self,
        method: &Method,
        version: Version,
        fields: &HeaderMap,
    ) -> Result<(Headers, Negotiated), RequestError> {
        let subprotocols: Vec<_> = self.subprotocols.iter().map(String::as_str).collect();
        let fields = fields.iter();
        self.allowed.with(|origins| {
            respond(
                version.into(),
                method.as_str(),
                fields.map(|(name, value)| (name.as_str(), value.as_bytes())),
                &subprotocols,
                origins,
                &self.config,
            )
        })
    }

    /// Returns the socket to wait for.
    pub(crate) fn pending(&self, on: OnUpgrade, negotiated: Negotiated, path: &str) -> Pending {
        let tracker = self.tracker.clone();
        Pending {
            waiting: Some((on, negotiated)),
            config: self.config.clone(),
            tracker: tracker.map(|tracker| (tracker, path.to_owned())),
        }
    }
}

#[doc = include_str!("../docs/upgrade.md")]
pub fn upgrade<B, R: From<Bytes>>(
    request: &mut Request<B>,
    options: &Upgrade,
) -> Result<(Response<R>, Pending), Response<R>> {
    match options.answer(request.method(), request.version(), request.headers()) {
        Ok((fields, negotiated)) => {
            let upgraded = on(&mut *request);
            let pending = options.pending(upgraded, negotiated, request.uri().path());
            Ok((switching(fields), pending))
        }
        Err(error) => Err(refusal(error)),
    }
}

/// Returns the 101 with `fields`.
pub(crate) fn switching<R: From<Bytes>>(fields: Headers) -> Response<R> {
    let mut response = handshake::Response::new(101, Bytes::new());
    response.headers = fields;
    to_http(response)
}

/// Returns the response to a request that is not valid or not allowed.
pub(crate) fn refusal<R: From<Bytes>>(error: RequestError) -> Response<R> {
    to_http(error.response())
}

fn to_http<R: From<Bytes>>(response: handshake::Response) -> Response<R> {
    match Response::try_from(response) {
        Ok(response) => response.map(R::from),
        // The `http` crate does not allow a field. The handshake writes no such field.
        Err(_) => failed(),
    }
}

/// Returns a response that says that the server has failed.
pub(crate) fn failed<R: From<Bytes>>() -> Response<R> {
    let mut response = Response::new(R::from(Bytes::new()));
    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    response
}

/// A future that must be spawned, because the 101 leaves only after the handler has returned: a handler that awaits it
/// waits for ever.
///
/// It resolves to the socket once hyper has sent the 101, and to an error if hyper ends the connection before that, or
/// does not hand it over: `with_upgrades` of its connection must be on. Dropping the future drops the connection after the 101. Drop it if
/// you send another response, because hyper hands the connection over after the last response, whatever its status.
#[derive(Debug)]
#[must_use = "the connection ends if nothing waits for it"]
pub struct Pending {
    /// `None` once the future has resolved.
    waiting: Option<(OnUpgrade, Negotiated)>,
    config: Arc<Config>,
    /// The tracker to add the socket to, and the path of the request.
    tracker: Option<(Tracker, String)>,
}

impl Future for Pending {
    type Output = hyper::Result<WebSocket<Hosted>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some((on, _)) = &mut self.waiting else {
            return Poll::Pending;
        };
        let upgraded = ready!(Pin::new(on).poll(cx));
        let Some((_, negotiated)) = self.waiting.take() else {
            return Poll::Pending;
        };
        let config = self.config.clone();
        Poll::Ready(upgraded.map(|io| {
            let mut socket = from_parts(Hosted(io), &[], negotiated, Role::Server, config);
            if let Some((tracker, path)) = &self.tracker {
                tracker.track(&mut socket, None, path);
            }
            socket
        }))
    }
}
