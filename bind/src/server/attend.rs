//! One connection, from the moment when it is accepted until its handler has returned.

use std::{
    future::poll_fn,
    io,
    net::{Ipv4Addr, SocketAddr},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    sync::{Arc, atomic::Ordering},
    task::{Context, Poll},
    time::Duration,
};

use proto::{
    CloseCode, Config, IntoClose,
    handshake::{RequestError, Response},
};

use super::{
    ServerError,
    core::Core,
    forwarded::client_address,
    host::Host,
    listen::Door,
    proxy_protocol::{ProxyHeader, Source},
    registry::{Path, Permit},
    request::ClientRequest,
    route::{Boxed, Handler, text},
    stream::ServerStream,
    subnet::address_key,
};
use crate::{
    handshake::{Arrived, Incoming, NotAccepted, PageRequest, accept_all},
    output::Place,
    runtime::Network,
    tls::OptionalTls,
    transport::{AnyTransport, Timer, Transport, within},
};

/// The longest time that a proxy may take to send its header.
const PROXY_TIME: Duration = Duration::from_secs(5);

/// The text of a 500, which says nothing about the reason.
const FAILED: &str = "the server has failed\n";

/// An accepted connection as a transport.
pub(super) enum Reached<N: Network> {
    Tcp(N::Stream, SocketAddr),
    Other(AnyTransport<N::Clock>),
}

/// A connection whose request can be read.
struct Connection<H: Host> {
    stream: ServerStream<H::Stream>,
    /// The other end of the TCP connection.
    peer_addr: Option<SocketAddr>,
    /// The client, as far as the connection shows it.
    client_addr: Option<SocketAddr>,
}

type Stream<H> = ServerStream<<H as Network>::Stream>;

/// Serves a connection that was let in.
pub(super) async fn attend<H: Host>(
    core: Arc<Core<H>>,
    host: H,
    io: Reached<H>,
    door: Arc<Door>,
    permit: Arc<Permit>,
) {
    // The handshake needs much more memory than what follows, so that memory is freed before.
    let mut opening = Box::pin(open(&core, host, io, &door, &permit));
    let started = unless_aborted(&permit, opening.as_mut()).await;
    drop(opening);
    let served = match started {
        None => return,
        Some(None) => Some(None),
        Some(Some(handler)) => {
            let served = async { Some(Guarded(handler).await) };
            unless_aborted(&permit, pin!(served)).await
        }
    };
    if served == Some(None) {
        // A half that was moved to another task closes as well.
        let orders = permit.orders();
        orders.close(CloseCode::INTERNAL_ERROR.into_close());
        let (client_addr, path) = permit.client();
        core.report(&ServerError::Panicked { client_addr, path });
    }
}

/// Reads the client's request, answers it, and calls the handler. Returns what the handler has returned, or `Some(None)` if
/// it has panicked, or `None` if no socket was opened.
async fn open<H: Host>(
    core: &Core<H>,
    host: H,
    io: Reached<H>,
    door: &Door,
    permit: &Arc<Permit>,
) -> Option<Option<Boxed<()>>> {
    let clock = host.clock();
    let arriving = async {
        let connection = connect(core, io, door, &clock).await?;
        let (peer_addr, client_addr) = (connection.peer_addr, connection.client_addr);
        let arrived = accept_all(connection.stream, core.config.clone()).await;
        Some((arrived.ok()?, peer_addr, client_addr))
    };
    let (arrived, peer_addr, mut client_addr) = unless_aborted(permit, pin!(arriving)).await?;
    permit.heard();
    let request = match &arrived {
        Arrived::Upgrade(incoming) => incoming.shared_request(),
        Arrived::Page(page) => page.shared_request(),
    };
    let told = client_addr.map(|it| it.ip());
    let client = client_address(request.headers(), told, &core.trusted);
    if client != told {
        client_addr = client.map(|client| SocketAddr::new(client, 0));
    }
    let id = permit.id();
    let secure = door.is_secure();
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "nothing is added"))]
    let mut request = ClientRequest::new(request, id, client_addr, peer_addr, secure);
    let incoming = match arrived {
        Arrived::Upgrade(incoming) => {
            #[cfg(feature = "tls")]
            if let Some(shown) = incoming
                .get_ref()
                .tls()
                .and_then(|it| it.peer_certificates())
            {
                request.certificates = shown.to_vec();
            }
            incoming
        }
        Arrived::Page(page) => {
            Box::pin(core.show(page, request, &clock)).await;
            return None;
        }
    };
    let admitted = core.admit(&incoming, request, permit, &clock).await;
    let (handler, mut request) = match admitted {
        Ok(admitted) => admitted,
        Err(response) => {
            Box::pin(incoming.refuse(response)).await;
            return None;
        }
    };
    let subprotocol = core.subprotocols.pick(request.request.subprotocols());
    let headers = std::mem::take(&mut request.response_headers);
    match incoming.accept(subprotocol, headers).await {
        Ok(mut socket) => {
            socket.attach(permit.clone());
            let socket = host.socket(socket);
            Some(call::<H, _>(|| handler(socket, request)))
        }
        // `decide` has added a field that belongs to the handshake.
        Err(NotAccepted { incoming, .. }) => {
            Box::pin(incoming.refuse(text(500, FAILED))).await;
            None
        }
    }
}

