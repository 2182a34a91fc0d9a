//! An accepted connection until its request can be read: the header of a proxy, and TLS.

use std::{future::poll_fn, io, net::SocketAddr, time::Duration};

use super::{
    core::Core,
    host::Host,
    listen::Door,
    proxy_protocol::{ProxyHeader, Source},
    stream::ServerStream,
};
use crate::{
    runtime::Network,
    transport::{AnyTransport, Timer, Transport, within},
};

/// The longest time that a proxy may take to send its header.
const PROXY_TIME: Duration = Duration::from_secs(5);

/// An accepted connection as a transport.
pub(super) enum Reached<N: Network> {
    Tcp(N::Stream, SocketAddr),
    Other(AnyTransport<N::Clock>),
}

/// A connection whose request can be read.
pub(super) struct Connection<H: Host> {
    pub(super) stream: ServerStream<H::Stream>,
    /// The other end of the TCP connection.
    pub(super) peer_addr: Option<SocketAddr>,
    /// The client, as far as the connection shows it.
    pub(super) client_addr: Option<SocketAddr>,
}

pub(super) type Stream<H> = ServerStream<<H as Network>::Stream>;

/// Reads the header of a proxy, and puts TLS over the connection. Returns `None` if the connection is to be closed.
pub(super) async fn connect<H: Host>(
    core: &Core<H>,
    io: Reached<H>,
    door: &Door,
    clock: &H::Clock,
) -> Option<Connection<H>> {
    let (stream, peer_addr, client_addr) = match io {
        Reached::Tcp(mut io, peer) => {
            let client = core.proxied(&mut io, Some(peer), clock).await?;
            (ServerStream::tcp(door.secure(io)?), Some(peer), client)
        }
        Reached::Other(mut io) => {
            let client = core.proxied(&mut io, None, clock).await?;
            (ServerStream::other(door.secure(io)?), None, client)
        }
    };
    Some(Connection {
        stream,
        peer_addr,
        client_addr,
    })
}

impl<H: Host> Core<H> {
    /// Returns the address of the client, which a proxy sends in a header of its own if this server expects that.
    async fn proxied<S: Transport>(
        &self,
        io: &mut S,
        peer: Option<SocketAddr>,
        clock: &H::Clock,
    ) -> Option<Option<SocketAddr>> {
        if self.proxies.is_none() {
            return Some(peer);
        }
        let deadline = clock.now().checked_add(PROXY_TIME);
        let source = within(read_header(io), clock.clone(), deadline);
        let source = Box::pin(source).await?;
        match source.ok()? {
            Source::Client(addr) => Some(Some(addr)),
            Source::Proxy => Some(peer),
        }
    }
}

/// Reads the PROXY header.
async fn read_header<S: Transport>(io: &mut S) -> io::Result<Source> {
    let mut header = ProxyHeader::default();
    let mut buf = [0; 256];
    loop {
        let room = header.wants().min(buf.len());
        let len = poll_fn(|cx| io.poll_read(cx, &mut buf[..room])).await?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let parsed = header.handle_input(&buf[..len]);
        if let Some(source) = parsed.map_err(io::Error::other)? {
            return Ok(source);
        }
    }
}
