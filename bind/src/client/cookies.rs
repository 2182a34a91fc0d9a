//! Cookies, which the caller stores.

use std::{fmt, sync::Arc};

use proto::handshake::Response;

use super::url::Url;

/// A store of cookies (RFC 6265), for [`Connect::cookies`](super::Connect::cookies).
///
/// Both methods are given the URL of the request as one of HTTP: `http://` instead of `ws://`, and `https://` instead of
/// `wss://`. It has a path and a query, and never a user or a password. The store decides which cookies are for it.
pub trait CookieStore: Send + Sync {
    /// Returns the value of `Cookie` for a request to `url` (RFC 6265 §5.4), or `None` if no cookie is for it.
    fn cookies(&self, url: &str) -> Option<String>;

    /// Takes the value of a `Set-Cookie` of a response from `url` (RFC 6265 §5.3).
    ///
    /// A response has as many of them as its server likes, within the limits of the handshake. They may be invalid.
    fn set_cookie(&self, url: &str, set_cookie: &[u8]);
}

/// A store, and the URL that it is asked about.
#[derive(Clone)]
pub(super) struct Cookies {
    store: Arc<dyn CookieStore>,
    url: String,
}

impl Cookies {
    pub(super) fn new(store: Arc<dyn CookieStore>, url: &Url) -> Self {
        let scheme = if url.tls { "https" } else { "http" };
        let url = format!("{scheme}://{}{}", url.authority(), url.target);
        Self { store, url }
    }

    pub(super) fn field(&self) -> Option<String> {
        self.store.cookies(&self.url)
    }

    pub(super) fn store(&self, response: &Response) {
        for value in response.headers.get_all("Set-Cookie") {
            self.store.set_cookie(&self.url, value);
        }
    }
}

/// Leaves out the cookies.
impl fmt::Debug for Cookies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cookies").finish_non_exhaustive()
    }
}
