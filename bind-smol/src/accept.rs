use std::sync::Arc;

use bind::proto::{Negotiated, handshake::HandshakeError};
use futures_io::{AsyncRead, AsyncWrite};

use crate::{Clock, Config, Incoming, Io, Role, WebSocket};

/// Reads the request of a client that has connected, to be accepted or refused.
///
/// ```no_run
/// # async fn f(stream: smol::net::TcpStream) -> Result<(), Box<dyn std::error::Error>> {
/// use std::sync::Arc;
/// use bowline_smol::{Headers, Response, accept, config};
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
/// [`handshake_timeout`](Config::handshake_timeout).
pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Arc<Config>,
) -> impl Future<Output = Result<Incoming<S>, HandshakeError>> {
    bind::accept(Io(stream), config, Clock::new())
}

/// Opens the connection to whoever asks, from any page and for any path, without a subprotocol.
///
/// # Errors
///
/// As [`accept`].
pub fn accept_any<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    config: &Arc<Config>,
) -> impl Future<Output = Result<WebSocket<S>, HandshakeError>> {
    bind::accept_any(Io(stream), config, Clock::new())
}

/// A WebSocket whose opening handshake somebody else has done: as a server with [`respond`], or as a
/// client.
///
/// `leftover` is what was read behind the handshake, at most 64 KiB; of more, the rest is lost and
/// the connection with it.
///
/// Below hyper, with smol-hyper:
///
/// ```no_run
/// # use std::sync::Arc;
/// # use bowline_smol::{Config, RequestError};
/// use bowline_smol::{Headers, HttpVersion, Role, from_parts, respond};
/// use hyper::{Request, Version, body::Incoming, upgrade};
/// use smol::net::TcpStream;
/// use smol_hyper::rt::FuturesIo;
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
///     let opened = smol::spawn(async move {
///         // Resolves when the 101 has left.
///         let upgraded = upgrade::on(request).await?;
///         // What was given to hyper, which does not have the traits of futures-io itself.
///         let parts = upgraded.downcast::<FuturesIo<TcpStream>>().map_err(|_| "not over TCP")?;
///         let stream = parts.io.into_inner();
///         let mut socket = from_parts(stream, &parts.read_buf, negotiated, Role::Server, &config);
///         socket.send("welcome").await?;
///         socket.close(None).await?;
///         Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
///     });
///     opened.detach();
///     Ok(headers)
/// }
/// ```
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

/// A WebSocket of a server, on a connection that the HTTP server which hosts it has upgraded, if that
/// has the traits of futures-io; else see [`from_parts`].
pub fn from_upgraded<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    negotiated: Negotiated,
    config: &Arc<Config>,
) -> WebSocket<S> {
    from_parts(stream, &[], negotiated, Role::Server, config)
}
