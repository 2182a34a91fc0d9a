//! Conversions from and to the types of the `http` crate.

use bowline_proto::handshake::{Headers, HttpVersion, OfferError};
use bytes::Bytes;

use super::*;

#[test]
fn requests() {
    let ours = |request: http::Request<()>| Request::try_from(request);
    let theirs = http::Request::get("ws://a.test:81/chat?x")
        .header("X-A", "1")
        .header("x-a", "2");
    let request = ours(theirs.body(()).unwrap()).unwrap();
    assert_eq!(
        (request.host(), request.target()),
        (Some("a.test:81"), "/chat?x")
    );
    assert_eq!(
        request.headers().get_all("X-A").collect::<Vec<_>>(),
        [b"1", b"2"]
    );

    let back = http::Request::<()>::try_from(request.clone()).unwrap();
    assert_eq!(
        (back.method().as_str(), back.uri().to_string()),
        ("GET", "/chat?x".to_owned())
    );
    assert_eq!(ours(back).unwrap(), request, "there and back");

    let given = http::Request::get("ws://a.test")
        .header("Host", "b.test")
        .body(())
        .unwrap();
    let request = ours(given).unwrap();
    assert_eq!((request.host(), request.target()), (Some("b.test"), "/"));

    let none = http::Request::get("/").body(()).unwrap();
    assert_eq!(ours(none).unwrap_err(), OfferError::Host);
    let two = http::Request::get("/")
        .header("Host", "a")
        .header("Host", "a")
        .body(())
        .unwrap();
    assert_eq!(ours(two).unwrap_err(), OfferError::Host);
}

#[test]
fn versions() {
    use http::Version;
    for (theirs, ours) in [
        (Version::HTTP_09, HttpVersion::Other),
        (Version::HTTP_10, HttpVersion::Http10),
        (Version::HTTP_11, HttpVersion::Http11),
        (Version::HTTP_2, HttpVersion::Other),
        (Version::HTTP_3, HttpVersion::Other),
    ] {
        assert_eq!(HttpVersion::from(theirs), ours);
    }
}

#[test]
fn responses() {
    let theirs = http::Response::builder()
        .status(403)
        .header("X-A", "\u{e9}")
        .body("no")
        .unwrap();
    let response = Response::from(theirs);
    assert_eq!((response.status, &response.body[..]), (403, &b"no"[..]));
    let back = http::Response::<Bytes>::try_from(response.clone()).unwrap();
    assert_eq!((back.status().as_u16(), back.headers().len()), (403, 1));
    assert_eq!(Response::from(back), response, "there and back");
    assert!(http::Response::<Bytes>::try_from(Response::new(99, "")).is_err());
}

#[test]
fn more_fields_than_a_map_takes_are_an_error() {
    let mut headers = Headers::new();
    for i in 0..40_000 {
        headers.push(format!("x-{i}"), "").unwrap();
    }
    assert!(http::HeaderMap::try_from(headers).is_err());
}
