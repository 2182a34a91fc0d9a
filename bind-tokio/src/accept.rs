use std::sync::Arc;

use bind::proto::{Lost, Negotiated, handshake::HandshakeError};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{Clock, Config, Incoming, Io, Role, WebSocket, io::in_runtime};

/// Reads the request of a client that has connected, to be accepted or refused.
///
/// ```no_run
/// # async fn f(stream: tokio::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use bowline_tokio::{Headers, Response, accept, config};
///
/// // Small messages leave at once; on a stream of your own that is yours to decide.
/// stream.set_nodelay(true)?;
/// let incoming = accept(stream, &Arc::new(config())).await?;
/// if !incoming.origin_allowed(&["https://chat.example"]) {
///     incoming.refuse(Response::new(403, "not from there\n")).await;
///     return Ok(());
/// }
/// let mut socket = incoming.accept(None, Headers::new()).await?;
/// socket.send("welcome").await?;
/// # Ok(()) }
/// ```
///
/// All state is in the future: dropped, it drops the transport. So it does on failure, after the
/// client was told what is wrong.
///
/// # Errors
///
/// [`HandshakeError::Request`] if the client's request is not a valid opening handshake;
/// [`HandshakeError::TimedOut`] if it is not complete within
/// [`handshake_timeout`](Config::handshake_timeout); [`HandshakeError::Lost`] outside of a runtime, if
/// there is such a deadline.
///
/// # Panics
///
/// On a runtime without timers; see [Runtimes](crate#runtimes).
pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Arc<Config>,
) -> impl Future<Output = Result<Incoming<S>, HandshakeError>> {
    let timed = config.handshake_timeout.is_some();
    let accepted = bind::accept(Io(stream), config, Clock::new());
    async move {
        may_wait(timed)?;
        accepted.await
    }
}

/// Opens the connection to whoever asks, from any page and for any path, without a subprotocol.
///
/// # Errors
///
/// As [`accept`].
///
/// # Panics
///
/// As [`accept`].
pub fn accept_any<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Arc<Config>,
) -> impl Future<Output = Result<WebSocket<S>, HandshakeError>> {
    let timed = config.handshake_timeout.is_some();
    let accepted = bind::accept_any(Io(stream), config, Clock::new());
    async move {
        may_wait(timed)?;
        accepted.await
    }
}

fn may_wait(timed: bool) -> Result<(), HandshakeError> {
    if timed && in_runtime().is_err() {
        return Err(HandshakeError::Lost(Lost::Failed));
    }
    Ok(())
}

/// A WebSocket whose opening handshake somebody else has done: as a server with [`respond`], or as a
/// client.
///
/// `leftover` is what was read behind the handshake, at most 64 KiB; of more, the rest is lost and
/// the connection with it.
///
/// [`respond`]: crate::respond
pub fn from_parts<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    leftover: &[u8],
    negotiated: Negotiated,
    role: Role,
    config: &Arc<Config>,
) -> WebSocket<S> {
    bind::WebSocket::from_parts(Io(stream), leftover, negotiated, role, config, Clock::new())
}

/// A WebSocket of a server, on a connection that the HTTP server which hosts it has upgraded.
///
/// With hyper:
///
/// ```no_run
/// # use std::sync::Arc;
/// # use bowline_tokio::{Config, RequestError};
/// use bowline_tokio::{Headers, HttpVersion, from_upgraded, respond};
/// use hyper::{Request, Version, body::Incoming, upgrade};
/// use hyper_util::rt::TokioIo;
///
/// /// The fields of the 101.
/// fn upgrade(request: Request<Incoming>, config: Arc<Config>) -> Result<Headers, RequestError> {
///     let fields = request.headers().iter();
///     let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
///     let version = match request.version() {
///         Version::HTTP_10 => HttpVersion::Http10,
///         Version::HTTP_11 => HttpVersion::Http11,
///         _ => HttpVersion::Other, // With the feature `http`, `into` knows.
///     };
///     let method = request.method().as_str();
///     // Only for the pages of one site, and for clients that are no browsers (RFC 6455 §10.2).
///     let origins = Some(&["https://chat.example"][..]);
///     let (headers, negotiated) = respond(version, method, fields, &[], origins, &config)?;
///     tokio::spawn(async move {
///         // Resolves when the 101 has left.
///         let upgraded = upgrade::on(request).await?;
///         let mut socket = from_upgraded(TokioIo::new(upgraded), negotiated, &config);
///         socket.send("welcome").await?;
///         socket.close(None).await?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
///     });
///     Ok(headers)
/// }
/// ```
pub fn from_upgraded<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    negotiated: Negotiated,
    config: &Arc<Config>,
) -> WebSocket<S> {
    from_parts(stream, &[], negotiated, Role::Server, config)
}
