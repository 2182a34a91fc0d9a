#[cfg(not(target_os = "linux"))]
use std::net::SocketAddr;
use std::{
    io,
    net::TcpStream,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, TryRecvError, sync_channel},
    },
    task::{Context, Poll, Waker},
    thread,
};

use bind::{Accepted, Kill, Listen, Listening, Returns, ServerHost, Tracked, Transport};

use crate::{
    clock::Wants, connect::Threads, pipe::Io, run::Runner, socket::WebSocket,
    transport::BlockingTransport,
};

impl Listen for Threads {
    type Listener = Listener;

    fn listen(&self, listener: Listening) -> io::Result<Listener> {
        Listener::new(listener)
    }

    fn poll_accept(
        &self,
        listener: &mut Listener,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Accepted<Self>>> {
        listener.poll(cx)
    }
}

impl ServerHost for Threads {
    type Socket = WebSocket<ServerStream>;
    type Wait<T> = T;

    /// Each connection has a thread of its own.
    fn for_connection(&self) -> Self {
        Self::default()
    }

    fn kill(&self) -> Option<Kill> {
        let runner = self.runner().clone();
        Some(Box::new(move || runner.end()))
    }

    fn socket(&self, socket: bind::WebSocket<ServerStream>) -> WebSocket<ServerStream> {
        self.runner().alert();
        WebSocket::new(socket, self.runner().clone())
    }

    fn call<T>(f: impl FnOnce() -> T) -> T {
        Wants::apart(f)
    }

    fn wait<T: Send + 'static>(&self, future: impl Future<Output = T> + Send + 'static) -> T {
        Runner::new(self.runner().clock().clone()).run(future)
    }
}

impl<S: Transport> Tracked for WebSocket<S> {
    type Io = S;

    fn driven(&mut self) -> &mut bind::WebSocket<S> {
        self.runner.alert();
        &mut self.inner
    }
}

impl<T: Send + 'static> Returns<T, T> for Threads {
    fn returned(value: T) -> Pin<Box<dyn Future<Output = T> + Send>> {
        Box::pin(async { value })
    }
}

/// A listening socket. A thread of its own accepts from it.
#[derive(Debug)]
pub struct Listener {
    /// Present until this is dropped, which ends a thread that waits to hand over a connection.
    accepted: Option<Receiver<io::Result<Accepted<Threads>>>>,
    /// Wakes the thread that serves.
    waker: Arc<Mutex<Option<Waker>>>,
    thread: Option<thread::JoinHandle<()>>,
    /// The socket, to end a thread that waits in `accept`. Present until this is dropped.
    listener: Option<Listening>,
}

impl Listener {
    fn new(listener: Listening) -> io::Result<Self> {
        // The thread accepts one connection ahead of those that were taken.
        let (sender, accepted) = sync_channel(1);
        let waker = Arc::new(Mutex::new(None::<Waker>));
        let (own, wakes) = (clone(&listener)?, waker.clone());
        let thread = thread::Builder::new().spawn(move || {
            while sender.send(accept(&own)).is_ok() {
                let waker = wakes.lock().unwrap_or_else(PoisonError::into_inner).clone();
                waker.into_iter().for_each(Waker::wake);
            }
        })?;
        Ok(Self {
            accepted: Some(accepted),
            waker,
            thread: Some(thread),
            listener: Some(listener),
        })
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<io::Result<Accepted<Threads>>> {
        let waker = self.waker.lock();
        *waker.unwrap_or_else(PoisonError::into_inner) = Some(cx.waker().clone());
        match self.accepted.as_ref().map(Receiver::try_recv) {
            Some(Ok(accepted)) => Poll::Ready(accepted),
            Some(Err(TryRecvError::Empty)) => Poll::Pending,
            _ => Poll::Ready(Err(io::Error::other("the thread that accepts has ended"))),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // The thread ends with its next connection or failure, and then the address is free.
        self.accepted = None;
        if self.listener.take().is_some_and(|it| interrupt(it).is_ok())
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn clone(listener: &Listening) -> io::Result<Listening> {
    match listener {
        Listening::Tcp(listener) => Ok(Listening::Tcp(listener.try_clone()?)),
        #[cfg(unix)]
        Listening::Unix(listener) => Ok(Listening::Unix(listener.try_clone()?)),
    }
}

fn accept(listener: &Listening) -> io::Result<Accepted<Threads>> {
    match listener {
        Listening::Tcp(listener) => {
            let (stream, peer) = listener.accept()?;
            Ok(Accepted::Tcp(stream, peer))
        }
        #[cfg(unix)]
        Listening::Unix(listener) => {
            let (stream, _) = listener.accept()?;
            let stream: Arc<dyn BlockingTransport> = Arc::new(stream);
            Ok(Accepted::Other(stream))
        }
    }
}

/// Ends the wait of a thread that accepts. On Linux this shuts the socket down, for which no new descriptor is needed, because
/// there may be none. On other systems it connects to the socket.
fn interrupt(listener: Listening) -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        use std::{net::Shutdown, os::fd::OwnedFd};
        let fd = match listener {
            Listening::Tcp(listener) => OwnedFd::from(listener),
            Listening::Unix(listener) => OwnedFd::from(listener),
        };
        TcpStream::from(fd).shutdown(Shutdown::Both)
    }
    #[cfg(not(target_os = "linux"))]
    match listener {
        Listening::Tcp(listener) => {
            let mut addr = listener.local_addr()?;
            if addr.ip().is_unspecified() {
                addr.set_ip(match addr {
                    SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
                    SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
                });
            }
            TcpStream::connect(addr).map(drop)
        }
        #[cfg(unix)]
        Listening::Unix(listener) => {
            let addr = listener.local_addr()?;
            std::os::unix::net::UnixStream::connect_addr(&addr).map(drop)
        }
    }
}

/// A WebSocket server.
///
/// ```no_run
/// use bowline_blocking::Server;
///
/// fn main() -> std::io::Result<()> {
///     let server = Server::bind("127.0.0.1:9001")?.path("/ws", |mut socket, _request| {
///         while let Ok(Some(message)) = socket.recv() {
///             let _ = socket.send(message);
///         }
///     });
///     server.serve()
/// }
/// ```
///
/// Each connection has a thread, in which its handler runs. A handler that waits in a call of its socket notices within half
/// a second that the server closes the socket. The guide "Serving" has the options, and [`bind::Server`] the methods.
pub type Server = bind::Server<Threads>;

/// The sockets of a [`Server`]: counts, lists, closes and stops them.
pub type Tracker = bind::Tracker<Threads>;

/// The transport of a [`Server`]'s socket: TCP or a Unix socket, with TLS if its listener has it.
pub type ServerStream = bind::ServerStream<Io<TcpStream>>;
