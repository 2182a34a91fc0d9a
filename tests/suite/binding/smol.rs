//! bowline-smol, over the TCP streams of smol or of another library with the traits of futures-io.

use std::{fmt, future::Future, io, marker::PhantomData, net, sync::Arc};

use ::smol::{
    Async,
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use bind::{
    Connect, ConnectError, OptionalTls,
    proto::{
        Config, Negotiated, Role,
        handshake::{HandshakeError, Response},
    },
};
use bowline_smol::{Io, WebSocket};
use rustls::ServerConfig;

use super::{Binding, Driven};

/// The streams of smol itself.
pub type Smol = Over<TcpStream>;

/// A TCP stream of futures-io.
pub trait Stream:
    AsyncRead + AsyncWrite + Unpin + fmt::Debug + Send + Sync + Sized + 'static
{
    fn of_std(stream: net::TcpStream) -> Self;
    fn peer_addr(&self) -> io::Result<net::SocketAddr>;
    fn nodelay(&self) -> io::Result<bool>;

    fn connect(to: Connect) -> impl Future<Output = Result<Connected<Self>, ConnectError>> + Send;
}

type Connected<S> = (WebSocket<bowline_smol::ClientStream<S>>, Response);

impl Stream for TcpStream {
    fn of_std(stream: net::TcpStream) -> Self {
        Async::try_from(stream).expect("a socket").into()
    }

    fn peer_addr(&self) -> io::Result<net::SocketAddr> {
        self.peer_addr()
    }

    fn nodelay(&self) -> io::Result<bool> {
        self.nodelay()
    }

    async fn connect(to: Connect) -> Result<Connected<Self>, ConnectError> {
        bowline_smol::connect(to).await
    }
}

#[derive(Debug)]
pub struct Over<S>(PhantomData<S>);

impl<S: Stream> Binding for Over<S> {
    type Client = WebSocket<bowline_smol::ClientStream<S>>;
    type Server = WebSocket<Io<S>>;
    type TlsServer = WebSocket<OptionalTls<Io<S>>>;
    type Incoming = bowline_smol::Incoming<Io<S>>;

    async fn connect(
        to: impl Into<Connect> + Send,
    ) -> Result<(Self::Client, Response), ConnectError> {
        S::connect(to.into()).await
    }

    async fn connect_over(
        stream: net::TcpStream,
        to: impl Into<Connect> + Send,
    ) -> Result<(Self::Client, Response), ConnectError> {
        bowline_smol::connect_over(S::of_std(stream), to).await
    }

    async fn accept(
        stream: net::TcpStream,
        config: &Arc<Config>,
    ) -> Result<Self::Incoming, HandshakeError> {
        bowline_smol::accept(S::of_std(stream), config.clone().clone().clone().clone()).await
    }

    async fn accept_any(
        stream: net::TcpStream,
        config: &Arc<Config>,
    ) -> Result<Self::Server, HandshakeError> {
        bowline_smol::accept_any(S::of_std(stream), config.clone().clone().clone().clone()).await
    }

    async fn accept_tls(
        stream: net::TcpStream,
        tls: Arc<ServerConfig>,
        config: &Arc<Config>,
    ) -> Result<Self::TlsServer, HandshakeError> {
        let incoming = bowline_smol::accept_tls(
            S::of_std(stream),
            Some(tls),
            config.clone().clone().clone().clone(),
        )
        .await?;
        Ok(incoming.open().await)
    }

    fn from_parts(
        stream: net::TcpStream,
        leftover: &[u8],
        negotiated: Negotiated,
        role: Role,
        config: &Arc<Config>,
    ) -> Self::Server {
        bowline_smol::from_parts(
            S::of_std(stream),
            leftover,
            negotiated,
            role,
            config.clone().clone().clone().clone(),
        )
    }

    fn asking_addr(incoming: &Self::Incoming) -> io::Result<net::SocketAddr> {
        S::peer_addr(incoming.get_ref())
    }

    fn server_addr(client: &Self::Client) -> io::Result<net::SocketAddr> {
        let stream = client.get_ref().and_then(|io| io.get_ref());
        stream.ok_or(io::ErrorKind::NotConnected)?.peer_addr()
    }

    fn client_addr(server: &Self::Server) -> io::Result<net::SocketAddr> {
        let stream = server.get_ref().ok_or(io::ErrorKind::NotConnected)?;
        S::peer_addr(stream)
    }

    fn nodelay(client: &Self::Client) -> io::Result<bool> {
        client
            .get_ref()
            .and_then(|io| io.get_ref())
            .expect("it is open")
            .nodelay()
    }
}

impl<S: Stream> Driven for Over<S> {
    type Stream = Io<S>;

    fn open(stream: net::TcpStream, role: Role, config: &Arc<Config>) -> WebSocket<Io<S>> {
        Self::from_parts(stream, &[], Negotiated::default(), role, config)
    }
}
