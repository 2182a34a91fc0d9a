use std::{any::Any, fmt, net::SocketAddr, ops::Deref, sync::Arc};

use proto::handshake::{Headers, Request};

/// A client's request, with what the server knows of the client.
pub struct ClientRequest {
    pub(super) request: Arc<Request>,
    pub(super) id: u64,
    pub(super) client_addr: Option<SocketAddr>,
    pub(super) peer_addr: Option<SocketAddr>,
    pub(super) secure: bool,
    #[cfg(feature = "tls")]
    pub(super) certificates: Vec<rustls::pki_types::CertificateDer<'static>>,
    pub(super) response_headers: Headers,
    values: Vec<Box<dyn Any + Send + Sync>>,
}

impl ClientRequest {
    pub(super) const fn new(
        request: Arc<Request>,
        id: u64,
        client_addr: Option<SocketAddr>,
        peer_addr: Option<SocketAddr>,
        secure: bool,
    ) -> Self {
        Self {
            request,
            id,
            client_addr,
            peer_addr,
            secure,
            #[cfg(feature = "tls")]
            certificates: Vec::new(),
            response_headers: Headers::new(),
            values: Vec::new(),
        }
    }

    /// Returns the number of the connection, by which the server's [`Tracker`](super::Tracker) knows the socket.
    pub const fn id(&self) -> u64 {
        self.id
    }

    /// Returns the address of the client: that of the TCP connection, or what a proxy has told that the server trusts. Its
    /// port is 0 if the proxy has told only the address. Returns `None` if it is not known, as with a Unix socket.
    pub const fn client_addr(&self) -> Option<SocketAddr> {
        self.client_addr
    }

    /// Returns the address at the other end of the TCP connection, which may be a proxy.
    pub const fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer_addr
    }

    /// Whether the connection to this server uses TLS.
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// Returns the certificates that the client has shown, its own first. There are none unless the TLS configuration asks
    /// for them.
    #[cfg(feature = "tls")]
    pub fn peer_certificates(&self) -> &[rustls::pki_types::CertificateDer<'static>] {
        &self.certificates
    }

    /// Returns more header fields for the 101, such as cookies. Only `decide` can add to them.
    pub const fn response_headers_mut(&mut self) -> &mut Headers {
        &mut self.response_headers
    }

    /// Keeps a value for the handler, such as the user that `decide` has found. A later value of the same type replaces it.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        self.values.retain(|it| !it.is::<T>());
        self.values.push(Box::new(value));
    }

    /// Returns the value of this type that was [kept](Self::insert).
    pub fn get<T: Any>(&self) -> Option<&T> {
        self.values.iter().find_map(|it| it.downcast_ref())
    }
}

impl Deref for ClientRequest {
    type Target = Request;

    fn deref(&self) -> &Request {
        &self.request
    }
}

impl fmt::Debug for ClientRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientRequest")
            .field("id", &self.id)
            .field("client_addr", &self.client_addr)
            .field("target", &self.request.target())
            .finish_non_exhaustive()
    }
}
