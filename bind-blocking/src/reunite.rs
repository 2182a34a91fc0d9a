use bind::{ReuniteError, Transport};

use crate::{
    socket::WebSocket,
    split::{ReadHalf, WriteHalf},
};

impl<S: Transport> ReadHalf<S> {
    /// Returns the socket that was split. It keeps the events that calls of the write half have stored
    /// for `recv`.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] returns both halves if they belong to different sockets, or if clones of the write half still
    /// exist.
    pub fn reunite(
        self,
        write: WriteHalf<S>,
    ) -> Result<WebSocket<S>, ReuniteError<Self, WriteHalf<S>>> {
        let runner = self.runner.clone();
        match self.inner.reunite(write.inner) {
            Ok(inner) => {
                drop(self.runner);
                runner.unshare();
                Ok(WebSocket::new(inner, runner))
            }
            Err(ReuniteError { read, write }) => Err(ReuniteError {
                read: Self {
                    inner: read,
                    runner: self.runner,
                },
                write: WriteHalf::new(write, runner),
            }),
        }
    }
}
