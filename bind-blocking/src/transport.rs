use std::{
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use crate::clock::Clock;

/// A blocking transport. It is read and written through a shared reference, and no call waits longer
/// than the timeout that was set.
///
/// One thread may read while another writes, but no two threads read at the same time, or write at the
/// same time. A call that took too long fails with [`WouldBlock`](io::ErrorKind::WouldBlock) or
/// [`TimedOut`](io::ErrorKind::TimedOut).
///
/// Bytes in memory, or a stream of an asynchronous runtime, cannot time out:
///
/// ```compile_fail,E0277
/// fn f(stream: Vec<u8>) {
///     // "`Vec<u8>` is not a blocking transport"
///     let _ = bowline_blocking::accept(stream, bowline_blocking::Config::default());
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a blocking transport",
    label = "neither a `TcpStream` or `UnixStream` of std, nor a type that implements `BlockingTransport`",
    note = "give a stream of tokio to `bowline-tokio`, and one of futures-io to `bowline-smol`"
)]
pub trait BlockingTransport: Send + Sync + 'static {
    /// Reads what is there, or waits for input. Zero bytes mean the end.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Reads what is there, without waiting; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is
    /// nothing. The default implementation waits for a millisecond. May change the read timeout.
    fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.set_read_timeout(Some(Duration::from_millis(1)))?;
        self.read(buf)
    }

    /// Writes from the front of `bytes`, which is not empty.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes from the front of `bytes`, which is not empty, as much as there is room for, without
    /// waiting; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is no room. The default
    /// implementation waits as [`write`](Self::write) does.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// As [`write`](Self::write), from the front of several pieces, of which at least one is not empty.
    /// The default implementation writes from the first of those.
    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        self.write(first.map_or(&[], |piece| piece))
    }

    /// Passes on bytes that the transport holds back.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Sets the longest time that a read may wait; `None` is without bound.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Sets the longest time that a write may wait. It is called before the first read and write; for a
    /// non-blocking socket of the system it also makes the socket blocking.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Ends one direction or both. [`Shutdown::Both`] wakes any thread that is blocked in a read or
    /// write.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// Returns the clock by which the transport waits. Tests provide their own.
    fn clock(&self) -> Clock {
        Clock::default()
    }

    /// Returns the peer's address.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](io::ErrorKind::Unsupported) if the transport does not know it.
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

macro_rules! socket {
    ($socket:ty, $peer_addr:expr) => {
        impl BlockingTransport for $socket {
            #[inline]
            fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
                io::Read::read(&mut &*self, buf)
            }

            /// If another thread begins a write meanwhile, that write fails with `WouldBlock`, which
            /// counts as a timeout.
            fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.set_nonblocking(true)?;
                let read = io::Read::read(&mut &*self, buf);
                self.set_nonblocking(false)?;
                read
            }

            #[inline]
            fn write(&self, bytes: &[u8]) -> io::Result<usize> {
                io::Write::write(&mut &*self, bytes)
            }

            /// If another thread begins a read meanwhile, that read fails with `WouldBlock`, which
            /// counts as a timeout.
            fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
                self.set_nonblocking(true)?;
                let written = io::Write::write(&mut &*self, bytes);
                self.set_nonblocking(false)?;
                written
            }

            #[inline]
            fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
                io::Write::write_vectored(&mut &*self, pieces)
            }

            fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                Self::set_read_timeout(self, timeout)
            }

            fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
                // A non-blocking socket would not wait at all. On some systems a socket inherits that
                // mode from its listener.
                self.set_nonblocking(false)?;
                Self::set_write_timeout(self, timeout)
            }

            fn shutdown(&self, how: Shutdown) -> io::Result<()> {
                Self::shutdown(self, how)
            }

            fn peer_addr(&self) -> io::Result<SocketAddr> {
                $peer_addr(self)
            }
        }
    };
}

socket!(TcpStream, Self::peer_addr);
#[cfg(unix)]
socket!(std::os::unix::net::UnixStream, |_| Err(
    io::ErrorKind::Unsupported.into()
));

impl<S: BlockingTransport + ?Sized> BlockingTransport for Arc<S> {
    fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read(buf)
    }

    fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        (**self).read_now(buf)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        (**self).write(bytes)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        (**self).try_write(bytes)
    }

    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        (**self).write_vectored(pieces)
    }

    fn flush(&self) -> io::Result<()> {
        (**self).flush()
    }

    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        (**self).set_write_timeout(timeout)
    }

    fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        (**self).shutdown(how)
    }

    fn clock(&self) -> Clock {
        (**self).clock()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        (**self).peer_addr()
    }
}

/// Whether the error means only that the call may be tried again: it timed out or was interrupted.
pub(crate) fn timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
