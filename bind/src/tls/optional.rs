use std::{
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    task::{Context, Poll},
};

#[cfg(feature = "tls")]
use super::TlsStream;
use crate::transport::Transport;

/// A transport over `S`: TLS, if the connection uses it, or `S` itself.
pub struct OptionalTls<S>(Inner<S>);

enum Inner<S> {
    Unencrypted(S),
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream<S>>),
}

impl<S> OptionalTls<S> {
    pub(crate) const fn unencrypted(stream: S) -> Self {
        Self(Inner::Unencrypted(stream))
    }

    #[cfg(feature = "tls")]
    pub(crate) fn tls(stream: TlsStream<S>) -> Self {
        Self(Inner::Tls(Box::new(stream)))
    }

    /// Returns the transport below TLS, or the transport itself without TLS. Reading from it or writing to it would
    /// break the connection.
    pub fn get_ref(&self) -> &S {
        match &self.0 {
            Inner::Unencrypted(stream) => stream,
            #[cfg(feature = "tls")]
            Inner::Tls(stream) => stream.get_ref(),
        }
    }
}

/// Makes the same call on either transport.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Self(Inner::Unencrypted($stream)) => $call,
            #[cfg(feature = "tls")]
            Self(Inner::Tls($stream)) => $call,
        }
    };
}

impl<S: Transport> Transport for OptionalTls<S> {
    type Clock = S::Clock;

    fn clock(&self) -> S::Clock {
        self.get_ref().clock()
    }

    #[inline]
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_read(cx, buf))
    }

    #[inline]
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => stream.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        either!(self, stream => stream.is_write_vectored())
    }

    #[inline]
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_flush(cx))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => stream.poll_shutdown(cx))
    }

    fn half_closes(&self) -> bool {
        either!(self, stream => stream.half_closes())
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<&rustls::CommonState> {
        either!(self, stream => stream.tls())
    }
}

impl<S: fmt::Debug> fmt::Debug for OptionalTls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, stream => stream.fmt(f))
    }
}
