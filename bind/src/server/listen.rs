//! Listening sockets, and accepting from them.

use std::{
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use proto::Instant;
use socket2::{Domain, Protocol, SockAddr, SockRef, Socket, Type};

use super::{
    ServerError,
    core::Core,
    host::{Host, Listening},
};
use crate::transport::Timer;

/// What the connections of one listening socket have in common.
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

/// A listening socket that is served.
pub(super) struct Accepting<H: Host> {
    listener: H::Listener,
    door: Arc<Door>,
    clock: H::Clock,
    /// The next attempt, while the system fails.
    retry_at: Option<Instant>,
    /// The attempts in a row that failed.
    failures: u32,
}

impl<H: Host> Accepting<H> {
    /// The connections that are accepted before other tasks run.
    const MAX: u32 = 64;
    /// The first and the longest time between attempts while the system fails.
    const RETRY: Duration = Duration::from_millis(10);
    const RETRY_MOST: Duration = Duration::from_secs(1);

    pub(super) fn new(host: &H, listener: Listening, door: Arc<Door>) -> io::Result<Self> {
        Ok(Self {
            listener: host.listen(listener)?,
            door,
            clock: host.clock(),
            retry_at: None,
            failures: 0,
        })
    }

    /// Accepts the connections that there are. Never ready.
    pub(super) fn poll(&mut self, core: &Arc<Core<H>>, host: &H, cx: &mut Context<'_>) {
        for _ in 0..Self::MAX {
            if let Some(at) = self.retry_at {
                if self.clock.poll_until(cx, at).is_pending() {
                    return;
                }
                self.retry_at = None;
            }
            match host.poll_accept(&mut self.listener, cx) {
                Poll::Pending => return,
                Poll::Ready(Ok(accepted)) => {
                    self.failures = 0;
                    core.take_in(host, accepted, &self.door);
                }
                Poll::Ready(Err(error)) => self.fail(core, error),
            }
        }
        cx.waker().wake_by_ref();
    }

    fn fail(&mut self, core: &Core<H>, error: io::Error) {
        // The client has left before it was accepted, or a signal came.
        let passing = [io::ErrorKind::ConnectionAborted, io::ErrorKind::Interrupted];
        if passing.contains(&error.kind()) {
            return;
        }
        // Too many open files, for example. Some will be closed.
        let delay = Self::RETRY.saturating_mul(1 << self.failures.min(7));
        self.retry_at = self.clock.now().checked_add(delay.min(Self::RETRY_MOST));
        self.failures = self.failures.saturating_add(1);
        if self.failures == 1 {
            core.report(&ServerError::Accept(error));
        }
    }
}
