use std::{
    fmt, io,
    task::{Context, Poll},
};

use bytes::{Buf, Bytes};

use crate::{
    tls::OptionalTls,
    transport::{AnyTransport, Transport, delegate},
};

/// The transport of a client: `S`, with TLS if the URL asks for it, and through a tunnel if there is a proxy; or a transport
/// of another type, such as a Unix socket.
pub struct ClientStream<S: Transport>(Inner<S>);

enum Inner<S: Transport> {
    Direct(OptionalTls<S>),
    Tunnel(Box<OptionalTls<Tunnel<S>>>),
    Other(AnyTransport<S::Clock>),
}

/// A tunnel through a proxy. The proxy itself may use TLS.
pub(super) struct Tunnel<S> {
    io: OptionalTls<S>,
    /// Bytes of the server that came together with the proxy's answer.
    received: Bytes,
}

impl<S: Transport> ClientStream<S> {
    pub(super) const fn direct(stream: OptionalTls<S>) -> Self {
        Self(Inner::Direct(stream))
    }

    pub(super) fn tunnel(stream: OptionalTls<Tunnel<S>>) -> Self {
        Self(Inner::Tunnel(Box::new(stream)))
    }

    pub(super) fn other(stream: ClientStream<AnyTransport<S::Clock>>) -> Self {
        Self(Inner::Other(AnyTransport::new(stream)))
    }

    /// Returns the transport below TLS and the tunnel, such as a TCP stream. Reading from it or writing to it would break
    /// the connection. Returns `None` if it has another type, because it came from
    /// [`Connect::connector`](super::Connect::connector) or is a Unix socket.
    pub fn get_ref(&self) -> Option<&S> {
        match &self.0 {
            Inner::Direct(stream) => Some(stream.get_ref()),
            Inner::Tunnel(stream) => Some(stream.get_ref().io.get_ref()),
            Inner::Other(_) => None,
        }
    }
}

impl<S> Tunnel<S> {
    pub(super) const fn new(io: OptionalTls<S>, received: Bytes) -> Self {
        Self { io, received }
    }
}

macro_rules! io {
    ($self:ident, $io:ident => $call:expr) => {{
        let Self { io: $io, .. } = $self;
        $call
    }};
}

impl<S: Transport> Transport for Tunnel<S> {
    type Clock = S::Clock;

    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if self.received.is_empty() {
            return self.io.poll_read(cx, buf);
        }
        let len = buf.len().min(self.received.len());
        self.received.copy_to_slice(&mut buf[..len]);
        Poll::Ready(Ok(len))
    }

    // TLS with the proxy is not TLS with the server.
    #[cfg(feature = "tls")]
    fn tls(&self) -> Option<&rustls::CommonState> {
        None
    }

    delegate!(io, except poll_read, tls);
}

/// Makes the same call on any of the transports.
macro_rules! each {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Self(Inner::Direct($stream)) => $call,
            Self(Inner::Tunnel($stream)) => $call,
            Self(Inner::Other($stream)) => $call,
        }
    };
}

/// Its peer is the proxy, if there is one; its TLS is that with the server.
impl<S: Transport> Transport for ClientStream<S> {
    type Clock = S::Clock;

    delegate!(each);
}

impl<S: Transport + fmt::Debug> fmt::Debug for ClientStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        each!(self, stream => stream.fmt(f))
    }
}

impl<S: fmt::Debug> fmt::Debug for Tunnel<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tunnel").field(&self.io).finish()
    }
}
