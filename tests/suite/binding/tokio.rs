//! bowline-tokio, over its TCP streams.

use std::{io, net, sync::Arc};

use ::tokio::net::TcpStream;
use bind::{
    Connect, ConnectError,
    proto::{
        Config, Negotiated, Role,
        handshake::{HandshakeError, Response},
    },
};
use bowline_tokio::{ClientStream, Io, OptionalTls, WebSocket};
use rustls::ServerConfig;

use super::{Binding, Driven};

#[derive(Debug)]
pub struct Tokio;

impl Binding for Tokio {
    type Client = WebSocket<ClientStream>;
    type Server = WebSocket<Io<TcpStream>>;
    type TlsServer = WebSocket<OptionalTls<Io<TcpStream>>>;
    type Incoming = bowline_tokio::Incoming<Io<TcpStream>>;

    async fn connect(
        to: impl Into<Connect> + Send,
    ) -> Result<(Self::Client, Response), ConnectError> {
        bowline_tokio::connect(to).await
    }

    async fn connect_over(
        stream: net::TcpStream,
        to: impl Into<Connect> + Send,
    ) -> Result<(Self::Client, Response), ConnectError> {
        bowline_tokio::connect_over(of_std(stream), to).await
    }

    async fn accept(
        stream: net::TcpStream,
        config: &Arc<Config>,
    ) -> Result<Self::Incoming, HandshakeError> {
        bowline_tokio::accept(of_std(stream), config.clone().clone().clone().clone()).await
    }

    async fn accept_any(
        stream: net::TcpStream,
        config: &Arc<Config>,
    ) -> Result<Self::Server, HandshakeError> {
        bowline_tokio::accept_any(of_std(stream), config.clone().clone().clone().clone()).await
    }

    async fn accept_tls(
        stream: net::TcpStream,
        tls: Arc<ServerConfig>,
        config: &Arc<Config>,
    ) -> Result<Self::TlsServer, HandshakeError> {
        let incoming = bowline_tokio::accept_tls(
            of_std(stream),
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
        bowline_tokio::from_parts(
            of_std(stream),
            leftover,
            negotiated,
            role,
            config.clone().clone().clone().clone(),
        )
    }

    fn asking_addr(incoming: &Self::Incoming) -> io::Result<net::SocketAddr> {
        incoming.get_ref().peer_addr()
    }

    fn server_addr(client: &Self::Client) -> io::Result<net::SocketAddr> {
        client.peer_addr()
    }

    fn client_addr(server: &Self::Server) -> io::Result<net::SocketAddr> {
        server.peer_addr()
    }

    fn nodelay(client: &Self::Client) -> io::Result<bool> {
        client
            .get_ref()
            .and_then(|io| io.get_ref())
            .expect("it is open")
            .nodelay()
    }
}

impl Driven for Tokio {
    type Stream = Io<TcpStream>;

    fn open(stream: net::TcpStream, role: Role, config: &Arc<Config>) -> WebSocket<Io<TcpStream>> {
        Self::from_parts(stream, &[], Negotiated::default(), role, config)
    }
}

fn of_std(stream: net::TcpStream) -> TcpStream {
    stream.set_nonblocking(true).expect("a socket");
    TcpStream::from_std(stream).expect("a runtime")
}
