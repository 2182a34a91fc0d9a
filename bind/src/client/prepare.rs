//! From the options of a [`Connect`] to a [`Destination`].

use proto::handshake::{OfferError, Request};
#[cfg(feature = "tls")]
use rustls::pki_types::ServerName;

#[cfg(feature = "tls")]
use super::error::TlsOptionError;
use super::{
    builder::Connect,
    connector::Way,
    cookies::Cookies,
    credentials::{graphic, userinfo},
    destination::Destination,
    error::{ConnectError, UrlError},
    url::Url,
};

impl Connect {
    /// Checks the options, and returns what they stand for. This is for callers that connect by themselves.
    ///
    /// # Errors
    ///
    /// [`ConnectError::Url`], [`ConnectError::Header`] or [`ConnectError::Request`], which are errors of the caller.
    pub fn prepare(self) -> Result<Destination, ConnectError> {
        let url = Url::parse(&self.url)?;
        #[cfg(not(feature = "tls"))]
        if url.tls {
            return Err(UrlError::NoTls.into());
        }
        #[cfg(feature = "tls")]
        let tls_options = match self.tls_options {
            Some(_) if self.tls.is_some() => return Err(TlsOptionError::Config.into()),
            options => options.map(|options| options.parse()).transpose()?,
        };
        #[cfg(feature = "tls")]
        let server_name = match self.server_name.map(ServerName::try_from) {
            Some(name) => Some(name.map_err(|_| UrlError::ServerName)?),
            None => None,
        };
        let way = match &url.unix {
            Some(path) => Way::Unix(path.into()),
            None => self.way,
        };
        let proxy = match (self.proxy, &way) {
            (None, _) | (_, Way::Unix(_)) => None,
            (Some(proxy), _) => proxy.choose(&url.host, url.port)?,
        };
        let cookies = self.cookies.map(|store| Cookies::new(store, &url));
        let mut request = Request::new(url.authority(), url.target)?;
        let headers = request.headers_mut();
        for name in self.subprotocols {
            // In the list of subprotocols such a name would be read as two names or none.
            if name.is_empty() || name.contains([',', ' ', '\t']) {
                return Err(OfferError::Subprotocol.into());
            }
            headers.push("Sec-WebSocket-Protocol", name.into_bytes())?;
        }
        if let Some(origin) = self.origin {
            headers.push("Origin", graphic(origin)?)?;
        }
        let in_url = || userinfo(url.userinfo.as_deref()?);
        if let Some(authorization) = self.authorization.or_else(in_url) {
            headers.push("Authorization", authorization.encode()?)?;
        }
        for (name, value) in self.headers {
            headers.push(name, value)?;
        }
        // RFC 6265 §5.4: "the user agent MUST NOT attach more than one Cookie header field".
        if headers.get("Cookie").is_none()
            && let Some(value) = cookies.as_ref().and_then(Cookies::field)
        {
            headers.push("Cookie", value)?;
        }
        Ok(Destination {
            host: url.host,
            port: url.port,
            tls: url.tls,
            request,
            config: self.config.unwrap_or_default(),
            nodelay: self.nodelay,
            addresses: self.addresses,
            resolver: self.resolver,
            way,
            proxy,
            cookies,
            #[cfg(feature = "tls")]
            tls_config: self.tls,
            #[cfg(feature = "tls")]
            tls_options,
            #[cfg(feature = "tls")]
            server_name,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_printed() {
        let to = Connect::new("ws://user:s3cr3t@a.test/?s3cr3t")
            .bearer("s3cr3t")
            .header("X-Key", "s3cr3t");
        assert!(!format!("{to:?}").contains("s3cr3t"));
        assert!(!format!("{:?}", to.prepare().unwrap()).contains("s3cr3t"));
    }
}
