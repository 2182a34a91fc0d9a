//! The traits that a binding implements to run a server.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    pin::Pin,
    task::{Context, Poll},
};

use super::{permit::Kill, stream::ServerStream};
use crate::{
    runtime::{Network, Runtime, SendNetwork},
    socket::WebSocket,
};

pub(super) type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A binding that can accept connections.
pub trait Listen: Runtime + SendNetwork + Clone {
    /// A listening socket that is registered with the runtime.
    type Listener: Send;

    /// Registers a listening socket, which is in blocking mode before.
    ///
    /// # Errors
    ///
    /// Those of the system, or that there is no runtime.
    fn listen(&self, listener: Listening) -> io::Result<Self::Listener>;

    /// Returns the next connection.
    fn poll_accept(
        &self,
        listener: &mut Self::Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<Self>>>;
}

/// A binding that can run a server.
pub trait Host: Listen {
    /// The socket that a handler gets.
    type Socket: Send;
    /// The result of a call that takes time: a future of it, or in blocking the result itself.
    type Wait<T>;

    /// Returns the binding as one connection uses it. The transport of the connection is made by the value that is
    /// returned, and its task is spawned by that value.
    fn for_connection(&self) -> Self {
        self.clone()
    }

    /// Returns a function that ends the connection's transport, if a thread may be blocked in it.
    fn kill(&self) -> Option<Kill> {
        None
    }

    /// Makes the socket of a handler.
    fn socket(&self, socket: WebSocket<ServerStream<Self::Stream>>) -> Self::Socket;

    /// Calls a function of the application, which may block if the binding does.
    fn call<T>(f: impl FnOnce() -> T) -> T {
        f()
    }

    /// Waits for `future`, or returns it.
    fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Self::Wait<T>;
}

/// A binding whose handlers return an `R` for a `T`: a future of it, or in blocking the value itself.
pub trait Returns<R, T>: Host {
    /// Makes a future of what a handler has returned.
    fn returned(value: R) -> Boxed<T>;
}

/// A binding whose calls are futures. It is a [`Host`] whose handlers get the socket of the driver and return a future.
pub trait AsyncHost: Listen {}

impl<H: AsyncHost> Host for H {
    type Socket = WebSocket<ServerStream<H::Stream>>;
    type Wait<T> = Boxed<T>;

    fn socket(&self, socket: Self::Socket) -> Self::Socket {
        socket
    }

    fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Boxed<T> {
        Box::pin(future)
    }
}

impl<H: AsyncHost, F: Future<Output = T> + Send + 'static, T> Returns<F, T> for H {
    fn returned(future: F) -> Boxed<T> {
        Box::pin(future)
    }
}

/// A listening socket.
#[derive(Debug)]
pub enum Listening {
    /// For TCP.
    Tcp(TcpListener),
    /// For a Unix socket.
    #[cfg(unix)]
    Unix(std::os::unix::net::UnixListener),
}

/// A connection that a client has made.
#[derive(Debug)]
pub enum Accepted<N: Network> {
    /// By TCP, from this address.
    Tcp(N::Tcp, SocketAddr),
    /// To a Unix socket.
    Other(N::Other),
}
