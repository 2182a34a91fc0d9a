//! Listening sockets, and the options of their connections.

#[cfg(feature = "tls")]
use std::sync::Arc;
use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
};

use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::host::Listening;
use crate::{tls::OptionalTls, transport::Transport};

/// The options that all connections of one listening socket share.
#[derive(Debug, Default)]
pub(super) struct Door {
    #[cfg(feature = "tls")]
    pub(super) tls: Option<Arc<rustls::ServerConfig>>,
}

impl Door {
    /// Whether its connections use TLS.
    pub(super) const fn is_secure(&self) -> bool {
        #[cfg(feature = "tls")]
        {
            self.tls.is_some()
        }
        #[cfg(not(feature = "tls"))]
        false
    }

    /// Puts TLS over a connection, if its connections use TLS.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unnecessary_wraps, reason = "TLS may fail")
    )]
    pub(super) fn secure<S: Transport>(&self, io: S) -> Option<OptionalTls<S>> {
        #[cfg(feature = "tls")]
        return OptionalTls::server(io, self.tls.clone()).ok();
        #[cfg(not(feature = "tls"))]
        Some(OptionalTls::unencrypted(io))
    }
}

/// The options of TCP sockets. Connections inherit them from the listening socket.
#[derive(Clone, Copy, Debug)]
pub(super) struct TcpOptions {
    pub(super) nodelay: bool,
    /// In bytes.
    pub(super) notsent_lowat: Option<u32>,
}

impl TcpOptions {
    pub(super) fn set(self, listener: &Listening) -> io::Result<()> {
        let Listening::Tcp(listener) = listener else {
            return Ok(());
        };
        let socket = SockRef::from(listener);
        socket.set_tcp_nodelay(self.nodelay)?;
        match self.notsent_lowat {
            Some(bytes) => set_notsent_lowat(&socket, bytes),
            None => Ok(()),
        }
    }
}

/// Does nothing on a system without the option, where it would only save memory.
fn set_notsent_lowat(socket: &Socket, bytes: u32) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    return socket.set_tcp_notsent_lowat(bytes);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    {
        let _ = (socket, bytes);
        Ok(())
    }
}

/// Listens on the first of the addresses that works.
pub(super) fn listen_tcp(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
    let mut error = io::Error::new(
        io::ErrorKind::InvalidInput,
        "there is no address to listen on",
    );
    for addr in addr.to_socket_addrs()? {
        match listen_at(addr) {
            Ok(listener) => return Ok(listener),
            Err(why) => error = io::Error::new(why.kind(), format!("listening on {addr}: {why}")),
        }
    }
    Err(error)
}

fn listen_at(addr: SocketAddr) -> io::Result<TcpListener> {
    /// The most connections that wait to be accepted. The system may allow fewer.
    const BACKLOG: i32 = 1024;
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, Some(Protocol::TCP))?;
    // So that the address is free right after a stop, although some connections are in TIME_WAIT. On Windows the option
    // would let a second server take the address.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    socket.bind(&SockAddr::from(addr))?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Listens at `path`. A socket that a server has left there is replaced, if nothing listens on it any more.
#[cfg(unix)]
pub(super) fn listen_unix(path: &std::path::Path) -> io::Result<std::os::unix::net::UnixListener> {
    use std::os::unix::net::{UnixListener, UnixStream};
    let named = |why: io::Error| {
        let text = format!("listening on {}: {why}", path.display());
        io::Error::new(why.kind(), text)
    };
    match UnixListener::bind(path) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let tried = UnixStream::connect(path);
            if tried.is_err_and(|tried| tried.kind() == io::ErrorKind::ConnectionRefused) {
                std::fs::remove_file(path).map_err(named)?;
                return UnixListener::bind(path).map_err(named);
            }
            Err(named(error))
        }
        bound => bound.map_err(named),
    }
}
