//! The client's half of the opening handshake (RFC 6455 §4.1).

use alloc::{borrow::ToOwned, boxed::Box, string::String, sync::Arc, vec::Vec};

use bytes::{Buf, Bytes};

use super::{
    body::Body,
    check::RESERVED,
    error::{HandshakeError, ResponseError},
    exchange::Exchange,
    head::{Found, Head},
    key,
    response::Response,
};
use crate::{
    config::{Config, Role},
    connection::Connection,
    handshake::{
        error::OfferError,
        headers::{Headers, Repeated},
        offer::Offer,
        origin::is_authority,
        request::Request,
    },
    negotiated::Negotiated,
};

/// The client's half of the opening handshake: sends the request and checks the response.
#[derive(Debug)]
pub struct Client {
    exchange: Exchange,
    state: State,
    head: Head,
    /// The number of interim responses that were skipped.
    interim: usize,
    /// The `Sec-WebSocket-Accept` that matches our key.
    accept: String,
    offer: Offer,
}

#[derive(Debug)]
enum State {
    /// The status and the minor version of HTTP, which are zero until the status line has come.
    Head {
        status: u16,
        minor: u8,
    },
    Open(Response, Negotiated),
    Refused(Response, Body),
    Done,
}

impl State {
    const START: Self = Self::Head {
        status: 0,
        minor: 0,
    };
}

impl Client {
    /// Queues `request`, completed with the fields of the handshake and a fresh key. The server has
    /// [`handshake_timeout`](Config::handshake_timeout) to answer, counted from the first time that the driver
    /// passes to the exchange.
    ///
    /// Returns an error, and sends nothing, if the request cannot become a valid opening handshake.
    pub fn new(request: Request, config: impl Into<Arc<Config>>) -> Result<Self, OfferError> {
        let config = config.into();
        let key = key::generate(&config)?;
        let (bytes, offer) = encode(request, &key, &config)?;
        let head = Head::new(config.max_head_size);
        let mut exchange = Exchange::new(config);
        exchange.send(&bytes);
        Ok(Self {
            exchange,
            state: State::START,
            head,
            interim: 0,
            accept: key::accept(key.as_bytes()),
            offer,
        })
    }

    /// Returns the bytes and the deadline, which a driver must serve.
    pub const fn exchange(&mut self) -> &mut Exchange {
        &mut self.exchange
    }

    /// Returns the server's response and the open connection, or `None` when more input is needed.
    ///
    /// An error comes only once; close the transport after it. The work of a call is bounded by what was received
    /// since the last call.
    pub fn poll(&mut self) -> Result<Option<(Response, Connection)>, HandshakeError> {
        if let State::Done = self.state {
            return Ok(None);
        }
        let result = match self.read() {
            Ok(()) => self.conclude(),
            Err(error) => Err(error),
        };
        if !matches!(result, Ok(None)) {
            self.state = State::Done;
            self.exchange.finish();
        }
        result
    }

    /// Parses the bytes that were received.
    fn read(&mut self) -> Result<(), HandshakeError> {
        let config = self.exchange.config().clone();
        loop {
            let input = self.exchange.received();
            match &mut self.state {
                State::Head { status, minor } => {
                    let found = self.head.find(input, &config);
                    match found.map_err(ResponseError::from)? {
                        None => return Ok(()),
                        Some(Found::StartLine(range)) => {
                            (*status, *minor) = parse_status(input.get(range).unwrap_or_default())?;
                        }
                        Some(Found::Fields(range)) => {
                            let (status, minor, end) = (*status, *minor, range.end);
                            let fields = self.head.unfolded(input.get(range).unwrap_or_default());
                            let headers = self.head.parse_fields(fields);
                            let headers = headers.map_err(ResponseError::from)?;
                            self.exchange.consume(end);
                            self.handle_head(status, minor, headers)?;
                        }
                    }
                }
                State::Refused(response, body) => match body.take(input) {
                    Some(count) => {
                        self.exchange.consume(count);
                        return Ok(());
                    }
                    None => return Err(refused(response, body)),
                },
                State::Open(..) | State::Done => return Ok(()),
            }
        }
    }

    fn handle_head(
        &mut self,
        status: u16,
        minor: u8,
        headers: Headers,
    ) -> Result<(), ResponseError> {
        match status {
            101 => {
                let negotiated = self.check(minor, &headers)?;
                let mut response = Response::new(status, Bytes::new());
                response.headers = headers;
                self.state = State::Open(response, negotiated);
            }
            // RFC 9110 §15.2: "MUST be able to parse one or more 1xx responses".
            100..=199 => {
                let config = self.exchange.config();
                if self.interim >= config.max_interim_responses {
                    return Err(ResponseError::TooManyInterim);
                }
                self.interim = self.interim.saturating_add(1);
                self.head = Head::new(self.head.remaining());
                self.state = State::START;
            }
            _ => {
                let body = Body::new(status, &headers, self.exchange.config().max_error_body);
                let mut response = Response::new(status, Bytes::new());
                response.headers = headers;
                self.state = State::Refused(response, body);
            }
        }
        Ok(())
    }