/// Answers a connection that was not let in with 503, so that its client knows when to come back.
pub(super) async fn refuse<H: Host>(core: Arc<Core<H>>, host: H, io: Reached<H>, door: Arc<Door>) {
    let mut config = Config::clone(&core.config);
    config.handshake_timeout = Some(Core::<H>::REFUSING_TIME);
    config.write_timeout = Some(Core::<H>::REFUSING_TIME);
    config.close_timeout = Some(Core::<H>::REFUSING_TIME);
    config.max_head_size = config.max_head_size.min(8 << 10);
    let clock = host.clock();
    if let Some(connection) = connect(&core, io, &door, &clock).await {
        match accept_all(connection.stream, Arc::new(config)).await {
            Ok(Arrived::Upgrade(incoming)) => incoming.refuse(core.full()).await,
            Ok(Arrived::Page(page)) => page.respond(core.full()).await,
            Err(_) => {}
        }
    }
    core.refusing.fetch_sub(1, Ordering::Relaxed);
}

/// Waits for `step`. Returns `None` if the connection is to end.
async fn unless_aborted<T>(
    permit: &Permit,
    mut step: Pin<&mut impl Future<Output = Option<T>>>,
) -> Option<T> {
    poll_fn(|cx| {
        if permit.orders().poll_abort(cx) {
            return Poll::Ready(None);
        }
        step.as_mut().poll(cx)
    })
    .await
}

/// Reads the header of a proxy, and puts TLS over the connection. Returns `None` if the connection is to be closed.
async fn connect<H: Host>(
    core: &Core<H>,
    io: Reached<H>,
    door: &Door,
    clock: &H::Clock,
) -> Option<Connection<H>> {
    let (stream, peer_addr, client_addr) = match io {
        Reached::Tcp(mut io, peer) => {
            let client = core.proxied(&mut io, Some(peer), clock).await?;
            (ServerStream::tcp(secure(io, door)?), Some(peer), client)
        }
        Reached::Other(mut io) => {
            let client = core.proxied(&mut io, None, clock).await?;
            (ServerStream::other(secure(io, door)?), None, client)
        }
    };
    Some(Connection {
        stream,
        peer_addr,
        client_addr,
    })
}

