//! The response to a request, as it arrives. Interim responses are skipped, and the body of a refusal is kept.

use alloc::{boxed::Box, sync::Arc};

use bytes::Bytes;

use super::{
    body::Body,
    error::{HandshakeError, ResponseError},
    exchange::Exchange,
    head::{Found, Head},
    response::Response,
};
use crate::{config::Config, handshake::headers::Headers};

#[derive(Debug)]
pub(crate) struct Responses {
    pub(crate) exchange: Exchange,
    head: Head,
    /// The status and the minor version of HTTP, which are zero until the status line has come.
    status: u16,
    minor: u8,
    /// The number of interim responses that were skipped.
    interim: usize,
    refused: Option<(Response, Body)>,
    is_done: bool,
}

impl Responses {
    /// Sends a request, and expects its response.
    pub(crate) fn new(request: &[u8], config: Arc<Config>) -> Self {
        let head = Head::new(config.max_head_size);
        let mut exchange = Exchange::new(config);
        exchange.send(request);
        Self {
            exchange,
            head,
            status: 0,
            minor: 0,
            interim: 0,
            refused: None,
            is_done: false,
        }
    }

    /// Returns the response, without its body, and the result of `accept`, or `None` when more input is needed. `accept`
    /// returns `None` for a status that is not the one that was asked for.
    ///
    /// An error comes only once, and nothing comes after it or after the response. After the response the caller takes
    /// the remainder of the exchange, which finishes it.
    pub(crate) fn poll<T>(
        &mut self,
        accept: impl Fn(u16, u8, &Headers) -> Option<Result<T, ResponseError>>,
    ) -> Result<Option<(Response, T)>, HandshakeError> {
        if self.is_done {
            return Ok(None);
        }
        let result = match self.read(accept) {
            // What was received counts, even if the transport has ended since.
            Ok(None) => match (&mut self.refused, self.exchange.ended()) {
                (Some((response, body)), Some(_)) => Err(refusal(response, body)),
                (None, Some(ended)) => Err(ended),
                (_, None) => Ok(None),
            },
            result => result,
        };
        self.is_done = !matches!(result, Ok(None));
        if result.is_err() {
            self.exchange.finish();
        }
        result
    }

    fn read<T>(
        &mut self,
        accept: impl Fn(u16, u8, &Headers) -> Option<Result<T, ResponseError>>,
    ) -> Result<Option<(Response, T)>, HandshakeError> {
        let config = self.exchange.config().clone();
        loop {
            let input = self.exchange.received();
            if let Some((response, body)) = &mut self.refused {
                match body.take(input) {
                    Some(count) => {
                        self.exchange.consume(count);
                        return Ok(None);
                    }
                    None => return Err(refusal(response, body)),
                }
            }
            let found = self.head.find(input, &config);
            let range = match found.map_err(ResponseError::from)? {
                None => return Ok(None),
                Some(Found::StartLine(range)) => {
                    (self.status, self.minor) = parse_status(input.get(range).unwrap_or_default())?;
                    continue;
                }
                Some(Found::Fields(range)) => range,
            };
            let end = range.end;
            let fields = self.head.unfolded(input.get(range).unwrap_or_default());
            let headers = self.head.parse_fields(fields);
            let headers = headers.map_err(ResponseError::from)?;
            self.exchange.consume(end);
            let accepted = accept(self.status, self.minor, &headers).transpose()?;
            let mut response = Response::new(self.status, Bytes::new());
            match (accepted, self.status) {
                (Some(accepted), _) => {
                    response.headers = headers;
                    return Ok(Some((response, accepted)));
                }
                // RFC 9110 §15.2: "MUST be able to parse one or more 1xx responses".
                (None, 100..=199) => {
                    if self.interim >= config.max_interim_responses {
                        return Err(ResponseError::TooManyInterim.into());
                    }
                    self.interim = self.interim.saturating_add(1);
                    self.head = Head::new(self.head.remaining());
                }
                (None, status) => {
                    let body = Body::new(status, &headers, config.max_error_body);
                    response.headers = headers;
                    self.refused = Some((response, body));
                }
            }
        }
    }
}

fn refusal(response: &mut Response, body: &mut Body) -> HandshakeError {
    let mut response = core::mem::take(response);
    response.body = body.finish();
    HandshakeError::Refused(Box::new(response))
}

/// Parses the status and the minor version of HTTP.
fn parse_status(line: &[u8]) -> Result<(u16, u8), ResponseError> {
    let mut response = httparse::Response::new(&mut []);
    match (response.parse(line), response.code, response.version) {
        (Ok(_), Some(status @ 100..), Some(minor)) => Ok((status, minor)),
        _ => Err(ResponseError::Syntax),
    }
}
