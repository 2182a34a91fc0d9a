use std::{
    error, fmt, io,
    time::{Duration, SystemTime},
};

use proto::{Closed, Message, SendError, handshake::Response};

use crate::{
    client::{ConnectError, ProxyError},
    error::Error,
};

/// The reason why there is no connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outage {
    /// No connection could be made.
    NotConnected(ConnectError),
    /// The function of [`on_connect`](crate::Reconnect::on_connect) has failed with an error of its own.
    Hook(Box<dyn error::Error + Send + Sync>),
    /// The peer has closed the connection.
    Closed(Closed),
    /// The connection has failed.
    Failed(Error),
}

impl Outage {
    /// Whether another attempt may succeed. [`Reconnect::retry_if`](crate::Reconnect::retry_if) replaces this.
    ///
    /// - After an attempt that failed, this is [`ConnectError::is_transient`].
    /// - After a Close it is false for the code 1000 and for no code, because the peer meant to end the connection; for
    ///   1002, 1003 and 1007 to 1010, because the same messages would end the next connection, too; and for 3000
    ///   (unauthorized) and 3003 (forbidden). For other codes it is true, such as 1001 (going away), 1011 to 1014 (errors and
    ///   restarts of a server), and those of applications.
    /// - After a failure it is true if the transport was lost or a deadline has passed. It is false if the peer broke the
    ///   protocol.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::NotConnected(error) => error.is_transient(),
            Self::Hook(_) => false,
            Self::Closed(closed) => is_transient_code(closed.code),
            Self::Failed(error) => matches!(
                error,
                Error::Lost(_) | Error::TimedOut(_) | Error::Send(SendError::Closed)
            ),
        }
    }

    /// Whether the peer has closed because nothing more is to be said.
    pub(super) fn is_normal(&self) -> bool {
        matches!(self, Self::Closed(closed) if matches!(closed.code, 1000 | Closed::NO_STATUS))
    }

    /// Returns the response of a server or a proxy that refused.
    fn response(&self) -> Option<&Response> {
        match self {
            Self::NotConnected(ConnectError::Proxy(ProxyError::Refused(response))) => {
                Some(response)
            }
            Self::NotConnected(error) => error.response(),
            _ => None,
        }
    }

    /// Returns the time after which the server wants to be asked again (RFC 9110 §10.2.3): "a number of seconds to delay
    /// after receiving the response", or a date. The response's own `Date` tells how far away that is, so that a wrong
    /// clock here does no harm.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let headers = &self.response()?.headers;
        let text = |name| std::str::from_utf8(headers.get(name)?).ok();
        let retry = text("Retry-After")?;
        if let Ok(seconds) = retry.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let until = httpdate::parse_http_date(retry).ok()?;
        let date = text("Date").and_then(|date| httpdate::parse_http_date(date).ok());
        let now = date.unwrap_or_else(SystemTime::now);
        Some(until.duration_since(now).unwrap_or_default())
    }
}

/// Returns the reason for which a call that receives has returned no message, over a connection that ended as `closed` says.
pub fn outage_of(end: Result<Option<Message>, Error>, closed: Option<Closed>) -> Outage {
    match (end, closed) {
        (Err(error), _) => Outage::Failed(error),
        (Ok(_), Some(closed)) => Outage::Closed(closed),
        (Ok(_), None) => Outage::Failed(Error::Lost(io::ErrorKind::NotConnected.into())),
    }
}

/// Whether a connection that the peer has closed with this code should come back.
const fn is_transient_code(code: u16) -> bool {
    !matches!(
        code,
        1000 | Closed::NO_STATUS | 1002 | 1003 | 1007..=1010 | 3000 | 3003
    )
}

/// Converts the error of `on_connect`, which is one of the connection or one of its own.
impl From<Box<dyn error::Error + Send + Sync>> for Outage {
    fn from(error: Box<dyn error::Error + Send + Sync>) -> Self {
        match error.downcast() {
            Ok(error) => Self::Failed(*error),
            Err(error) => Self::Hook(error),
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConnected(error) => error.fmt(f),
            Self::Hook(error) => write!(f, "on_connect failed: {error}"),
            Self::Closed(closed) => closed.fmt(f),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl error::Error for Outage {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::NotConnected(error) => error.source(),
            Self::Hook(error) => error.source(),
            Self::Closed(_) => None,
            Self::Failed(error) => error.source(),
        }
    }
}

/// The error of a socket that does not connect any more.
#[derive(Debug)]
#[non_exhaustive]
pub struct GaveUp {
    /// The reason why there is no further attempt.
    pub reason: GiveUpReason,
    /// The last reason why there was no connection.
    pub outage: Outage,
    /// The attempts in a row that failed.
    pub attempts: u32,
    /// The messages that were handed to the last connection and not flushed; see
    /// [`Lost`](crate::ReconnectEvent::Lost).
    pub unsent: u64,
}

/// The reason why there is no further attempt to connect.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum GiveUpReason {
    /// Another attempt would fail in the same way; see [`Outage::is_transient`].
    Fatal,
    /// [`Backoff::attempts`](field@crate::Backoff::attempts) attempts have failed.
    Attempts,
    /// The next attempt would begin after [`Backoff::total`](field@crate::Backoff::total).
    Total,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.reason {
            GiveUpReason::Fatal => self.outage.fmt(f),
            GiveUpReason::Attempts => {
                write!(
                    f,
                    "{} attempts failed, the last one because: {}",
                    self.attempts, self.outage
                )
            }
            GiveUpReason::Total => write!(
                f,
                "no attempt succeeded in time, and the last one failed because: {}",
                self.outage
            ),
        }
    }
}

