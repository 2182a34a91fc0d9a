use std::fmt;
#[cfg(feature = "tls")]
use std::sync::Arc;

#[cfg(feature = "tls")]
use super::TlsStream;
use crate::transport::{Transport, delegate};

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

    /// Puts TLS over the connection of a client, if there is a configuration for it.
    #[cfg(feature = "tls")]
    pub(crate) fn server(
        io: S,
        tls: Option<Arc<rustls::ServerConfig>>,
    ) -> Result<Self, rustls::Error> {
        Ok(match tls {
            Some(tls) => Self::tls(TlsStream::server(io, tls)?),
            None => Self::unencrypted(io),
        })
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

    delegate!(either);
}

impl<S: fmt::Debug> fmt::Debug for OptionalTls<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        either!(self, stream => stream.fmt(f))
    }
}
