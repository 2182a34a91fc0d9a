//! Driving the opening handshake (RFC 6455 §4).
//!
//! A task reserves memory for the largest of its futures as long as it lives. A handshake needs more than the socket
//! that it returns, so its futures are boxed.

use std::{
    fmt,
    future::poll_fn,
    io,
    sync::Arc,
    task::{Context, Poll},
};

use proto::{
    Config, Connection, Instant, Lost, Negotiated, Role,
    handshake::{
        self, AnswerError, Exchange, HandshakeError, Headers, Origins, Request, Response, Server,
    },
};

use crate::{
    error::lost,
    socket::{WebSocket, drive},
    trace,
    transport::{Timer, Transport},
    wakers::Key,
    wire::Wire,
};

/// Reads the request of a client that has connected.
///
/// All state is in the future: dropping the future drops the transport. On failure the client is sent the reason, and
/// the transport is dropped once the client has ended its direction, or
/// [`close_timeout`](proto::Config::close_timeout) has passed.
///
/// # Errors
///
/// [`HandshakeError::Request`] if the client's request is not a valid opening handshake; [`HandshakeError::TimedOut`]
/// if the request is not complete within [`handshake_timeout`](proto::Config::handshake_timeout), even if the client
/// keeps sending.
pub fn accept<S: Transport>(
    io: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<Incoming<S>, HandshakeError>> {
    let config = config.into();
    Box::pin(async move {
        let (incoming, link) = read(io, config, Server::poll).await?;
        let incoming = Box::new(incoming);
        Ok(Incoming { incoming, link })
    })
}

/// Reads a client's request as [`accept`] does, but also one that asks for no upgrade.
pub(crate) fn accept_all<S: Transport>(
    io: S,
    config: Arc<Config>,
) -> impl Future<Output = Result<Arrived<S>, HandshakeError>> {
    Box::pin(async move {
        let (arrived, link) = read(io, config, Server::poll_any).await?;
        Ok(match arrived {
            handshake::Arrived::Upgrade(incoming) => {
                let incoming = Box::new(incoming);
                Arrived::Upgrade(Incoming { incoming, link })
            }
            handshake::Arrived::Page(request) => {
                let request = Box::new(request);
                Arrived::Page(PageRequest { request, link })
            }
        })
    })
}

/// A request that a server has read.
pub(crate) enum Arrived<S: Transport> {
    Upgrade(Incoming<S>),
    /// It asks for no upgrade.
    Page(PageRequest<S>),
}

/// Reads until `poll` returns a request.
async fn read<S: Transport, T>(
    io: S,
    config: Arc<Config>,
    poll: impl Fn(&mut Server) -> Result<Option<T>, HandshakeError>,
) -> Result<(T, Box<Link<S>>), HandshakeError> {
    let mut server = Server::new(config);
    let mut link = Box::new(Link::new(io));
    let error = loop {
        match poll(&mut server) {
            Ok(Some(request)) => return Ok((request, link)),
            Ok(None) => link.serve(server.exchange()).await,
            Err(error) => break error,
        }
    };
    link.serve_to_end(server.exchange()).await;
    trace::not_accepted(link.wire.get_ref(), &error);
    Err(error)
}

/// Opens the connection for any client, from any page and for any path, without a subprotocol.
///
/// # Errors
///
/// As [`accept`].
pub fn accept_any<S: Transport>(
    io: S,
    config: impl Into<Arc<Config>>,
) -> impl Future<Output = Result<WebSocket<S>, HandshakeError>> {
    let incoming = accept(io, config);
    Box::pin(async move { Ok(incoming.await?.open().await) })
}

/// Makes a socket of a connection whose opening handshake is done, for example by an HTTP server that hosts it (see
/// [`handshake::respond`]). `leftover` is what was read after the handshake, at most 64 KiB. If there is more, the
/// remainder is lost and the connection fails.
pub fn from_parts<S: Transport>(
    io: S,
    leftover: &[u8],
    negotiated: Negotiated,
    role: Role,
    config: impl Into<Arc<Config>>,
) -> WebSocket<S> {
    let mut connection = Connection::new(role, negotiated, config);
    if connection.receive(leftover) < leftover.len() {
        connection.handle_error(Lost::Failed);
    }
    drive(connection, io)
}

/// A valid request, to be accepted or refused, after as long a time as that takes.
///
/// Meanwhile nothing is read or written, and no deadline runs. If it is dropped, the client gets no answer.
#[must_use = "the client waits for an answer"]
pub struct Incoming<S: Transport> {
    incoming: Box<handshake::Incoming>,
    link: Box<Link<S>>,
}

impl<S: Transport> Incoming<S> {
    /// Returns the client's request: its target, origin, subprotocols and header fields.
    pub fn request(&self) -> &Request {
        self.incoming.request()
    }

    /// Whether the request came from a page of one of `origins`. If it did not, refuse it with 403. See
    /// [`handshake::Incoming::origin_allowed`].
    pub fn origin_allowed(&self, origins: &[&str]) -> bool {
        self.incoming.origin_allowed(origins)
    }

    /// Returns the first of the client's offers that is in `supported`; pass it to [`accept`](Self::accept).
    pub fn pick_subprotocol(&self, supported: &[&str]) -> Option<&str> {
        self.incoming.pick_subprotocol(supported)
    }

    pub(crate) fn shared_request(&self) -> Arc<Request> {
        self.incoming.shared_request()
    }

    /// Whether the request came from a page that `origins` names, such as one of the server's own host
    /// ([`Origins::SameHost`]). If it did not, refuse it with 403.
    pub fn is_from(&self, origins: Origins<'_>) -> bool {
        self.incoming.is_from(origins)
    }

    /// Returns the transport.
    pub fn get_ref(&self) -> &S {
        self.link.wire.get_ref()
    }

    /// Opens the connection. `extra` holds more fields for the 101 response, such as cookies.
    ///
    /// When the future resolves, the 101 was sent or the transport is lost, which the socket will report. Dropping
    /// the future before that drops the transport.
    ///
    /// # Errors
    ///
    /// [`NotAccepted`] returns the request if the client did not offer `subprotocol`, or if a field in `extra`
    /// belongs to the handshake itself.
    pub async fn accept(
        self,
        subprotocol: Option<&str>,
        extra: Headers,
    ) -> Result<WebSocket<S>, NotAccepted<S>> {
        let Self { incoming, link } = self;
        let connection = match incoming.accept(subprotocol, extra) {
            Ok(connection) => connection,
            Err(handshake::NotAccepted { error, incoming }) => {
                let incoming = Box::new(Self { incoming, link });
                return Err(NotAccepted { error, incoming });
            }
        };
        Ok(Box::pin(link.open(connection)).await)
    }

    /// Opens the connection as [`accept`](Self::accept) does, without a subprotocol or extra fields. It cannot fail.
    pub async fn open(self) -> WebSocket<S> {
        let connection = self.incoming.open();
        Box::pin(self.link.open(connection)).await
    }

    /// Answers with `response` instead. Then waits for at most [`close_timeout`](proto::Config::close_timeout) until
    /// the client has ended its direction, so that no reset overtakes the answer, and ends the transport. Dropping
    /// the future drops the transport.
    ///
    /// `Connection`, `Content-Length` and `Transfer-Encoding` are set as the response requires. A status below 200 or
    /// above 599 cannot refuse, and is sent as 500.
    pub async fn refuse(mut self, response: Response) {
        let mut exchange = Box::new(self.incoming.refuse(response));
        self.link.serve_to_end(&mut exchange).await;
    }
}

impl<S: Transport> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.incoming.fmt(f)
    }
}

