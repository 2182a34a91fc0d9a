use std::fmt;

use iri_string::{
    spec::IriSpec,
    types::{IriAbsoluteStr, IriReferenceStr, IriStr},
    validate,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use super::{error::UrlError, host::Host};

/// The parsed URL of a server (RFC 6455 §3).
pub(super) struct Url {
    pub(super) tls: bool,
    /// User and password, with their escapes.
    pub(super) userinfo: Option<String>,
    pub(super) host: Host,
    pub(super) port: u16,
    /// Path and query, as they are sent in the request.
    pub(super) target: String,
    /// The path of the Unix socket that the URL names.
    pub(super) unix: Option<String>,
}

/// The parsed URL of a proxy: a scheme, and where to find it.
pub(super) struct Authority {
    /// The place of the scheme among those that are known.
    pub(super) scheme: usize,
    /// User and password, with their escapes.
    pub(super) userinfo: Option<String>,
    pub(super) host: Host,
    pub(super) port: u16,
}

impl Authority {
    /// Parses `text`, a URL with one of `schemes`, each with its default port, and no path but `/`.
    pub(super) fn parse(text: &str, schemes: &[(&str, u16)]) -> Result<Self, UrlError> {
        let iri = IriStr::new(text).map_err(|_| UrlError::Host)?;
        let known = |(name, _): &(&str, u16)| name.eq_ignore_ascii_case(iri.scheme_str());
        let scheme = schemes.iter().position(known).ok_or(UrlError::Scheme)?;
        if !matches!(iri.path_str(), "" | "/")
            || iri.query_str().is_some()
            || iri.fragment().is_some()
        {
            return Err(UrlError::Escape);
        }
        let authority = iri.authority_components().ok_or(UrlError::Host)?;
        Ok(Self {
            scheme,
            userinfo: authority.userinfo().map(str::to_owned),
            host: Host::parse(authority.host())?,
            port: match authority.port() {
                None | Some("") => schemes[scheme].1,
                Some(digits) => digits.parse().map_err(|_| UrlError::Port)?,
            },
        })
    }
}

impl Url {
    /// Parses `text`. The part before the path must be valid by RFC 3986. In the path and the query, characters that
    /// must be escaped are escaped here.
    pub(super) fn parse(text: &str) -> Result<Self, UrlError> {
        let is_control = |byte: u8| byte.is_ascii_control();
        if text.bytes().any(is_control) || text.starts_with(' ') || text.ends_with(' ') {
            return Err(UrlError::Character);
        }
        if let Some(remainder) = after_scheme(text, "ws+unix") {
            return Self::parse_unix(remainder);
        }
        let split = text.split_once("://");
        let (scheme, remainder) = split
            .filter(|(scheme, _)| validate::scheme(scheme).is_ok())
            .ok_or(UrlError::NoScheme)?;
        let tls = match scheme {
            scheme if scheme.eq_ignore_ascii_case("ws") => false,
            scheme if scheme.eq_ignore_ascii_case("wss") => true,
            _ => return Err(UrlError::Scheme),
        };
        // RFC 6455 §3: "Fragment identifiers … MUST NOT be used".
        if remainder.contains('#') {
            return Err(UrlError::Fragment);
        }
        let path = remainder.find(['/', '?']).unwrap_or(remainder.len());
        let (authority, target) = remainder.split_at(path);
        let escaped = format!("{scheme}://{authority}{}", escape(target));
        let iri = IriStr::new(&escaped).map_err(|_| fault(authority))?;
        let authority = iri.authority_components().ok_or(UrlError::Host)?;
        let path = without_dots(iri.path_str());
        Ok(Self {
            tls,
            userinfo: authority.userinfo().map(str::to_owned),
            host: Host::parse(authority.host())?,
            port: match authority.port() {
                None | Some("") => default_port(tls),
                Some(digits) => digits.parse().map_err(|_| UrlError::Port)?,
            },
            target: match iri.query_str() {
                Some(query) => format!("{path}?{query}"),
                None => path,
            },
            unix: None,
        })
    }

    /// Parses what follows `ws+unix:`, as the package `ws` of Node reads it: the path of a socket and, after a colon, a path
    /// and a query. Node would keep the escapes of the socket's path, and a URL can only have escapes, so neither is allowed.
    fn parse_unix(remainder: &str) -> Result<Self, UrlError> {
        let absolute = match remainder.strip_prefix("//") {
            Some(absolute) => absolute,
            None => remainder,
        };
        let (socket, target) = absolute.split_once(':').unwrap_or((absolute, "/"));
        let is_plain =
            |byte: u8| byte.is_ascii_alphanumeric() || b"/!$&'()*+,;=-._~@".contains(&byte);
        if !socket.starts_with('/') || !socket.bytes().all(is_plain) || !target.starts_with('/') {
            return Err(UrlError::SocketPath);
        }
        Ok(Self {
            unix: Some(socket.to_owned()),
            ..Self::parse(&format!("ws://localhost{target}"))?
        })
    }

    /// Returns the URL that a response refers to in `Location` (RFC 9110 §10.2.2), or `None` if it is not valid, or is not one
    /// of a WebSocket server.
    pub(super) fn join(&self, location: &str) -> Option<Self> {
        let base = self.to_string();
        let base = IriAbsoluteStr::new(&base).ok()?;
        let joined = IriReferenceStr::new(location)
            .ok()?
            .resolve_against(base)
            .to_string();
        let (scheme, remainder) = joined.split_once("://")?;
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => "ws",
            "https" => "wss",
            _ => scheme,
        };
        // A fragment is for a browser.
        let remainder = remainder.split('#').next()?;
        let url = Self::parse(&format!("{scheme}://{remainder}")).ok()?;
        // A server must not lead to a socket of this machine.
        (url.userinfo.is_none() && url.unix.is_none()).then_some(url)
    }

    /// Returns the host, and the port if it is not the default (RFC 9110 §4.2.1).
    pub(super) fn authority(&self) -> String {
        if self.port == default_port(self.tls) {
            self.host.to_string()
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// Returns what follows `scheme:`, if the URL has this scheme.
fn after_scheme<'a>(url: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, remainder) = url.split_once(':')?;
    found.eq_ignore_ascii_case(scheme).then_some(remainder)
}

/// Without user, password and Unix socket.
impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "wss" } else { "ws" };
        write!(f, "{scheme}://{}{}", self.authority(), self.target)
    }
}