impl error::Error for GaveUp {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.outage.source()
    }
}

#[cfg(test)]
mod tests {
    use proto::{Deadline, ProtocolError, handshake::HandshakeError};

    use super::*;

    fn refused(status: u16, fields: &[(&'static str, &'static str)]) -> Outage {
        let mut response = Response::new(status, "");
        for (name, value) in fields {
            response.headers.push(*name, *value).unwrap();
        }
        let error = HandshakeError::Refused(Box::new(response));
        Outage::NotConnected(ConnectError::Handshake(error))
    }

    #[test]
    fn each_end_is_judged() {
        for (code, transient) in [
            (1000, false),
            (Closed::NO_STATUS, false),
            (1001, true),
            (1002, false),
            (1003, false),
            (Closed::ABNORMAL, true),
            (1007, false),
            (1008, false),
            (1009, false),
            (1010, false),
            (1011, true),
            (1012, true),
            (1013, true),
            (1014, true),
            (3000, false),
            (3003, false),
            (3008, true),
            (4000, true),
            (4999, true),
        ] {
            assert_eq!(is_transient_code(code), transient, "{code}");
        }
        for status in [401, 403, 404, 301, 407] {
            assert!(!refused(status, &[]).is_transient(), "{status}");
        }
        for status in [408, 425, 429, 500, 503] {
            assert!(refused(status, &[]).is_transient(), "{status}");
        }
        let lost = || io::Error::from(io::ErrorKind::ConnectionReset);
        assert!(Outage::Failed(Error::Lost(lost())).is_transient());
        assert!(Outage::Failed(Error::TimedOut(Deadline::Pong)).is_transient());
        assert!(!Outage::Failed(Error::Protocol(ProtocolError::Utf8)).is_transient());
        assert!(Outage::NotConnected(ConnectError::Io(lost())).is_transient());
        assert!(Outage::NotConnected(ConnectError::TimedOut).is_transient());
    }

    #[test]
    fn a_hook_fails_with_an_error_of_the_connection_or_of_its_own() {
        let of = |error: Box<dyn error::Error + Send + Sync>| Outage::from(error);
        let lost = Error::Lost(io::ErrorKind::ConnectionReset.into());
        assert!(of(lost.into()).is_transient());
        assert!(of(Error::Send(SendError::Closed).into()).is_transient());
        assert!(!of(Error::Send(SendError::Unfinished).into()).is_transient());
        let own = of("the token has expired".into());
        assert!(!own.is_transient());
        assert_eq!(own.to_string(), "on_connect failed: the token has expired");
    }

    #[test]
    fn rfc9110_s10_2_3_retry_after_is_a_number_of_seconds_or_a_date() {
        const NOON: &str = "Sun, 06 Nov 1994 12:00:00 GMT";
        let after = |fields: &[_]| refused(503, fields).retry_after();
        assert_eq!(after(&[]), None);
        assert_eq!(
            after(&[("Retry-After", "120")]),
            Some(Duration::from_secs(120))
        );
        assert_eq!(after(&[("Retry-After", "-1")]), None);
        assert_eq!(after(&[("Retry-After", "soon")]), None);
        let dated = [
            ("Retry-After", "Sun, 06 Nov 1994 12:01:30 GMT"),
            ("Date", NOON),
        ];
        assert_eq!(after(&dated), Some(Duration::from_secs(90)));
        // That was long ago.
        assert_eq!(after(&dated[..1]), Some(Duration::ZERO));
        let before = [
            ("Retry-After", "Sun, 06 Nov 1994 11:59:59 GMT"),
            ("Date", NOON),
        ];
        assert_eq!(after(&before), Some(Duration::ZERO));

        let mut response = Response::new(503, "");
        response.headers.push("Retry-After", "3").unwrap();
        let error = ProxyError::Refused(Box::new(response));
        let of_proxy = Outage::NotConnected(ConnectError::Proxy(error));
        assert_eq!(of_proxy.retry_after(), Some(Duration::from_secs(3)));
    }
}
