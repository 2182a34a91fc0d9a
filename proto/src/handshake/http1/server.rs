//! The server's half of the opening handshake (RFC 6455 §4.2).

use alloc::{boxed::Box, string::String, sync::Arc};
use core::fmt;

use bytes::Bytes;

use super::{
    check::{Wanted, check_extra, check_headers, check_method, switch},
    error::{HandshakeError, RequestError},
    exchange::{Exchange, Remainder},
    head::{Found, Head},
    page::PageRequest,
    request_line::{RequestLine, Target},
    response::{Method, Response},
};
use crate::{
    config::{Config, Role},
    connection::Connection,
    handshake::{
        answer::{Answer, Asked},
        error::AnswerError,
        headers::Headers,
        origin::Origins,
        request::Request,
    },
};

/// The server's half of the opening handshake: reads the request.
#[derive(Debug)]
pub struct Server {
    exchange: Exchange,
    head: Head,
    /// The method, which counts as GET until the request line has come.
    method: Method,
    target: Option<Target>,
}

impl Server {
    /// Waits for a request, at most [`handshake_timeout`](Config::handshake_timeout) from the first time that the
    /// driver passes to the exchange.
    pub fn new(config: impl Into<Arc<Config>>) -> Self {
        let config = config.into();
        Self {
            head: Head::new(config.max_head_size),
            exchange: Exchange::new(config),
            method: Method::Get,
            target: None,
        }
    }

    /// Returns the bytes and the deadline, which a driver must serve.
    pub const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Returns the request after all of it has come, to be accepted or refused, or `None` when more input is
    /// needed. A request that does not ask for a WebSocket is an error; [`poll_any`](Self::poll_any) returns it.
    ///
    /// An error comes only once. After it, serve the [`exchange`](Self::exchange) until it
    /// [`is_done`](Exchange::is_done), because it still sends the client the reason. The work of a call is bounded
    /// by what was received since the last call.
    pub fn poll(&mut self) -> Result<Option<Incoming>, HandshakeError> {
        match self.poll_for(Wanted::Upgrade)? {
            Some(Arrived::Upgrade(incoming)) => Ok(Some(incoming)),
            Some(Arrived::Page(page)) => {
                self.exchange = page.refuse();
                Err(RequestError::NoUpgrade.into())
            }
            None => Ok(None),
        }
    }

    /// Does the same as [`poll`](Self::poll), but also returns requests for a page: a GET or HEAD, in HTTP/1.1, with
    /// a valid `Host` and without a body, whose `Upgrade` does not list `websocket`.
    ///
    /// A request that lists it must be a valid opening handshake, and is an error otherwise. Another method than these
    /// two is [`RequestError::PageMethod`].
    pub fn poll_any(&mut self) -> Result<Option<Arrived>, HandshakeError> {
        self.poll_for(Wanted::Any)
    }

    fn poll_for(&mut self, wanted: Wanted) -> Result<Option<Arrived>, HandshakeError> {
        if !self.exchange.is_reading() {
            return Ok(None);
        }
        let error = match self.read(wanted) {
            Ok(Some(arrived)) => return Ok(Some(arrived)),
            Ok(None) => match self.exchange.ended() {
                Some(error) => error,
                None => return Ok(None),
            },
            Err(error) => error.into(),
        };
        match &error {
            HandshakeError::Request(error) => self.exchange.refuse(error.response(), self.method),
            HandshakeError::TimedOut if self.exchange.has_heard() => {
                let response = Response::text(408, "the request took too long");
                self.exchange.refuse(response, self.method);
            }
            _ => self.exchange.finish(),
        }
        Err(error)
    }

    fn read(&mut self, wanted: Wanted) -> Result<Option<Arrived>, RequestError> {
        let config = self.exchange.config().clone();
        let input = self.exchange.received();
        loop {
            match self.head.find(input, &config)? {
                None => return Ok(None),
                Some(Found::StartLine(range)) => {
                    let line = RequestLine::parse(input.get(range).unwrap_or_default())?;
                    self.method = check_method(line.method, wanted)?;
                    self.target = Some(Target::parse(line.target).ok_or(RequestError::Target)?);
                }
                Some(Found::Fields(range)) => {
                    let end = range.end;
                    let fields = Bytes::copy_from_slice(input.get(range).unwrap_or_default());
                    let mut headers = self.head.parse_fields(fields)?;
                    let target = self.target.take().ok_or(RequestError::Syntax)?;
                    let accept = check_headers(&headers, self.method)?;
                    if let Some(host) = target.host {
                        // RFC 9112 §3.2.2: "MUST ignore the received Host … and instead use the host
                        // information of the request-target".
                        headers.set("Host", host);
                    }
                    let request = Arc::new(Request::from_parts(target.path, headers));
                    self.exchange.consume(end);
                    let remainder = self.exchange.take_remainder();
                    return Ok(Some(match accept {
                        Some(accept) => Arrived::Upgrade(Incoming {
                            request,
                            accept,
                            config,
                            remainder,
                        }),
                        None => Arrived::Page(PageRequest {
                            request,
                            method: self.method,
                            config,
                            remainder,
                        }),
                    }));
                }
            }
        }
    }
}

/// A request that has come; see [`Server::poll_any`](Server::poll_any).
#[derive(Debug)]
#[must_use = "the client waits for an answer"]
pub enum Arrived {
    /// A valid opening handshake.
    Upgrade(Incoming),
    /// A request for a page.
    Page(PageRequest),
}

/// A valid request, to be accepted or refused, however long that takes.
///
/// Until then nothing is read or written, and no deadline runs.
#[derive(Debug)]
#[must_use = "the client waits for an answer"]
pub struct Incoming {
    request: Arc<Request>,
    /// The `Sec-WebSocket-Accept` of the answer.
    accept: String,
    config: Arc<Config>,
    /// Bytes that the client sent after its head, although it should wait for our answer.
    remainder: Remainder,
}

impl Incoming {
    /// Returns the client's request. If its target was in absolute form, `Host` is the target's host.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Returns the client's request, to keep it for longer than this.
    pub fn shared_request(&self) -> Arc<Request> {
        self.request.clone()
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

    /// Whether the page that sent the request is among `origins`. For [`Origins::Listed`] this is
    /// [`origin_allowed`](Self::origin_allowed); [`Origins::SameHost`] needs no list.
    pub fn is_from(&self, origins: Origins<'_>) -> bool {
        self.asked().is_from(origins)
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
    fn asked(&self) -> Asked<'_> {
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
        Exchange::refusal(self.config, response, Method::Get, &self.remainder)
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
