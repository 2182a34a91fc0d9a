use alloc::{sync::Arc, vec::Vec};

use bytes::{Buf, Bytes};

use crate::{
    config::Config,
    handshake::{
        Exchange, HandshakeError, Headers, OfferError, has_port, http1::responses::Responses,
    },
};

/// A tunnel through an HTTP proxy, which CONNECT asks for (RFC 9110 §9.3.6).
#[derive(Debug)]
pub struct HttpTunnel {
    responses: Responses,
    is_open: bool,
}

impl HttpTunnel {
    /// Queues the request for a tunnel to `authority`, a host with a port. `headers` are more fields, such as
    /// `Proxy-Authorization`. The proxy has [`handshake_timeout`](Config::handshake_timeout) to answer.
    ///
    /// # Errors
    ///
    /// [`OfferError::Host`] if `authority` is not a host with a port.
    pub fn new(
        authority: &str,
        headers: &Headers,
        config: impl Into<Arc<Config>>,
    ) -> Result<Self, OfferError> {
        if !has_port(authority) {
            return Err(OfferError::Host);
        }
        let mut bytes = Vec::with_capacity(256);
        // RFC 9112 §3.2: "MUST send a Host header field in all HTTP/1.1 request messages".
        for part in [
            "CONNECT ",
            authority,
            " HTTP/1.1\r\nHost: ",
            authority,
            "\r\n",
        ] {
            bytes.extend_from_slice(part.as_bytes());
        }
        headers.encode(&mut bytes);
        bytes.extend_from_slice(b"\r\n");
        Ok(Self {
            responses: Responses::new(&bytes, config.into()),
            is_open: false,
        })
    }

    /// Returns the bytes and the deadline, which a driver must serve.
    pub const fn exchange(&mut self) -> &mut Exchange {
        &mut self.responses.exchange
    }

    /// Returns the bytes that the server has sent already, once the tunnel is open, or `None` when more input is needed.
    ///
    /// # Errors
    ///
    /// [`HandshakeError::Refused`] with the response of a proxy that refused. An error comes only once.
    pub fn poll(&mut self) -> Result<Option<Bytes>, HandshakeError> {
        // §9.3.6: "Any 2xx (Successful) response indicates that the sender … will switch to tunnel mode". "A client MUST
        // ignore any Content-Length or Transfer-Encoding header fields" in it.
        let accepts = |status: u16| (200..300).contains(&status).then_some(Ok(()));
        let answered = self.responses.poll(|status, _, _| accepts(status))?;
        self.is_open |= answered.is_some();
        // A proxy may answer before we have written all of the request.
        if !self.is_open || self.exchange().output().has_remaining() {
            return Ok(None);
        }
        self.is_open = false;
        Ok(Some(self.exchange().take_remainder().bytes))
    }
}