const fn default_port(tls: bool) -> u16 {
    if tls { 443 } else { 80 }
}

/// The characters that are escaped in a path. A backslash is not one of them: it is refused, because browsers read it
/// as a slash and other parsers do not.
const PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'<')
    .add(b'>')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The characters that are escaped in a query. The apostrophe is one of them because browsers escape it there.
const QUERY: &AsciiSet = &PATH.add(b'\'').add(b'\\');

/// Escapes the characters in a path and query that must be escaped and are not.
fn escape(target: &str) -> String {
    match target.split_once('?') {
        Some((path, query)) => format!(
            "{}?{}",
            utf8_percent_encode(path, PATH),
            utf8_percent_encode(query, QUERY)
        ),
        None => utf8_percent_encode(target, PATH).to_string(),
    }
}

/// Returns the error of a URL that has `authority` and is no IRI.
fn fault(authority: &str) -> UrlError {
    let (userinfo, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    if authority.contains(' ') {
        UrlError::Character
    } else if authority.contains('\\') {
        UrlError::Escape
    } else if validate::userinfo::<IriSpec>(userinfo).is_err() {
        UrlError::UserInfo
    } else if validate::authority::<IriSpec>(place).is_ok() {
        UrlError::Escape
    } else {
        match place.rsplit_once(':') {
            Some((host, _)) if validate::host::<IriSpec>(host).is_ok() => UrlError::Port,
            _ => UrlError::Host,
        }
    }
}

/// Removes the segments `.` and `..` (RFC 3986 §5.2.4), escaped or not. A path that is empty becomes `/`.
fn without_dots(path: &str) -> String {
    let mut kept = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let dots = segment.replace("%2e", ".").replace("%2E", ".");
        if dots == ".." {
            kept.pop();
        }
        if dots != "." && dots != ".." {
            kept.push(segment);
        } else if segments.peek().is_none() {
            kept.push("");
        }
    }
    format!("/{}", kept.join("/"))
}
