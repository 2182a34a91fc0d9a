use std::{fmt, sync::Arc};

#[cfg(feature = "tls")]
use bind::MaybeTls;
use bind::{
    Transport,
    proto::{
        Config, Negotiated, Role,
        handshake::{AnswerError, HandshakeError, Headers, Request, Response},
    },
};

use crate::{pipe::Io, run::Runner, socket::WebSocket, transport::BlockingTransport};

/// Reads the request of a client that has connected, to be accepted or refused.
///
/// ```no_run
/// # fn f(stream: std::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use bowline_blocking::{Config, Headers, Response, accept, };
///
/// // Small messages leave at once; on a stream of your own that is yours to decide.
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
/// On failure it drops the transport, after the client was told what is wrong.
///
/// # Errors
///
/// [`HandshakeError::Request`] if the client's request is not a valid opening handshake;
/// [`HandshakeError::TimedOut`] if it is not complete within
/// [`handshake_timeout`](Config::handshake_timeout), however busily the client sends;
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

/// Runs the handshake of TLS with a client that has connected, if there is a configuration for it, and reads
/// the client's request as [`accept`] does. [`handshake_timeout`](Config::handshake_timeout) is the deadline of
/// both together.
///
/// # Errors
///
/// As [`accept`]. [`HandshakeError::Lost`] if TLS fails, of which the client was told.
#[cfg(feature = "tls")]
pub fn accept_tls<S: BlockingTransport>(
    stream: S,
    tls: Option<Arc<bind::rustls::ServerConfig>>,
    config: impl Into<Arc<Config>>,
) -> Result<Incoming<MaybeTls<Io<S>>>, HandshakeError> {
    let config = config.into();
    let runner = Runner::new(stream.clock());
    let io = runner.over(stream, &config);
    let inner = runner.run(bind::accept_tls(io, tls, config))?;
    Ok(Incoming { inner, runner })
}

/// Opens the connection to whoever asks, from any page and for any path, without a subprotocol.
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

/// A WebSocket whose opening handshake somebody else has done: as a server with [`respond`], or as a
/// client.
///
/// `leftover` is what was read behind the handshake, at most 64 KiB; of more, the rest is lost and
/// the connection with it.
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
    let inner = bind::WebSocket::from_parts(io, leftover, negotiated, role, config);
    WebSocket::new(inner, runner)
}

/// A valid request, to be accepted or refused, however long that takes.
///
/// Meanwhile nothing is read or written, and no deadline runs. Dropped, the client gets no answer.
#[must_use = "the client waits for an answer"]
pub struct Incoming<S: Transport> {
    inner: bind::Incoming<S>,
    runner: Runner,
}

impl<S: Transport> Incoming<S> {
    /// What the client asks for: its target, origin, subprotocols and header fields.
    pub fn request(&self) -> &Request {
        self.inner.request()
    }

    /// Whether the page that asks is from one of `origins`; see
    /// [`handshake::Incoming::origin_allowed`](bind::proto::handshake::Incoming::origin_allowed).
    /// Refuse it with 403 if not.
    pub fn origin_allowed(&self, origins: &[&str]) -> bool {
        self.inner.origin_allowed(origins)
    }

    /// The first of the client's offers that is in `supported`; give it to [`accept`](Self::accept).
    pub fn pick_subprotocol(&self, supported: &[&str]) -> Option<&str> {
        self.inner.pick_subprotocol(supported)
    }

    /// The transport.
    pub fn get_ref(&self) -> &S {
        self.inner.get_ref()
    }

    /// Opens the connection. `extra` are more fields for the 101, such as cookies.
    ///
    /// When it returns the 101 has left, or the transport is lost, which the socket will tell.
    ///
    /// # Errors
    ///
    /// [`NotAccepted`] gives the request back, if the client did not offer `subprotocol`, or if a
    /// field is the handshake's own.
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

    /// Opens the connection as [`accept`](Self::accept) does, without a subprotocol and more fields,
    /// which cannot fail.
    pub fn open(self) -> WebSocket<S> {
        let inner = self.runner.run(self.inner.open());
        WebSocket::new(inner, self.runner)
    }

    /// Answers with `response` instead, and ends the transport once the client has ended its
    /// direction, so that no reset overtakes the answer; waits for that no longer than
    /// [`close_timeout`](Config::close_timeout).
    ///
    /// `Connection`, `Content-Length` and `Transfer-Encoding` are written as they have to be. A
    /// status below 200 or above 599 cannot refuse; it is sent as 500.
    pub fn refuse(self, response: Response) {
        self.runner.run(self.inner.refuse(response));
    }
}

impl<S: Transport> fmt::Debug for Incoming<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// The connection was not opened, and nothing was sent: the caller's side.
pub struct NotAccepted<S: Transport> {
    /// Why.
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
