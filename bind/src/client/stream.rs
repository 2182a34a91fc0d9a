use std::{
    fmt,
    io::{self, IoSlice},
    net::SocketAddr,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};

use crate::{tls::OptionalTls, transport::Transport};

/// The transport of a client over `S`: with TLS if the URL asks for it, and through a tunnel if there is a proxy.
pub struct ClientStream<S>(Inner<S>);

enum Inner<S> {
    Direct(OptionalTls<S>),
    Tunnel(Box<OptionalTls<Tunnel<S>>>),
}

/// A tunnel through a proxy. The proxy itself may use TLS.
pub(super) struct Tunnel<S> {
    io: OptionalTls<S>,
    /// Bytes of the server that came together with the proxy's answer.
    received: Bytes,
}

impl<S> ClientStream<S> {
    pub(super) const fn direct(stream: OptionalTls<S>) -> Self {
        Self(Inner::Direct(stream))
    }

    pub(super) fn tunnel(stream: OptionalTls<Tunnel<S>>) -> Self {
        Self(Inner::Tunnel(Box::new(stream)))
    }

    /// Returns the transport below TLS and the tunnel, such as a TCP stream. Reading from it or writing to it would break
    /// the connection.
    pub fn get_ref(&self) -> &S {
        match &self.0 {
            Inner::Direct(stream) => stream.get_ref(),
            Inner::Tunnel(stream) => stream.get_ref().io.get_ref(),
        }
    }
}

impl<S> Tunnel<S> {
    pub(super) const fn new(io: OptionalTls<S>, received: Bytes) -> Self {
        Self { io, received }
    }
}

impl<S: Transport> Transport for Tunnel<S> {
    type Clock = S::Clock;

    fn clock(&self) -> S::Clock {
        self.io.clock()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.received.is_empty() {
            return self.io.poll_read(cx, buf);
        }
        let len = buf.len().min(self.received.len());
        self.received.copy_to_slice(&mut buf[..len]);
        Poll::Ready(Ok(len))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.io.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.io.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.poll_shutdown(cx)
    }

    fn half_closes(&self) -> bool {
        self.io.half_closes()
    }

    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.peer_addr()
    }
}

/// Makes the same call on either transport.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Self(Inner::Direct($stream)) => $call,
            Self(Inner::Tunnel($stream)) => $call,
        }
    };
}

impl<S: Transport> Transport for ClientStream<S> {
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

    /// The address of the proxy, if there is one.
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }

    /// TLS with the server, not with a proxy.
    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<&rustls::CommonState> {
        either!(self, stream => stream.tls())
    }
}

impl<S: fmt::Debug> fmt::Debug for ClientStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, stream => stream.fmt(f))
    }
}

impl<S: fmt::Debug> fmt::Debug for Tunnel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tunnel").field(&self.io).finish()
    }
}
