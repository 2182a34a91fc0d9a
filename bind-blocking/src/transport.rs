use std::{
    io::{self, IoSlice},
    net::{Shutdown, SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use crate::clock::Clock;

/// A blocking transport: read and written through a shared reference, and no longer than it was told.
///
/// One thread may read while another writes; there are never two that read, or two that write. A call
/// that took too long fails with [`WouldBlock`](io::ErrorKind::WouldBlock) or
/// [`TimedOut`](io::ErrorKind::TimedOut).
pub trait BlockingTransport: Send + Sync + 'static {
    /// Reads what is there, or waits for it; zero bytes mean the end.
    fn read(&self, buf: &mut [u8]) -> io::Result<usize>;

    /// Reads what is there, and does not wait; [`WouldBlock`](io::ErrorKind::WouldBlock) if there is nothing.
    /// Unless it is implemented, this waits for a millisecond. It may change the read timeout.
    fn read_now(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.set_read_timeout(Some(Duration::from_millis(1)))?;
        self.read(buf)
    }

    /// Writes from the front of `bytes`, which are some.
    fn write(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes what there is room for, from the front of `bytes`, which are some, and does not wait;
    /// [`WouldBlock`](io::ErrorKind::WouldBlock) if there is none. Unless it is implemented, this waits as
    /// [`write`](Self::write) does.
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    /// As [`write`](Self::write), from the front of several pieces, of which some are not empty. Left
    /// as it is, from the first of those.
    fn write_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let first = pieces.iter().find(|piece| !piece.is_empty());
        self.write(first.map_or(&[], |piece| piece))
    }

    /// Passes on what the transport holds back.
    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// How long a read may wait; `None` for ever.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// How long a write may wait. Called before the first read and the first write; a socket of the system
    /// that does not block is made to.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Ends one direction or both. [`Shutdown::Both`] wakes whoever is blocked in a read or write.
    fn shutdown(&self, how: Shutdown) -> io::Result<()>;

    /// The clock by which it waits. Tests bring their own.
    fn clock(&self) -> Clock {
        Clock::default()
    }

    /// The peer's address.
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

            /// A write of another thread that begins meanwhile fails with `WouldBlock`, which is as good as
            /// one that took too long.
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

            /// A read of another thread that begins meanwhile fails with `WouldBlock`, which is as good as
            /// one that took too long.
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
                // One that does not block would not wait at all. Some systems hand it out from a listener
                // that does not block.
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

/// Whether a call took no longer than it might, and there is nothing else to say about it.
pub(crate) fn timed_out(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
