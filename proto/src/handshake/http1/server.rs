//! The server's half of the opening handshake (RFC 6455 §4.2).

use alloc::{borrow::ToOwned, boxed::Box, format, string::String, sync::Arc};
use core::fmt;

use bytes::Bytes;

use super::{
    check::{check_extra, check_headers, check_method, switch},
    error::{HandshakeError, RequestError},
    exchange::{Exchange, Remainder},
    head::{Found, Head},
    response::Response,
};
use crate::{
    config::{Config, Role},
    connection::Connection,
    handshake::{
        answer::{Answer, Asked},
        error::AnswerError,
        headers::Headers,
        origin,
        request::{Request, is_origin_form},
    },
    text::utf8::Utf8Bytes,
};

/// The server's half of the opening handshake: reads the request.
#[derive(Debug)]
pub struct Server {
    exchange: Exchange,
    head: Head,
    line: Option<RequestLine>,
}

/// The content of the request line of a GET (RFC 9112 §3).
#[derive(Debug)]
struct RequestLine {
    target: Utf8Bytes,
    /// The host of a target in absolute form.
    host: Option<Bytes>,
}

impl Server {
    /// Waits for a request, at most [`handshake_timeout`](Config::handshake_timeout) from the first time that the
    /// driver passes to the exchange.
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        let config = config.into();
        Self {
            head: Head::new(config.max_head_size),
            exchange: Exchange::new(config),
            line: None,
        }
    }

    /// Returns the bytes and the deadline, which a driver must serve.
    pub const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Returns the request after all of it has come, to be accepted or refused, or `None` when more input is
    /// needed.
    ///
    /// An error comes only once. After it, serve the [`exchange`](Self::exchange) until it
    /// [`is_done`](Exchange::is_done), because it still sends the client the reason. The work of a call is bounded
    /// by what was received since the last call.
    pub fn poll(&mut self) -> Result<Option<Incoming>, HandshakeError> {
        if !self.exchange.is_reading() {
            return Ok(None);
        }
        let error = match self.read() {
            Ok(Some(incoming)) => return Ok(Some(incoming)),
            Ok(None) => match self.exchange.ended() {
                Some(error) => error,
                None => return Ok(None),
            },
            Err(error) => error.into(),
        };
        match &error {
            HandshakeError::Request(error) => self.exchange.refuse(error.response()),
            HandshakeError::TimedOut if self.exchange.has_heard() => {
                self.exchange
                    .refuse(Response::text(408, "the request took too long"));
            }
            _ => self.exchange.finish(),
        }
        Err(error)
    }

    fn read(&mut self) -> Result<Option<Incoming>, RequestError> {
        let config = self.exchange.config().clone();
        let input = self.exchange.received();
        loop {
            match self.head.find(input, &config)? {
                None => return Ok(None),
                Some(Found::StartLine(range)) => {
                    self.line = Some(RequestLine::parse(input.get(range).unwrap_or_default())?);
                }
                Some(Found::Fields(range)) => {
                    let end = range.end;
                    let fields = Bytes::copy_from_slice(input.get(range).unwrap_or_default());
                    let mut headers = self.head.parse_fields(fields)?;
                    let line = self.line.take().ok_or(RequestError::Syntax)?;
                    let accept = check_headers(&headers)?;
                    if let Some(host) = line.host {
                        // RFC 9112 §3.2.2: "MUST ignore the received Host … and instead use the host
                        // information of the request-target".
                        headers.set("Host", host);
                    }
                    let request = Request::from_parts(line.target, headers);
                    self.exchange.consume(end);
                    let remainder = self.exchange.take_remainder();
                    return Ok(Some(Incoming {
                        request,
                        accept,
                        config,
                        remainder,
                    }));
                }
            }
        }
    }
}

impl RequestLine {
    fn parse(line: &[u8]) -> Result<Self, RequestError> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = request.parse(line);
        if parsed == Err(httparse::Error::Version) && is_other_version(line) {
            return Err(RequestError::Version);
        }
        let (Ok(_), Some(method), Some(target), Some(version)) =
            (parsed, request.method, request.path, request.version)
        else {
            return Err(RequestError::Syntax);
        };
        if version != 1 {
            return Err(RequestError::Http10);
        }
        check_method(method)?;
        Self::parse_target(target).ok_or(RequestError::Target)
    }

    /// Parses the target. §4.2.1, item 1: "a Request-URI", which is a path with a query, or a whole http(s) URI.
    fn parse_target(target: &str) -> Option<Self> {
        if is_origin_form(target) {
            return Some(Self {
                target: Utf8Bytes::from(target),
                host: None,
            });
        }
        let (scheme, rest) = target.split_once("://")?;
        if !scheme.eq_ignore_ascii_case("http") && !scheme.eq_ignore_ascii_case("https") {
            return None;
        }
        let (host, rest) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let path = if rest.starts_with('/') {
            rest.to_owned()
        } else {
            format!("/{rest}")
        };
        let valid = origin::is_authority(host) && is_origin_form(&path);
        valid.then(|| Self {
            target: path.into(),
            host: Some(Bytes::copy_from_slice(host.as_bytes())),
        })
    }
}

