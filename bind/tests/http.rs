//! Connecting to URLs and requests of the `http` crate.

use bowline_bind::{Connect, ConnectError};
use http::{HeaderName, HeaderValue, Request, Uri, header};

/// Returns the address and target of the request, and its fields.
fn asked(to: impl Into<Connect>) -> (String, Vec<(String, String)>) {
    let destination = to.into().prepare().unwrap();
    let request = destination.request;
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| {
        let value = String::from_utf8_lossy(value).into_owned();
        (name.to_owned(), value)
    });
    let target = format!(
        "{}:{}{}",
        destination.host,
        destination.port,
        request.target()
    );
    (target, fields.collect())
}

fn pairs<const N: usize>(fields: [(&str, &str); N]) -> Vec<(String, String)> {
    let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    fields.map(owned).into()
}

#[test]
fn a_uri_is_connected_to() {
    let uri: Uri = "ws://a.test/x?y".parse().unwrap();
    assert_eq!(asked(&uri).0, "a.test:80/x?y");
    assert_eq!(asked(uri).0, "a.test:80/x?y");
    let error = Connect::from(Uri::from_static("/x")).prepare().unwrap_err();
    assert!(matches!(error, ConnectError::Url(_)), "{error}");
}

/// The request has the fields of the handshake, which other libraries need.
#[test]
fn a_request_for_another_library_is_taken() {
    let request = Request::get("ws://a.test:81/x")
        .header("Host", "a.test:81")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .header("Sec-WebSocket-Protocol", "v2, v1")
        .header("Authorization", "Bearer t")
        .header("X-A", "1")
        .header("X-A", "2")
        .body(())
        .unwrap();
    let (target, fields) = asked(request);
    assert_eq!(target, "a.test:81/x");
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|(name, _)| name != "Host")
        .collect();
    let expected = [
        ("Sec-WebSocket-Protocol", "v2"),
        ("Sec-WebSocket-Protocol", "v1"),
        ("authorization", "Bearer t"),
        ("x-a", "1"),
        ("x-a", "2"),
    ];
    assert_eq!(fields, pairs(expected));
}

#[test]
fn an_empty_subprotocol_is_an_error() {
    let request = Request::get("ws://a.test/").header("Sec-WebSocket-Protocol", "a,,b");
    let error = Connect::from(request.body(()).unwrap())
        .prepare()
        .unwrap_err();
    assert!(matches!(error, ConnectError::Request(_)), "{error}");
}

#[test]
fn a_name_and_a_value_of_a_field_are_taken() {
    let name = HeaderName::from_static("x-a");
    let value = HeaderValue::from_static("1");
    let to = Connect::new("ws://a.test/")
        .header(&name, &value)
        .header(name, value)
        .header(header::COOKIE, "id=1");
    let (_, fields) = asked(to);
    let fields: Vec<_> = fields
        .into_iter()
        .filter(|(name, _)| name != "Host")
        .collect();
    assert_eq!(
        fields,
        pairs([("x-a", "1"), ("x-a", "1"), ("cookie", "id=1")])
    );
}
