//! The extractor for axum.

use std::fmt;

use axum_core::{
    extract::{FromRequestParts, OptionalFromRequestParts},
    response::{IntoResponse, Response},
};
use bind::{
    WebSocket,
    proto::{Config, handshake::RequestError},
};
use hyper::{
    Method, Request, Version,
    http::{HeaderMap, header::UPGRADE, request::Parts},
    upgrade::{OnUpgrade, on},
};
use tokio::runtime::Handle;

use crate::{
    hosted::Hosted,
    upgrade::{Upgrade, failed, refusal, switching},
};

#[doc = include_str!("../docs/extract.md")]
pub type WebSocketUpgrade = Upgrade<UpgradeRequest>;

/// The request that a [`WebSocketUpgrade`] answers: a valid opening handshake.
#[derive(Debug)]
pub struct UpgradeRequest {
    method: Method,
    version: Version,
    fields: HeaderMap,
    path: String,
    on: OnUpgrade,
}

impl WebSocketUpgrade {
    /// Returns the 101, and spawns a task that calls `serve` with the socket once the 101 was sent. If the connection
    /// ends before that, `serve` is not called.
    ///
    /// If the options do not let the client in, the response is the refusal, and nothing is spawned. You may add fields
    /// to the response, such as cookies. Outside of a runtime of tokio the response is a 500.
    pub fn on_upgrade<F: Future<Output = ()> + Send + 'static>(
        self,
        serve: impl FnOnce(WebSocket<Hosted>) -> F + Send + 'static,
    ) -> Response {
        let request = &self.request;
        let answer = self.answer(&request.method, request.version, &request.fields);
        let (fields, negotiated) = match answer {
            Ok(answer) => answer,
            Err(error) => return refusal(error),
        };
        let Ok(runtime) = Handle::try_current() else {
            return failed();
        };
        let pending = self.pending(request.on.clone(), negotiated, &request.path);
        runtime.spawn(async move {
            if let Ok(socket) = pending.await {
                serve(socket).await;
            }
        });
        switching(fields)
    }

    /// Checks a request before the application has said what it allows. A request that is refused can still be upgraded
    /// by other code.
    fn extract(parts: &mut Parts) -> Result<Self, UpgradeRejection> {
        // The limits are those of the configuration, which the application sets later.
        let mut unlimited = Config::default();
        unlimited.max_head_fields = usize::MAX;
        unlimited.max_head_line = usize::MAX;
        let anybody = Upgrade::new().any_origin().config(unlimited);
        anybody
            .answer(&parts.method, parts.version, &parts.headers)
            .map_err(|error| UpgradeRejection { error })?;
        let given = parts.extensions.remove();
        Ok(Upgrade::new().of(UpgradeRequest {
            method: parts.method.clone(),
            version: parts.version,
            fields: parts.headers.clone(),
            path: parts.uri.path().to_owned(),
            // A request that is no request of hyper has no connection to wait for.
            on: given.unwrap_or_else(|| on(Request::new(()))),
        }))
    }
}

/// Rejects a request that is not a valid opening handshake.
impl<S: Send + Sync> FromRequestParts<S> for WebSocketUpgrade {
    type Rejection = UpgradeRejection;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, UpgradeRejection> {
        Self::extract(parts)
    }
}

/// Returns `None` if the request has no `Upgrade: websocket`, and rejects one that has it and is not valid.
impl<S: Send + Sync> OptionalFromRequestParts<S> for WebSocketUpgrade {
    type Rejection = UpgradeRejection;

    async fn from_request_parts(
        parts: &mut Parts,
        _: &S,
    ) -> Result<Option<Self>, UpgradeRejection> {
        let upgrades = parts.headers.get_all(UPGRADE).iter();
        let mut protocols = upgrades.flat_map(|value| value.as_bytes().split(|&byte| byte == b','));
        if protocols.any(|name| name.trim_ascii().eq_ignore_ascii_case(b"websocket")) {
            Self::extract(parts).map(Some)
        } else {
            Ok(None)
        }
    }
}

/// The request is not a valid opening handshake. The response has the status of the error, and a line of text that says
/// what is wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct UpgradeRejection {
    /// The fault of the request.
    pub error: RequestError,
}

impl IntoResponse for UpgradeRejection {
    fn into_response(self) -> Response {
        refusal(self.error)
    }
}

impl fmt::Display for UpgradeRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for UpgradeRejection {}
