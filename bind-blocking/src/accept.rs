use std::{fmt, sync::Arc};

#[cfg(feature = "tls")]
use bind::OptionalTls;
use bind::{
    Transport,
    proto::{
        Config, Negotiated, Role,
        handshake::{AnswerError, HandshakeError, Headers, Origins, Request, Response},
    },
};

use crate::{clock::Clock, pipe::Io, run::Runner, socket::WebSocket, transport::BlockingTransport};

/// Reads the request of a client that has connected. The caller then accepts or refuses it.
///
/// ```no_run
/// # fn f(stream: std::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use bowline_blocking::{Config, Headers, Response, accept, };
///
/// // Small messages are sent at once. Set this yourself, because the stream is yours.
/// stream.set_nodelay(true)?;
/// let incoming = accept(stream, Config::default())?;
/// if !incoming.origin_allowed(&["https://chat.example"]) {
///     incoming.refuse(Response::new(403, "not from there\n"));
///     return Ok(());
/// }
/// let mut socket = incoming.accept(None, Headers::new())?;
/// socket.send("welcome")?;
/// # Ok(()) }
/// ```
///
/// On failure the client is sent the reason. The transport is dropped once the client has ended its direction, or
/// [`close_timeout`](Config::close_timeout) has passed.
///
/// # Errors
///
/// [`HandshakeError::Request`] if the client's request is not a valid opening handshake;
/// [`HandshakeError::TimedOut`] if the request is not complete within
/// [`handshake_timeout`](Config::handshake_timeout), even if the client keeps sending;
/// [`HandshakeError::Lost`] if the transport fails.
pub fn accept<S: BlockingTransport>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> Result<Incoming<Io<S>>, HandshakeError> {
    let config = config.into();
    let runner = Runner::new(stream.clock());
    let io = runner.over(stream, &config);
    let inner = runner.run(bind::accept(io, config))?;
    Ok(Incoming { inner, runner })
}

/// Runs the TLS handshake with a client that has connected, if `tls` is given, and reads the client's
/// request as [`accept`] does. [`handshake_timeout`](Config::handshake_timeout) bounds both together.
///
/// # Errors
///
/// As [`accept`]. [`HandshakeError::Lost`] if TLS fails; the client has then received a TLS alert.
#[cfg(feature = "tls")]
pub fn accept_tls<S: BlockingTransport>(
    stream: S,
    tls: Option<Arc<bind::rustls::ServerConfig>>,
    config: impl Into<Arc<Config>>,
) -> Result<Incoming<OptionalTls<Io<S>>>, HandshakeError> {
    let config = config.into();
    let runner = Runner::new(stream.clock());
    let io = runner.over(stream, &config);
    let inner = runner.run(bind::accept_tls(io, tls, config))?;
    Ok(Incoming { inner, runner })
}

/// Opens the connection for any client, from any page and for any path, without a subprotocol.
///
/// # Errors
///
/// As [`accept`].
pub fn accept_any<S: BlockingTransport>(
    stream: S,
    config: impl Into<Arc<Config>>,
) -> Result<WebSocket<Io<S>>, HandshakeError> {
    Ok(accept(stream, config)?.open())
}

/// Makes a WebSocket of a connection whose opening handshake is done: as a server with [`respond`], or
/// as a client.
///
/// `leftover` is what was read after the handshake, at most 64 KiB. If there is more, the remainder is
/// lost and the connection fails.
///
/// [`respond`]: crate::respond
pub fn from_parts<S: BlockingTransport>(
    stream: S,
    leftover: &[u8],
    negotiated: Negotiated,
    role: Role,
    config: impl Into<Arc<Config>>,
) -> WebSocket<Io<S>> {
    let config = config.into();
    let runner = Runner::new(stream.clock());
    let io = runner.over(stream, &config);
    let inner = bind::from_parts(io, leftover, negotiated, role, config);
    WebSocket::new(inner, runner)
}

/// Returns a client and a server that are connected to each other in memory, for tests. Each needs a thread of its own. See
/// [`bind::pair`].
pub fn pair(config: impl Into<Arc<Config>>) -> (WebSocket<InMemory>, WebSocket<InMemory>) {
    let (client, server) = bind::pair(Clock::default(), config);
    let socket = |inner| WebSocket::new(inner, Runner::new(Clock::default()));
    (socket(client), socket(server))
}

/// The transport of a [`pair`].
pub type InMemory = bind::InMemory<Clock>;

/// A valid request, to be accepted or refused, after as long a time as that takes.
///
/// Meanwhile nothing is read or written, and no deadline runs. If it is dropped, the client gets no
/// answer.
#[must_use = "the client waits for an answer"]
pub struct Incoming<S: Transport> {
    inner: bind::Incoming<S>,
    runner: Runner,
}

impl<S: Transport> Incoming<S> {
    /// Returns the client's request: its target, origin, subprotocols and header fields.
    pub fn request(&self) -> &Request {
        self.inner.request()
    }

    /// Whether the request came from a page of one of `origins`. If it did not, refuse it with 403. See
    /// [`handshake::Incoming::origin_allowed`](bind::proto::handshake::Incoming::origin_allowed).
    pub fn origin_allowed(&self, origins: &[&str]) -> bool {
        self.inner.origin_allowed(origins)
    }

    /// Whether the request came from a page that `origins` names, such as one of the server's own host
    /// ([`Origins::SameHost`]). If it did not, refuse it with 403.
    pub fn is_from(&self, origins: Origins<'_>) -> bool {
        self.inner.is_from(origins)
    }

    /// Returns the first of the client's offers that is in `supported`; pass it to
    /// [`accept`](Self::accept).
    pub fn pick_subprotocol(&self, supported: &[&str]) -> Option<&str> {
        self.inner.pick_subprotocol(supported)
    }

    /// Returns the transport.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref()
    }

    /// Opens the connection. `extra` holds more fields for the 101 response, such as cookies.
    ///
    /// When this returns, the 101 was sent or the transport is lost, which the socket will report.
    ///
    /// # Errors
    ///
    /// [`NotAccepted`] returns the request if the client did not offer `subprotocol`, or if a field in
    /// `extra` belongs to the handshake itself.
    pub fn accept(
        self,
        subprotocol: Option<&str>,
        extra: Headers,
    ) -> Result<WebSocket<S>, NotAccepted<S>> {
        let runner = self.runner;
        match runner.run(self.inner.accept(subprotocol, extra)) {
            Ok(inner) => Ok(WebSocket::new(inner, runner)),
            Err(bind::NotAccepted { error, incoming }) => {
                let inner = *incoming;
                let incoming = Box::new(Self { inner, runner });
                Err(NotAccepted { error, incoming })
            }
        }
    }

    /// Opens the connection as [`accept`](Self::accept) does, without a subprotocol or extra fields. It
    /// cannot fail.
    pub fn open(self) -> WebSocket<S> {
        let inner = self.runner.run(self.inner.open());
        WebSocket::new(inner, self.runner)
    }

    /// Answers with `response` instead. Then waits for at most [`close_timeout`](Config::close_timeout)
    /// until the client has ended its direction, so that no reset overtakes the answer, and ends the
    /// transport.
    ///
    /// `Connection`, `Content-Length` and `Transfer-Encoding` are set as the response requires. A status
    /// below 200 or above 599 cannot refuse, and is sent as 500.
    pub fn refuse(self, response: Response) {
        self.runner.run(self.inner.refuse(response));
    }
}

impl<S: Transport> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
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
