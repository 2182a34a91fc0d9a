use std::{
    io,
    task::{Context, Poll, ready},
};

use bind::{Accepted, AnyTransport, AsyncServerHost, Listen, Listening};
use tokio::net::{TcpListener, TcpStream};

use crate::{
    io::Io,
    runtime::{Tokio, in_runtime},
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

impl AsyncServerHost for Tokio {}

impl Listen for Tokio {
    type Listener = Listener;

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
}

#[doc = include_str!("../docs/server.md")]
pub type Server = bind::Server<Tokio>;

/// The sockets of a [`Server`], or of another HTTP server that hosts them: counts, lists, closes and stops them.
pub type Tracker = bind::Tracker<Tokio>;

/// The transport of a [`Server`]'s socket: TCP or a Unix socket, with TLS if its listener has it.
pub type ServerStream = bind::ServerStream<Io<TcpStream>>;
