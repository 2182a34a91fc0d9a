use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use async_net::TcpStream;
use bind::{ConnectError, Destination, PeerAddr};
use futures_io::{AsyncRead, AsyncWrite};
#[cfg(feature = "tls")]
use futures_rustls::{TlsConnector, client, rustls::pki_types::ServerName, server};

use crate::Io;

/// A transport of a client, with or without TLS.
#[derive(Debug)]
#[non_exhaustive]
pub enum MaybeTls<S> {
    /// As it is.
    Plain(S),
    /// By TLS.
    #[cfg(feature = "tls")]
    Tls(Box<client::TlsStream<S>>),
}

impl<S> MaybeTls<S> {
    /// What is below.
    pub fn get_ref(&self) -> &S {
        match self {
            Self::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Self::Tls(stream) => stream.get_ref().0,
        }
    }
}

/// The same call on either.
macro_rules! either {
    ($self:ident, $stream:ident => $call:expr) => {
        match $self.get_mut() {
            Self::Plain($stream) => $call,
            #[cfg(feature = "tls")]
            Self::Tls($stream) => $call,
        }
    };
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for MaybeTls<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_read(cx, buf))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for MaybeTls<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, stream => Pin::new(stream).poll_write_vectored(cx, bufs))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_flush(cx))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, stream => Pin::new(stream).poll_close(cx))
    }
}

impl PeerAddr for Io<MaybeTls<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().peer_addr()
    }
}

#[cfg(feature = "tls")]
impl PeerAddr for Io<client::TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().0.peer_addr()
    }
}

#[cfg(feature = "tls")]
impl PeerAddr for Io<server::TlsStream<TcpStream>> {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.get_ref().0.peer_addr()
    }
}

/// How to begin TLS, if the URL asks for it.
pub(crate) struct Security {
    #[cfg(feature = "tls")]
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl Security {
    #[cfg(feature = "tls")]
    pub(crate) async fn new(to: &Destination) -> Result<Self, ConnectError> {
        if !to.tls {
            return Ok(Self { tls: None });
        }
        let name = to.server_name()?;
        let to = to.clone();
        // Reading the roots of the platform blocks.
        let config = blocking::unblock(move || to.client_config()).await?;
        Ok(Self {
            tls: Some((config.into(), name)),
        })
    }

    #[cfg(not(feature = "tls"))]
    pub(crate) async fn new(_: &Destination) -> Result<Self, ConnectError> {
        Ok(Self {})
    }

    pub(crate) async fn secure<S: AsyncRead + AsyncWrite + Unpin>(
        self,
        stream: S,
    ) -> Result<Io<MaybeTls<S>>, ConnectError> {
        #[cfg(feature = "tls")]
        if let Some((connector, name)) = self.tls {
            let stream = connector.connect(name, stream).await?;
            return Ok(Io(MaybeTls::Tls(Box::new(stream))));
        }
        Ok(Io(MaybeTls::Plain(stream)))
    }
}
