use std::fmt;

use bind::Transport;

use crate::{
    socket::WebSocket,
    split::{ReadHalf, WriteHalf},
};

impl<S: Transport> ReadHalf<S> {
    /// The socket that was split, with the events that calls of the write half have kept for `recv`.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] gives both halves back, if they are of different sockets, or if the write half is still
    /// in use elsewhere, as a clone.
    pub fn reunite(self, write: WriteHalf<S>) -> Result<WebSocket<S>, ReuniteError<S>> {
        let runner = self.runner.clone();
        match self.inner.reunite(write.inner) {
            Ok(inner) => {
                drop(self.runner);
                runner.unshare();
                Ok(WebSocket::new(inner, runner))
            }
            Err(bind::ReuniteError { read, write }) => Err(ReuniteError {
                read: Self {
                    inner: read,
                    runner: self.runner,
                },
                write: WriteHalf::new(write, runner),
            }),
        }
    }
}

/// The two halves are not one socket again.
pub struct ReuniteError<S: Transport> {
    /// The half that receives.
    pub read: ReadHalf<S>,
    /// The half that sends.
    pub write: WriteHalf<S>,
}

impl<S: Transport> fmt::Debug for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<S: Transport> fmt::Display for ReuniteError<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the halves are of different sockets, or the write half is in use elsewhere")
    }
}

impl<S: Transport> std::error::Error for ReuniteError<S> {}
