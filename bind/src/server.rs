//! A server: its listening sockets, limits, options and routes.

use std::{
    fmt,
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use proto::{Config, handshake::Response};

mod accepting;
mod admit;
mod attend;
mod connection;
mod core;
mod drain;
mod error;
mod forwarded;
mod guard;
mod host;
mod listen;
mod permit;
pub(crate) mod proxy_protocol;
mod registry;
mod request;
mod route;
mod serving;
mod stream;
pub(crate) mod subnet;
mod tracker;

pub use drain::Stop;
pub use error::ServerError;
pub use host::{Accepted, AsyncHost, Host, Listen, Listening, Returns};
use listen::{Door, TcpOptions, listen_tcp};
pub use permit::Kill;
use registry::Limits;
pub use registry::SocketInfo;
pub use request::ClientRequest;
pub use route::Allowed;
use route::{Decide, OnError, Routes, Subprotocols};
use serving::Serving;
pub use stream::ServerStream;
pub use subnet::{Subnet, SubnetError};
pub use tracker::{Tracked, Tracker};

/// A WebSocket server.
///
/// ```text
/// accept ─ limits ─ PROXY header ─ TLS ─ request ─ path ─ origin ─ decide ─ 101 ─ handler
///            503       closed                404/426     403    your answer
/// ```
///
/// Each connection is a task of its own, or a thread in blocking. It counts from the moment when it is accepted until its
/// handler has returned and its socket is dropped, however it ends. Its handler gets the socket and the request. A handler
/// that panics ends its own socket with 1011, and nothing else.
///
/// By default 10,000 connections are let in, 1,024 of them may be in their handshake, and only pages of the server's own
/// host may connect. Sending is not delayed (`TCP_NODELAY`).
#[must_use = "a server does nothing until `serve` is called"]
pub struct Server<H: Host> {
    host: H,
    listeners: Vec<(Listening, Door)>,
    limits: Limits,
    options: TcpOptions,
    handler_deadline: Option<Duration>,
    config: Arc<Config>,
    routes: Routes<H>,
    origins: Allowed,
    subprotocols: Subprotocols,
    decide: Option<Decide>,
    proxies: Option<Vec<Subnet>>,
    trusted: Vec<Subnet>,
    retry_after: Duration,
    on_error: Option<OnError>,
    tracker: Tracker<H>,
    /// The first mistake in the options, or their first failure, which `serve` returns.
    mistake: Option<io::Error>,
}

impl<H: Host + Default> Server<H> {
    /// Listens on an address. If a name has several, the first that works is taken.
    ///
    /// # Errors
    ///
    /// Those of the system, such as [`io::ErrorKind::AddrInUse`] if another server listens there.
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Self> {
        Self::on(H::default()).listen(addr)
    }
}

impl<H: Host> Server<H> {
    /// Makes a server that runs on `host` and does not listen yet.
    pub fn on(host: H) -> Self {
        Self {
            tracker: Tracker::on(host.clone()),
            host,
            listeners: Vec::new(),
            limits: Limits {
                connections: 10_000,
                per_address: None,
                handshakes: 1024,
                handler: None,
            },
            options: TcpOptions {
                nodelay: true,
                notsent_lowat: None,
            },
            handler_deadline: None,
            config: Arc::default(),
            routes: Routes::new(),
            origins: Allowed::default(),
            subprotocols: Subprotocols::default(),
            decide: None,
            proxies: None,
            trusted: Vec::new(),
            retry_after: Duration::from_secs(5),
            on_error: None,
            mistake: None,
        }
    }

    /// Listens on an address as well.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    pub fn listen(self, addr: impl ToSocketAddrs) -> io::Result<Self> {
        Ok(self.listener(listen_tcp(addr)?))
    }

    /// Listens at the path of a Unix socket as well. A socket that an earlier server has left there is replaced.
    ///
    /// # Errors
    ///
    /// Those of the system, such as [`io::ErrorKind::AddrInUse`] if another server listens there.
    #[cfg(unix)]
    pub fn listen_unix(mut self, path: impl AsRef<std::path::Path>) -> io::Result<Self> {
        let listener = Listening::Unix(listen::listen_unix(path.as_ref())?);
        self.listeners.push((listener, Door::default()));
        Ok(self)
    }

    /// Uses a listening socket as well, such as one that a service manager has opened.
    pub fn listener(mut self, listener: TcpListener) -> Self {
        let listener = Listening::Tcp(listener);
        self.listeners.push((listener, Door::default()));
        self.set_options()
    }

    /// Uses TLS on the listening socket that was added last.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: impl Into<Arc<rustls::ServerConfig>>) -> Self {
        match self.listeners.last_mut() {
            Some((_, door)) => door.tls = Some(config.into()),
            None => self.mistake("`tls` needs a listening socket before it"),
        }
        self
    }

    /// Serves the sockets at a path with `handler`, which gets the socket and the request. The query does not matter, and
    /// nothing in the path is decoded. A path that ends with `*` stands for everything that begins so; the longest path
    /// that fits counts.
    pub fn path<F, R>(mut self, path: &str, handler: F) -> Self
    where
        F: Fn(H::Socket, ClientRequest) -> R + Send + Sync + 'static,
        H: Returns<R, ()>,
    {
        self.check_path(path);
        let handler = move |socket, request| H::returned(handler(socket, request));
        self.routes.add_socket(path, Arc::new(handler));
        self
    }

    /// Answers requests for a path that ask for no upgrade with `body`, of this type such as `text/html`. A path may have
    /// both a page and a socket.
    pub fn page(mut self, path: &str, content_type: &str, body: impl Into<Bytes>) -> Self {
        self.check_path(path);
        let mut page = Response::new(200, body);
        if page.headers.push("Content-Type", content_type).is_err() {
            self.mistake("the type of a page is not a valid header field");
        }
        self.routes.add_page(path, page);
        self
    }

    /// Answers the other requests that ask for no upgrade. They are GET or HEAD and have no body. Without this they are
    /// answered with 404, or with 426 at the path of a socket.
    ///
    /// An answer that takes longer than [`handshake_timeout`](Config::handshake_timeout) is replaced by a 503.
    pub fn fallback<F, R>(mut self, fallback: F) -> Self
    where
        F: Fn(ClientRequest) -> R + Send + Sync + 'static,
        H: Returns<R, Response>,
    {
        let fallback = move |request| H::returned(fallback(request));
        self.routes.fallback = Some(Box::new(fallback));
        self
    }

    /// Lets `decide` choose who may open a socket, after everything else was checked. It returns the request, to which it may
    /// add header fields for the answer and values for the handler, or the response to refuse with.
    ///
    /// A decision that takes longer than [`handshake_timeout`](Config::handshake_timeout) is replaced by a 503.
    pub fn decide<F, R>(mut self, decide: F) -> Self
    where
        F: Fn(ClientRequest) -> R + Send + Sync + 'static,
        H: Returns<R, Result<ClientRequest, Response>>,
    {
        let decide = move |request| H::returned(decide(request));
        self.decide = Some(Box::new(decide));
        self
    }

    /// Lets pages of these origins connect, each written like `https://chat.example`, and no others. By default pages of
    /// the server's own host may connect, which is that of the request's `Host` (RFC 6455 §10.2).
    pub fn origins<S: Into<String>>(mut self, origins: impl IntoIterator<Item = S>) -> Self {
        self.origins = Allowed::Listed(origins.into_iter().map(S::into).collect());
        self
    }

    /// Lets every page connect. A browser then sends the user's cookies on behalf of any page, so do not rely on them.
    pub fn any_origin(mut self) -> Self {
        self.origins = Allowed::Any;
        self
    }

    /// Sets the subprotocols that the server speaks. The first of the client's offers that is among them is picked; if there
    /// is none, the socket has no subprotocol.
    pub fn subprotocols<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.subprotocols.names = names.into_iter().map(S::into).collect();
        self
    }

    /// Picks the first subprotocol of the server's that the client offers, instead of the first of the client's.
    pub fn prefer_own_subprotocols(mut self) -> Self {
        self.subprotocols.own_order = true;
        self
    }

    /// Sets the most connections, open or in their handshake. Default: 10,000. Further clients are answered with 503, as
    /// far as that is cheap, or are closed.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.limits.connections = count;
        self
    }

    /// Sets the most connections from each address; an IPv6 network of 64 bits counts as one address. Default: no limit.
    /// The clients of a proxy count for their own addresses, as far as the proxy may tell them.
    pub fn max_per_address(mut self, count: impl Into<Option<usize>>) -> Self {
        self.limits.per_address = count.into();
        self
    }

    /// Sets the most connections whose request has not come yet. Default: 1,024. With one more, the oldest is closed.
    pub fn max_handshakes(mut self, count: usize) -> Self {
        self.limits.handshakes = count;
        self
    }

    /// Expects the PROXY protocol, version 1 or 2, from proxies in these networks and at Unix sockets. Other peers are
    /// closed, and so is a proxy that sends no valid header within 5 s.
    pub fn proxy_protocol(mut self, proxies: impl IntoIterator<Item = Subnet>) -> Self {
        self.proxies = Some(proxies.into_iter().collect());
        self
    }

    /// Trusts `Forwarded` (RFC 7239) and `X-Forwarded-For` from proxies in these networks, about the address of a client. A
    /// field is read from the right, up to the first address that is in none of the networks. If both fields are there and
    /// name different clients, the address is not known, and the client counts for the proxy.
    pub fn forwarded(mut self, proxies: impl IntoIterator<Item = Subnet>) -> Self {
        self.trusted = proxies.into_iter().collect();
        self
    }

    /// Sets after which time a client that was answered with 503 should come back, in whole seconds. Default: 5 s.
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = delay;
        self
    }

    /// Sets how long a handler may run. Then its socket is closed with 1001, and after
    /// [`close_timeout`](Config::close_timeout) it is ended. Default: no limit.
    pub fn handler_deadline(mut self, time: impl Into<Option<Duration>>) -> Self {
        self.handler_deadline = time.into();
        self
    }

    /// Sets `TCP_NODELAY`. Default: on.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.options.nodelay = nodelay;
        self.set_options()
    }

    /// Sets `TCP_NOTSENT_LOWAT` in bytes, where the system has it: the kernel then takes no more than that from a socket
    /// whose peer does not read. Default: what the system does.
    pub fn notsent_lowat(mut self, bytes: impl Into<Option<u32>>) -> Self {
        self.options.notsent_lowat = bytes.into();
        self.set_options()
    }

    /// Sets the limits and deadlines of the sockets and their handshakes.
    pub fn config(mut self, config: impl Into<Arc<Config>>) -> Self {
        self.config = config.into();
        self
    }

    /// Calls `f` with failures that end no call of the application. It must not take long.
    pub fn on_error(mut self, f: impl Fn(&ServerError) + Send + Sync + 'static) -> Self {
        self.on_error = Some(Box::new(f));
        self
    }

    /// Returns the addresses of the TCP sockets that the server listens on, in the order in which they were added.
    pub fn local_addrs(&self) -> Vec<SocketAddr> {
        let listeners = self.listeners.iter();
        let addrs = listeners.filter_map(|(listener, _)| match listener {
            Listening::Tcp(listener) => listener.local_addr().ok(),
            #[cfg(unix)]
            Listening::Unix(_) => None,
        });
        addrs.collect()
    }

    /// Returns the sockets of the server, to count, close or stop them.
    pub fn tracker(&self) -> Tracker<H> {
        self.tracker.clone()
    }

    /// Serves until the server was stopped and all its connections have ended.
    ///
    /// Dropping the future ends the listening, but not the connections, which the tracker can still stop.
    ///
    /// # Errors
    ///
    /// A mistake in the options, or a listening socket that the runtime does not take.
    pub fn serve(self) -> H::Wait<io::Result<()>> {
        let host = self.host.clone();
        host.wait(async move {
            let mut serving = Serving::new(self)?;
            poll_fn(|cx| serving.poll(cx)).await;
            Ok(())
        })
    }

    /// Sets the options at once, because connections inherit them when they arrive, even if nothing is accepted yet.
    fn set_options(mut self) -> Self {
        let mut listeners = self.listeners.iter();
        if let Err(error) = listeners.try_for_each(|(listener, _)| self.options.set(listener)) {
            self.mistake.get_or_insert(error);
        }
        self
    }

    fn check_path(&mut self, path: &str) {
        if !path.starts_with('/') {
            self.mistake("a path begins with `/`");
        }
    }

    fn mistake(&mut self, why: &'static str) {
        let mistake = || io::Error::new(io::ErrorKind::InvalidInput, why);
        self.mistake.get_or_insert_with(mistake);
    }
}

impl<H: Host> fmt::Debug for Server<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}
