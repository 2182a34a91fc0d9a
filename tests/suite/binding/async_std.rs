//! bowline-smol over the TCP streams of async-std, for which it has no special code.

use std::{io, net};

use ::async_std::net::TcpStream;
use bind::{Connect, ConnectError, proto::handshake::Response};
use bowline_smol::{Io, WebSocket, connect_over};

use super::smol::{Over, Stream};

pub type AsyncStd = Over<TcpStream>;

impl Stream for TcpStream {
    fn of_std(stream: net::TcpStream) -> Self {
        stream.into()
    }

    fn peer_addr(&self) -> io::Result<net::SocketAddr> {
        self.peer_addr()
    }

    fn nodelay(&self) -> io::Result<bool> {
        self.nodelay()
    }

    /// Connects by itself, like an application with its own stream.
    async fn connect(
        to: Connect,
    ) -> Result<(WebSocket<bowline_smol::ClientStream<Self>>, Response), ConnectError> {
        let prepared = to.clone().prepare()?;
        let host = prepared.host.to_string();
        let stream = Self::connect((&*host, prepared.port)).await?;
        stream.set_nodelay(prepared.nodelay)?;
        connect_over(stream, to).await
    }
}
