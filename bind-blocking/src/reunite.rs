use bind::{ReuniteError, Transport};

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
