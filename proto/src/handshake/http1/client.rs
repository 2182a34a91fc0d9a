//! The client's half of the opening handshake (RFC 6455 §4.1).

use alloc::{borrow::ToOwned, string::String, sync::Arc, vec::Vec};

use bytes::Buf;

use super::{
    check::RESERVED,
    error::{HandshakeError, ResponseError},
    exchange::Exchange,
    key,
    response::Response,
    responses::Responses,
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
    responses: Responses,
    /// The `Sec-WebSocket-Accept` that matches our key.
    accept: String,
    offer: Offer,
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
        Ok(Self {
            responses: Responses::new(&bytes, config),
            accept: key::accept(key.as_bytes()),
            offer,
        })
    }

    /// Returns the bytes and the deadline, which a driver must serve.
    pub const fn exchange(&mut self) -> &mut Exchange {
        &mut self.responses.exchange
    }

    /// Returns the server's response and the open connection, or `None` when more input is needed.
    ///
    /// An error comes only once; close the transport after it. The work of a call is bounded by what was received
    /// since the last call.
    pub fn poll(&mut self) -> Result<Option<(Response, Connection)>, HandshakeError> {
        let Self {
            responses,
            accept,
            offer,
        } = self;
        let switched = responses.poll(|status, minor, headers| {
            (status == 101).then(|| check(minor, headers, accept, offer))
        })?;
        Ok(switched.map(|(response, negotiated)| (response, self.connect(negotiated))))
    }

    fn connect(&mut self, negotiated: Negotiated) -> Connection {
        let exchange = &mut self.responses.exchange;
        let mut connection = Connection::new(Role::Client, negotiated, exchange.config().clone());
        // The server may have answered before we wrote all of the request.
        if exchange.output().has_remaining() {
            connection.preface(exchange.output().chunk());
        }
        exchange.take_remainder().hand_to(&mut connection);
        connection
    }
}

/// Checks what "the client MUST validate" of a 101 (§4.1). `accept` is the `Sec-WebSocket-Accept` that matches our key.
fn check(
    minor: u8,
    headers: &Headers,
    accept: &str,
    offer: &Offer,
) -> Result<Negotiated, ResponseError> {
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
    let given = headers
        .single("Sec-WebSocket-Accept")
        .map_err(|Repeated| ResponseError::Accept)?;
    if given != Some(accept.as_bytes()) {
        return Err(ResponseError::Accept);
    }
    Ok(offer.agree(headers)?)
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
