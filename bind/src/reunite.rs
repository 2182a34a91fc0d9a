use std::{fmt, sync::Arc};

use crate::{
    read_half::ReadHalf, shared::Shared, socket::WebSocket, transport::Transport,
    write_half::WriteHalf,
};

impl<S: Transport> ReadHalf<S> {
    /// Returns the socket that was split. It keeps the events that calls of the write half have stored for `recv`.
    ///
    /// # Errors
    ///
    /// [`ReuniteError`] returns both halves if they belong to different sockets, or if the write half is still in use
    /// elsewhere: as a clone, or by an unfinished message of [`stream`](WriteHalf::stream).
    pub fn reunite(
        self,
        write: WriteHalf<S>,
    ) -> Result<WebSocket<S>, ReuniteError<Self, WriteHalf<S>>> {
        // These two halves must be the only owners. No other can appear meanwhile, because only an owner can make
        // one. A `Sink` in the middle of a call is an owner, too.
        if !Arc::ptr_eq(&self.shared, &write.shared) || Arc::strong_count(&self.shared) != 2 {
            return Err(ReuniteError { read: self, write });
        }
        let shared = self.shared.clone();
        // Dropping the halves must not end the transport.
        shared.lock().halves += 2;
        drop((self, write));
        match Shared::into_parts(shared) {
            Ok((input, output, subprotocol)) => Ok(WebSocket::whole(input, output, subprotocol)),
            Err(shared) => Err(ReuniteError {
                read: Self::new(shared.clone()),
                write: WriteHalf::new(shared),
            }),
        }
    }
}

/// The two halves could not be made one socket again.
pub struct ReuniteError<R, W> {
    /// The half that receives.
    pub read: R,
    /// The half that sends.
    pub write: W,
}

impl<R, W> fmt::Debug for ReuniteError<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReuniteError").finish_non_exhaustive()
    }
}

impl<R, W> fmt::Display for ReuniteError<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the halves belong to different sockets, or the write half is still in use elsewhere",
        )
    }
}

impl<R, W> std::error::Error for ReuniteError<R, W> {}