    /// Checks what "the client MUST validate" of a 101 (§4.1).
    fn check(&self, minor: u8, headers: &Headers) -> Result<Negotiated, ResponseError> {
        if minor != 1 {
            return Err(ResponseError::Version);
        }
        // Item 2: "not an ASCII case-insensitive match for the value "websocket"".
        let upgrade = headers
            .single("Upgrade")
            .map_err(|Repeated| ResponseError::Upgrade)?;
        if !upgrade.is_some_and(|value| value.eq_ignore_ascii_case(b"websocket")) {
            return Err(ResponseError::Upgrade);
        }
        // Item 3: "doesn't contain a token that is … match for the value "Upgrade"".
        if !headers.list_has("Connection", "Upgrade") {
            return Err(ResponseError::Connection);
        }
        // Item 4; §11.3.3: "MUST NOT appear more than once in an HTTP response".
        let accept = headers
            .single("Sec-WebSocket-Accept")
            .map_err(|Repeated| ResponseError::Accept)?;
        if accept != Some(self.accept.as_bytes()) {
            return Err(ResponseError::Accept);
        }
        Ok(self.offer.agree(headers)?)
    }

    /// Returns the result of everything received so far.
    fn conclude(&mut self) -> Result<Option<(Response, Connection)>, HandshakeError> {
        match &mut self.state {
            State::Open(response, negotiated) => {
                let (response, negotiated) =
                    (core::mem::take(response), core::mem::take(negotiated));
                Ok(Some((response, self.connect(negotiated))))
            }
            State::Refused(response, body) if self.exchange.ended().is_some() => {
                Err(refused(response, body))
            }
            _ => self.exchange.ended().map_or(Ok(None), Err),
        }
    }

    fn connect(&mut self, negotiated: Negotiated) -> Connection {
        let mut connection =
            Connection::new(Role::Client, negotiated, self.exchange.config().clone());
        // The server may have answered before we wrote all of the request.
        if self.exchange.output().has_remaining() {
            connection.preface(self.exchange.output().chunk());
        }
        self.exchange.take_remainder().hand_to(&mut connection);
        connection
    }
}

fn refused(response: &mut Response, body: &mut Body) -> HandshakeError {
    let mut response = core::mem::take(response);
    response.body = body.finish();
    HandshakeError::Refused(Box::new(response))
}

/// Encodes the request, with the fields that the handshake adds (§4.1, items 1 to 12).
fn encode(
    mut request: Request,
    key: &str,
    config: &Config,
) -> Result<(Vec<u8>, Offer), OfferError> {
    let given = request.headers();
    if let Some(name) = RESERVED.into_iter().find(|name| given.get(name).is_some()) {
        return Err(OfferError::Reserved(name));
    }
    let offer = Offer::new(given, config)?;
    let host = given.single("Host").map_err(|Repeated| OfferError::Host)?;
    let host = host
        .and_then(|host| core::str::from_utf8(host).ok())
        .filter(|host| is_authority(host));
    let host = host.ok_or(OfferError::Host)?.to_owned();

    let mut headers = Headers::new();
    headers.set("Host", host);
    headers.set("Upgrade", "websocket");
    headers.set("Connection", "Upgrade");
    headers.set("Sec-WebSocket-Key", key.to_owned());
    headers.append(offer.fields());
    let mut bytes = Vec::with_capacity(512);
    for part in ["GET ", request.target(), " HTTP/1.1\r\n"] {
        bytes.extend_from_slice(part.as_bytes());
    }
    let given = request.headers_mut();
    given.remove("Host");
    given.remove("Sec-WebSocket-Protocol");
    headers.append(core::mem::take(given));
    headers.encode(&mut bytes);
    bytes.extend_from_slice(b"\r\n");
    Ok((bytes, offer))
}

/// Parses the status and the minor version of HTTP.
fn parse_status(line: &[u8]) -> Result<(u16, u8), ResponseError> {
    let mut response = httparse::Response::new(&mut []);
    match (response.parse(line), response.code, response.version) {
        (Ok(_), Some(status @ 100..), Some(minor)) => Ok((status, minor)),
        _ => Err(ResponseError::Syntax),
    }
}
