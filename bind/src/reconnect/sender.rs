use std::{fmt, future::poll_fn, sync::Arc};

use proto::{IntoClose, Outgoing};

use super::{
    link::{Link, Route},
    machine::ReconnectState,
    offline::ReconnectSendError,
};
use crate::{error::Error, transport::Transport, write_half::WriteHalf};

/// The sending direction of a [`Reconnect`](crate::Reconnect). Clones send over the same socket, from any number of tasks.
pub struct ReconnectSender<S: Transport>(pub(super) Arc<Link<WriteHalf<S>>>);

impl<S: Transport> Clone for ReconnectSender<S> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<S: Transport> ReconnectSender<S> {
    /// Sends a message over the current connection. If there is none, [`Offline`](crate::Offline) decides.
    ///
    /// A message that was handed to a connection is never sent again. Cancel-safe: if the future is dropped, the message was
    /// either not queued, or it is written whole if the connection lasts.
    ///
    /// # Errors
    ///
    /// [`ReconnectSendError`]; all errors but `Failed` return the message.
    pub async fn send(&self, message: impl Into<Outgoing>) -> Result<(), ReconnectSendError> {
        let mut message = message.into();
        loop {
            match self.0.route(message) {
                Route::Done(done) => return done,
                Route::Later(seen, again) => {
                    message = again;
                    poll_fn(|cx| self.0.poll_change(cx, seen)).await;
                }
                Route::Direct(half, again) => {
                    message = again;
                    match half.feed(message.clone()).await {
                        Ok(()) => return half.flush().await.map_err(ReconnectSendError::Failed),
                        Err(error) => self.0.refused(&half, error)?,
                    }
                }
            }
        }
    }

    /// Stops the socket for ever. If there is a connection, runs the closing handshake, as
    /// [`WriteHalf::close`](crate::WriteHalf::close) does. A connection that is being made is dropped. The call that receives
    /// returns `None`.
    ///
    /// # Errors
    ///
    /// Those of [`WriteHalf::close`](crate::WriteHalf::close).
    pub async fn stop(&self, frame: impl IntoClose) -> Result<(), Error> {
        match self.0.stop() {
            Some(half) => half.close(frame).await,
            None => Ok(()),
        }
    }

    /// Returns the stage.
    pub fn state(&self) -> ReconnectState {
        self.0.state()
    }

    /// Waits until the stage is another one than `state`, and returns it. Cancel-safe.
    pub async fn state_change(&self, state: ReconnectState) -> ReconnectState {
        poll_fn(|cx| self.0.poll_state(cx, state)).await
    }

    /// Returns the number of messages that wait for a connection ([`Offline::Queue`](crate::Offline::Queue)).
    pub fn queued(&self) -> usize {
        self.0.queued()
    }
}

impl<S: Transport> fmt::Debug for ReconnectSender<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ReconnectSender").field(&self.0).finish()
    }
}
