use std::{
    io,
    task::{Context, Poll, ready},
};

use async_io::Async;
use async_net::TcpStream;
use bind::{Accepted, AnyTransport, AsyncServerHost, Listen, Listening};

use crate::{
    io::Io,
    runtime::{Boxed, Smol},
};

/// A listening socket of async-io.
#[derive(Debug)]
pub struct Listener(Inner);

#[derive(Debug)]
enum Inner {
    Tcp(Async<std::net::TcpListener>),
    #[cfg(unix)]
    Unix(Async<std::os::unix::net::UnixListener>),
}

impl<E: Fn(Boxed<()>) + Clone + Send + Sync + 'static> AsyncServerHost for Smol<E> {}

impl<E: Fn(Boxed<()>) + Clone + Send + Sync + 'static> Listen for Smol<E> {
    type Listener = Listener;

    fn listen(&self, listener: Listening) -> io::Result<Listener> {
        Ok(Listener(match listener {
            Listening::Tcp(listener) => Inner::Tcp(Async::new(listener)?),
            #[cfg(unix)]
            Listening::Unix(listener) => Inner::Unix(Async::new(listener)?),
        }))
    }

    fn poll_accept(
        &self,
        listener: &mut Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<Self>>> {
        let accepted = match &listener.0 {
            Inner::Tcp(listener) => {
                let (stream, peer) = ready!(accept(listener, cx, std::net::TcpListener::accept))?;
                Accepted::Tcp(TcpStream::from(Async::new(stream)?), peer)
            }
            #[cfg(unix)]
            Inner::Unix(listener) => {
                use std::os::unix::net::UnixListener;
                let (stream, _) = ready!(accept(listener, cx, UnixListener::accept))?;
                let stream = async_net::unix::UnixStream::from(Async::new(stream)?);
                Accepted::Other(AnyTransport::new(Io(stream)))
            }
        };
        Poll::Ready(Ok(accepted))
    }
}

/// Accepts a connection, or waits until there is one.
fn accept<L, S>(
    listener: &Async<L>,
    cx: &mut Context<'_>,
    accept: impl Fn(&L) -> io::Result<S>,
) -> Poll<io::Result<S>> {
    loop {
        match accept(listener.get_ref()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                ready!(listener.poll_readable(cx))?;
            }
            accepted => return Poll::Ready(accepted),
        }
    }
}

#[doc = include_str!("../docs/server.md")]
pub type Server<E> = bind::Server<Smol<E>>;

/// The sockets of a [`Server`], or of another HTTP server that hosts them: counts, lists, closes and stops them.
pub type Tracker<E> = bind::Tracker<Smol<E>>;

/// The transport of a [`Server`]'s socket: TCP or a Unix socket, with TLS if its listener has it.
pub type ServerStream = bind::ServerStream<Io<TcpStream>>;
