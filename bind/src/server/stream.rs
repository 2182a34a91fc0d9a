use std::fmt;

use crate::{
    tls::OptionalTls,
    transport::{AnyTransport, Transport, delegate},
};

/// The transport of a server's socket: TCP or a Unix socket, with TLS if its listener has it.
pub struct ServerStream<S: Transport>(Inner<S>);

enum Inner<S: Transport> {
    Tcp(OptionalTls<S>),
    Other(OptionalTls<AnyTransport<S::Clock>>),
}

impl<S: Transport> ServerStream<S> {
    pub(super) const fn tcp(stream: OptionalTls<S>) -> Self {
        Self(Inner::Tcp(stream))
    }

    pub(super) const fn other(stream: OptionalTls<AnyTransport<S::Clock>>) -> Self {
        Self(Inner::Other(stream))
    }

    /// Returns the TCP stream. Reading from it or writing to it would break the connection. Returns `None` for a Unix
    /// socket.
    pub fn get_ref(&self) -> Option<&S> {
        match &self.0 {
            Inner::Tcp(stream) => Some(stream.get_ref()),
            Inner::Other(_) => None,
        }
    }
}

/// Makes the same call on either transport.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self {
            Self(Inner::Tcp($stream)) => $call,
            Self(Inner::Other($stream)) => $call,
        }
    };
}

/// Its peer is the other end of the TCP connection, which may be a proxy.
impl<S: Transport> Transport for ServerStream<S> {
    type Clock = S::Clock;

    delegate!(either);
}

impl<S: Transport + fmt::Debug> fmt::Debug for ServerStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, stream => stream.fmt(f))
    }
}