/// An error of the caller: the connection was not opened, and nothing was sent.
pub struct NotAccepted<S: Transport> {
    /// The reason.
    pub error: AnswerError,
    /// The request, which still waits for an answer.
    pub incoming: Box<Incoming<S>>,
}

impl<S: Transport> fmt::Debug for NotAccepted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NotAccepted").field(&self.error).finish()
    }
}

impl<S: Transport> fmt::Display for NotAccepted<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<S: Transport> std::error::Error for NotAccepted<S> {}

/// A request that asks for no upgrade. If it is dropped, the client gets no answer.
pub(crate) struct PageRequest<S: Transport> {
    request: Box<handshake::PageRequest>,
    link: Box<Link<S>>,
}

impl<S: Transport> PageRequest<S> {
    pub(crate) fn shared_request(&self) -> Arc<Request> {
        self.request.shared_request()
    }

    /// Answers, and ends the transport as [`Incoming::refuse`] does.
    pub(crate) async fn respond(self, response: Response) {
        self.end(|request| request.respond(response)).await;
    }

    /// Answers with 426, because there is only a socket.
    pub(crate) async fn refuse(self) {
        self.end(handshake::PageRequest::refuse).await;
    }

    async fn end(self, answer: impl FnOnce(handshake::PageRequest) -> Exchange) {
        let Self { request, mut link } = self;
        let mut exchange = Box::new(answer(*request));
        link.serve_to_end(&mut exchange).await;
    }
}

