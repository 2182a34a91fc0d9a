//! Conversions from and to the types of the `http` crate (feature `http`).

use alloc::borrow::ToOwned;

use ::http::{self, HeaderMap, HeaderName, HeaderValue, header::HOST};
use bytes::Bytes;

use super::{check::HttpVersion, response::Response};
use crate::{
    handshake::{
        error::OfferError,
        headers::{FieldValue, Headers},
        request::Request,
    },
    text::utf8::Utf8Bytes,
};

impl From<http::Version> for HttpVersion {
    fn from(version: http::Version) -> Self {
        match version {
            http::Version::HTTP_10 => Self::Http10,
            http::Version::HTTP_11 => Self::Http11,
            _ => Self::Other,
        }
    }
}

impl From<HeaderName> for Utf8Bytes {
    fn from(name: HeaderName) -> Self {
        name.as_str().into()
    }
}

impl From<&HeaderName> for Utf8Bytes {
    fn from(name: &HeaderName) -> Self {
        name.as_str().into()
    }
}

impl From<HeaderValue> for FieldValue {
    fn from(value: HeaderValue) -> Self {
        value.as_bytes().into()
    }
}

impl From<&HeaderValue> for FieldValue {
    fn from(value: &HeaderValue) -> Self {
        value.as_bytes().into()
    }
}

impl From<HeaderMap> for Headers {
    fn from(map: HeaderMap) -> Self {
        let mut headers = Self::new();
        for (name, value) in &map {
            // Both crates take the same names and values.
            let pushed = headers.push(name, value);
            debug_assert_eq!(pushed, Ok(()));
        }
        headers
    }
}

/// Returns an error if there are more fields, or a longer name, than a [`HeaderMap`] can hold.
impl TryFrom<Headers> for HeaderMap {
    type Error = http::Error;

    fn try_from(headers: Headers) -> Result<Self, http::Error> {
        let mut map = Self::new();
        for (name, value) in headers.iter() {
            let name = HeaderName::from_bytes(name.as_bytes())?;
            map.try_append(name, HeaderValue::from_bytes(value)?)?;
        }
        Ok(map)
    }
}

/// Keeps the path and query, and the fields. If there is no `Host`, the authority of the URI is used.
impl<T> TryFrom<http::Request<T>> for Request {
    type Error = OfferError;

    fn try_from(request: http::Request<T>) -> Result<Self, OfferError> {
        let (mut parts, _) = request.into_parts();
        let mut hosts = parts.headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().map_err(|_| OfferError::Host)?.to_owned(),
            (None, _) => parts
                .uri
                .authority()
                .ok_or(OfferError::Host)?
                .as_str()
                .to_owned(),
            (Some(_), Some(_)) => return Err(OfferError::Host),
        };
        parts.headers.remove(HOST);
        let target = parts
            .uri
            .path_and_query()
            .map_or("/", |target| target.as_str())
            .to_owned();
        let mut request = Self::new(host, target)?;
        request.headers_mut().append(parts.headers.into());
        Ok(request)
    }
}

/// Makes a GET. Returns an error if the `http` crate does not allow the target or the fields.
impl TryFrom<Request> for http::Request<()> {
    type Error = http::Error;

    fn try_from(request: Request) -> Result<Self, http::Error> {
        let mut converted = Self::new(());
        *converted.uri_mut() = request.target().parse()?;
        *converted.headers_mut() = request.headers().clone().try_into()?;
        Ok(converted)
    }
}

impl<B: Into<Bytes>> From<http::Response<B>> for Response {
    fn from(response: http::Response<B>) -> Self {
        let (parts, body) = response.into_parts();
        let mut converted = Self::new(parts.status.as_u16(), body);
        converted.headers = parts.headers.into();
        converted
    }
}

/// Returns an error if the `http` crate does not allow the status or the fields.
impl TryFrom<Response> for http::Response<Bytes> {
    type Error = http::Error;

    fn try_from(response: Response) -> Result<Self, http::Error> {
        let mut converted = Self::new(response.body);
        *converted.status_mut() = http::StatusCode::from_u16(response.status)?;
        *converted.headers_mut() = response.headers.try_into()?;
        Ok(converted)
    }
}
