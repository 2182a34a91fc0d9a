use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bind::{Accepted, AnyTransport, Listening, Returns, ServerHost, WebSocket};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    io::Io,
    runtime::{Boxed, Tokio, in_runtime},
};

/// A listening socket of tokio.
#[derive(Debug)]
pub struct Listener(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(TcpListener),
    #[cfg(unix)]
    Unix(tokio::net::UnixListener),
}

impl ServerHost for Tokio {
    type Listener = Listener;
    type Socket = WebSocket<ServerStream>;
    type Wait<T> = Boxed<T>;

    fn listen(&self, listener: Listening) -> io::Result<Listener> {
        in_runtime()?;
        let inner = match listener {
            Listening::Tcp(listener) => {
                listener.set_nonblocking(true)?;
                Inner::Tcp(TcpListener::from_std(listener)?)
            }
            #[cfg(unix)]
            Listening::Unix(listener) => {
                listener.set_nonblocking(true)?;
                Inner::Unix(tokio::net::UnixListener::from_std(listener)?)
            }
        };
        Ok(Listener(inner))
    }

    fn poll_accept(
        &self,
        listener: &mut Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<Self>>> {
        let accepted = match &listener.0 {
            Inner::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(cx))?;
                Accepted::Tcp(stream, peer)
            }
            #[cfg(unix)]
            Inner::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                Accepted::Other(AnyTransport::new(Io(stream)))
            }
        };
        Poll::Ready(Ok(accepted))
    }

    fn socket(&self, socket: WebSocket<ServerStream>) -> WebSocket<ServerStream> {
        socket
    }

    fn wait<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Boxed<T> {
        Box::pin(future)
    }
}

impl<F: Future<Output = T> + Send + 'static, T> Returns<F, T> for Tokio {
    fn returned(future: F) -> Pin<Box<dyn Future<Output = T> + Send>> {
        Box::pin(future)
    }
}

#[doc = include_str!("../docs/server.md")]
pub type Server = bind::Server<Tokio>;

/// The sockets of a [`Server`], or of another HTTP server that hosts them: counts, lists, closes and stops them.
pub type Tracker = bind::Tracker<Tokio>;

/// The transport of a [`Server`]'s socket: TCP or a Unix socket, with TLS if its listener has it.
pub type ServerStream = bind::ServerStream<Io<TcpStream>>;