/// A transport with its clock, over which a handshake is driven.
pub(crate) struct Link<S: Transport> {
    wire: Wire<S>,
    clock: S::Clock,
    /// The first error of the transport.
    error: Option<io::Error>,
    /// The number of passes since the task last waited.
    passes: u32,
}

impl<S: Transport> Link<S> {
    /// The number of passes without waiting after which other tasks may run.
    const MAX_PASSES: u32 = 32;

    pub(crate) fn new(io: S) -> Self {
        Self {
            clock: io.clock(),
            wire: Wire::new(io),
            error: None,
            passes: 0,
        }
    }

    /// Returns a socket over the same transport.
    pub(crate) fn into_socket(self, connection: Connection) -> WebSocket<S> {
        WebSocket::over(connection, self.wire, self.clock)
    }

    /// Returns the transport.
    pub(crate) fn into_io(self) -> S {
        self.wire.into_io()
    }

    /// Returns the first error of the transport.
    #[cfg(feature = "tls")]
    pub(crate) fn into_error(self) -> Option<io::Error> {
        self.error
    }

    /// Returns a socket whose output begins with the remainder of the handshake, once that is sent.
    async fn open(self: Box<Self>, connection: Connection) -> WebSocket<S> {
        let mut socket = self.into_socket(connection);
        poll_fn(|cx| socket.poll_output(Key::METHOD, cx, |output, cx| output.poll(cx))).await;
        socket
    }

    /// Serves `exchange` until something has happened that the handshake has to look at.
    pub(crate) async fn serve(&mut self, exchange: &mut Exchange) {
        poll_fn(|cx| {
            if self.passes >= Self::MAX_PASSES {
                self.passes = 0;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            let polled = self.poll(exchange, cx);
            self.passes = if polled.is_ready() {
                self.passes + 1
            } else {
                0
            };
            polled
        })
        .await;
    }

    /// Ends our direction, if the transport takes that now. TLS announces the end (RFC 8446 §6.1).
    pub(crate) async fn shut_down(&mut self) {
        poll_fn(|cx| {
            let _ = self.wire.poll_shutdown(cx);
            Poll::Ready(())
        })
        .await;
    }

    async fn serve_to_end(&mut self, exchange: &mut Exchange) {
        while !exchange.is_done() {
            self.serve(exchange).await;
        }
    }

    fn poll(&mut self, exchange: &mut Exchange, cx: &mut Context<'_>) -> Poll<()> {
        self.write(exchange, cx);
        if exchange.wants_shutdown() {
            let _ = self.wire.poll_shutdown(cx);
        }
        // Input is read before a deadline is judged, but does not postpone the deadline.
        let moved = self.read(exchange, cx);
        // No timer is set if there was input, because the next pass follows at once.
        let waits = !moved || self.passes + 1 >= Self::MAX_PASSES;
        let timed = exchange.poll_timeout().is_some_and(|deadline| {
            deadline <= Instant::EPOCH || waits && self.clock.poll_until(cx, deadline).is_ready()
        });
        if timed {
            exchange.handle_timeout(self.clock.now());
        }
        if moved || timed || exchange.is_done() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn write(&mut self, exchange: &mut Exchange, cx: &mut Context<'_>) {
        if self.error.is_some() {
            return;
        }
        let result = loop {
            let Some(bytes) = exchange.transmit() else {
                if !self.wire.is_unflushed() {
                    return;
                }
                break self.wire.poll_flush(cx);
            };
            match self.wire.poll_write(cx, bytes) {
                Poll::Ready(Ok(())) => {}
                stopped => break stopped,
            }
            exchange.handle_sent(false);
        };
        match result {
            Poll::Ready(Ok(())) => exchange.handle_sent(true),
            // Read what the peer sent before, because it may say why.
            Poll::Ready(Err(error)) => self.error = Some(error),
            Poll::Pending => exchange.handle_sent(false),
        }
    }

    /// Reads. Returns whether there was input, or the end.
    fn read(&mut self, exchange: &mut Exchange, cx: &mut Context<'_>) -> bool {
        let read = match exchange.recv_buf() {
            Some(buf) => self.wire.poll_read(cx, buf),
            None => Poll::Pending,
        };
        match (read, &self.error) {
            (Poll::Ready(Ok(0)), _) => exchange.handle_eof(),
            (Poll::Ready(Ok(len)), _) => exchange.handle_input(len),
            (Poll::Ready(Err(error)), _) => {
                exchange.handle_error(lost(&error));
                self.error.get_or_insert(error);
            }
            (Poll::Pending, Some(error)) => exchange.handle_error(lost(error)),
            (Poll::Pending, None) => return false,
        }
        true
    }
}
