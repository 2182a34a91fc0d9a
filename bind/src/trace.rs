//! A span for each connection, and its events (feature `tracing`). Without the feature this does nothing.

use std::{fmt, time::Duration};

use proto::{Closed, Role};

use crate::{error::Error, transport::Transport};

/// The span of a connection: `websocket`, with the fields `role`, `peer` and `subprotocol`. The span and its events
/// have the level `DEBUG`.
#[derive(Debug)]
pub(crate) struct Trace {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

#[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
impl Trace {
    /// Begins the span, and logs that the connection is open.
    pub(crate) fn open<S: Transport>(role: Role, io: &S, subprotocol: Option<&str>) -> Self {
        #[cfg(feature = "tracing")]
        {
            let role = match role {
                Role::Client => "client",
                Role::Server => "server",
            };
            let span =
                tracing::debug_span!("websocket", role, peer = tracing::field::Empty, subprotocol);
            if !span.is_disabled()
                && let Ok(peer) = io.peer_addr()
            {
                span.record("peer", tracing::field::display(peer));
            }
            tracing::debug!(parent: &span, "open");
            Self { span }
        }
        #[cfg(not(feature = "tracing"))]
        Self {}
    }

    /// Logs that the connection failed.
    pub(crate) fn failed(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::debug!(parent: &self.span, %error, "failed");
    }

    /// Logs that the connection has ended, as `closed` says if that is known.
    pub(crate) fn ended(&self, closed: Option<&Closed>) {
        #[cfg(feature = "tracing")]
        match closed {
            Some(closed) => {
                let (code, clean) = (closed.code, closed.clean);
                tracing::debug!(parent: &self.span, code, clean, "{closed}");
            }
            None => tracing::debug!(parent: &self.span, "ended"),
        }
    }

    /// Logs that a Ping was answered, if `latency` has changed since `before`.
    pub(crate) fn round_trip(&self, before: Option<Duration>, latency: Option<Duration>) {
        #[cfg(feature = "tracing")]
        if let Some(latency) = latency.filter(|_| latency != before) {
            tracing::debug!(parent: &self.span, ?latency, "a Ping was answered");
        }
    }
}

/// Logs that the opening handshake with a client failed.
#[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
pub(crate) fn not_accepted<S: Transport>(io: &S, error: &impl fmt::Display) {
    #[cfg(feature = "tracing")]
    {
        let peer = io.peer_addr().ok().map(tracing::field::display);
        tracing::debug!(%error, peer, "opening handshake failed");
    }
}

/// Logs that there is no connection to a server.
#[cfg_attr(not(feature = "tracing"), allow(unused_variables))]
pub(crate) fn not_connected(host: &impl fmt::Display, port: u16, error: &impl fmt::Display) {
    #[cfg(feature = "tracing")]
    tracing::debug!(%error, %host, port, "not connected");
}