/// Puts TLS over a connection, if its listener has TLS.
#[cfg_attr(not(feature = "tls"), allow(clippy::unnecessary_wraps))]
fn secure<S: Transport>(io: S, door: &Door) -> Option<OptionalTls<S>> {
    #[cfg(feature = "tls")]
    if let Some(tls) = &door.tls {
        let stream = crate::tls::TlsStream::server(io, tls.clone()).ok()?;
        return Some(OptionalTls::tls(stream));
    }
    let _ = door;
    Some(OptionalTls::unencrypted(io))
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

impl<H: Host> Core<H> {
    /// How long each step takes at most with a client that is refused because the server is full.
    const REFUSING_TIME: Duration = Duration::from_secs(1);

    /// Returns the address of the client, which a proxy sends in a header of its own if this server expects that.
    async fn proxied<S: Transport>(
        &self,
        io: &mut S,
        peer: Option<SocketAddr>,
        clock: &H::Clock,
    ) -> Option<Option<SocketAddr>> {
        if !self.expects_header(peer)? {
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

    /// Answers a request that asks for no upgrade.
    async fn show(&self, page: PageRequest<Stream<H>>, request: ClientRequest, clock: &H::Clock) {
        let response = match (self.routes.page(request.path()), &self.routes.fallback) {
            (Some(response), _) => response.clone(),
            (None, _) if self.routes.socket(request.path()).is_some() => {
                return page.refuse().await;
            }
            (None, Some(fallback)) => {
                let answer = self.answered(fallback, request, clock).await;
                answer.unwrap_or_else(|failure| failure)
            }
            (None, None) => text(404, "there is nothing at this path\n"),
        };
        page.respond(response).await;
    }

    /// Waits for an answer of the application, as long as a client may take for its request. Returns a response if the
    /// answer comes too late, or if the application has panicked.
    async fn answered<T>(
        &self,
        ask: impl Fn(ClientRequest) -> Boxed<T>,
        request: ClientRequest,
        clock: &H::Clock,
    ) -> Result<T, Response> {
        let (client_addr, asked) = (request.client_addr, request.request.clone());
        let timeout = self.config.handshake_timeout;
        let deadline = timeout.and_then(|timeout| clock.now().checked_add(timeout));
        let answer = async { Guarded(call::<H, _>(|| ask(request))?).await };
        let answer = within(answer, clock.clone(), deadline).await;
        // In blocking nothing interrupts the application, so the answer may come too late.
        let in_time = answer.filter(|_| deadline.is_none_or(|deadline| clock.now() <= deadline));
        let late = || self.unavailable("the server took too long to decide\n");
        in_time.ok_or_else(late)?.ok_or_else(|| {
            let path = asked.path().to_owned();
            self.report(&ServerError::Panicked { client_addr, path });
            text(500, FAILED)
        })
    }

    /// Decides whether a client may open a socket. Returns its handler, or the response to refuse with.
    async fn admit(
        &self,
        incoming: &Incoming<Stream<H>>,
        request: ClientRequest,
        permit: &Permit,
        clock: &H::Clock,
    ) -> Result<(Handler<H>, ClientRequest), Response> {
        let Some(handler) = self.routes.socket(request.path()).cloned() else {
            return Err(text(404, "there is no socket at this path\n"));
        };
        if !self.origins.with(|origins| incoming.is_from(origins)) {
            return Err(RequestError::ForeignOrigin.response());
        }
        // A client that comes through a proxy was not counted when the proxy connected. If it is not known, because the proxy
        // has passed on contradictions, the proxy is counted.
        let is_direct = |peer: SocketAddr| !self.is_proxy(peer.ip());
        if !request.peer_addr.is_some_and(is_direct) {
            let counted = match (request.client_addr, request.peer_addr) {
                (Some(client), _) => Some(client.ip()).filter(|_| is_direct(client)),
                (None, Some(peer)) => Some(peer.ip()),
                (None, None) => Some(Ipv4Addr::UNSPECIFIED.into()),
            };
            if counted.is_some_and(|counted| !permit.count(address_key(counted))) {
                return Err(self.full());
            }
        }
        let request = match &self.decide {
            None => request,
            Some(decide) => {
                let decision = self.answered(decide, request, clock);
                Box::pin(decision).await??
            }
        };
        let path = Path::Of(request.request.clone());
        if permit.open(clock.now(), request.client_addr, path) {
            Ok((handler, request))
        } else {
            Err(self.unavailable("the server is stopping\n"))
        }
    }
}

/// Calls a function of the application. Returns `None` if it panics.
fn call<H: Host, T>(f: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| H::call(f))).ok()
}

/// A future of the application, which ends with `None` if it panics.
struct Guarded<T>(Boxed<T>);

impl<T> Future for Guarded<T> {
    type Output = Option<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let future = &mut self.0;
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    }
}