/// Whether the line belongs to another version of HTTP (RFC 9112 §2.3).
fn is_other_version(line: &[u8]) -> bool {
    let mut words = line.trim_ascii_end().split(|&byte| byte == b' ').skip(2);
    match (words.next(), words.next()) {
        (Some([b'H', b'T', b'T', b'P', b'/', major, b'.', minor]), None) => {
            major.is_ascii_digit() && minor.is_ascii_digit()
        }
        _ => false,
    }
}

/// A valid request, to be accepted or refused, however long that takes.
///
/// Until then nothing is read or written, and no deadline runs.
#[derive(Debug)]
#[must_use = "the client waits for an answer"]
pub struct Incoming {
    request: Request,
    /// The `Sec-WebSocket-Accept` of the answer.
    accept: String,
    config: Arc<Config>,
    /// Bytes that the client sent after its head, although it should wait for our answer.
    remainder: Remainder,
}

impl Incoming {
    /// Returns the client's request. If its target was in absolute form, `Host` is the target's host.
    pub const fn request(&self) -> &Request {
        &self.request
    }

    /// Whether the page that sent the request is from one of `origins`, each written like `https://chat.example`.
    /// Scheme and host are compared as a whole and without case, and a default port equals none. A client that
    /// sends no origin passes, because it is not a browser; `null` passes only if it is listed.
    ///
    /// RFC 6455 §10.2: servers "that are not intended to process input from any web page but only for certain sites
    /// SHOULD verify the |Origin|"; refuse others with 403.
    pub fn origin_allowed(&self, origins: &[&str]) -> bool {
        self.asked().origin_allowed(origins)
    }

    /// Returns the first of the client's offers that is in `supported`; pass it to [`accept`](Self::accept).
    pub fn pick_subprotocol(&self, supported: &[&str]) -> Option<&str> {
        self.asked().pick_subprotocol(supported)
    }

    /// Opens the connection, whose output begins with the 101 (RFC 6455 §4.2.2). `extra` are more fields for it,
    /// such as cookies. The deadlines begin with the first time that the driver passes to the connection.
    ///
    /// Returns an error, and sends nothing, if the client did not offer `subprotocol`, or if `extra` has a field
    /// that only the handshake may write. The error returns the request to the caller.
    pub fn accept(
        self,
        subprotocol: Option<&str>,
        extra: Headers,
    ) -> Result<Connection, NotAccepted> {
        let answer = self.asked().answer(subprotocol, &self.config);
        match answer.and_then(|answer| check_extra(&extra).map(|()| answer)) {
            Ok(answer) => Ok(self.switch(answer, extra)),
            Err(error) => Err(NotAccepted {
                error,
                incoming: Box::new(self),
            }),
        }
    }

    /// Opens the connection as [`accept`](Self::accept) does, but without a subprotocol and without more fields. It
    /// cannot fail.
    pub fn open(self) -> Connection {
        let answer = self.asked().agree(None, &self.config);
        self.switch(answer, Headers::new())
    }

    /// Returns the client's request, which was checked when it was read.
    const fn asked(&self) -> Asked<'_> {
        Asked::checked(self.request.headers())
    }

    fn switch(self, answer: Answer, extra: Headers) -> Connection {
        let mut response = Response::new(101, Bytes::new());
        let (headers, negotiated) = switch(self.accept, answer);
        response.headers = headers;
        response.headers.append(extra);
        let mut connection = Connection::new(Role::Server, negotiated, self.config);
        connection.preface(&response.encode_head());
        self.remainder.hand_to(&mut connection);
        connection
    }

    /// Refuses the request with `response`. Serve the returned exchange until it [`is_done`](Exchange::is_done).
    ///
    /// `Connection`, `Content-Length` and `Transfer-Encoding` are set to what is needed. A status below 200 or
    /// above 599 cannot refuse a request, so it is sent as 500.
    pub fn refuse(self, response: Response) -> Exchange {
        Exchange::refusal(self.config, response, &self.remainder)
    }
}

/// The caller's answer was not valid: the connection was not opened, and nothing was sent.
#[derive(Debug)]
pub struct NotAccepted {
    /// The reason.
    pub error: AnswerError,
    /// The request, which still waits for an answer.
    pub incoming: Box<Incoming>,
}

impl fmt::Display for NotAccepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl core::error::Error for NotAccepted {}
