//! Decides which visitors to admit, and answers the requests of a browser.

use std::{sync::Arc, time::Duration};

use bowline_tokio::{
    Config, Deflate, HttpVersion, Negotiated, Origins, RequestError, Response, respond,
};
use http_body_util::Full;
use hyper::{
    Request, Version,
    body::{Bytes, Incoming},
    http,
};

/// A visitor who asks for a socket.
pub(crate) struct Visitor {
    pub(crate) name: String,
    pub(crate) negotiated: Negotiated,
}

/// Returns the limits of a visitor's socket.
pub(crate) fn config() -> Arc<Config> {
    let mut config = Config::default();
    config.max_message_size = 128 << 10;
    config.write_timeout = Some(Duration::from_secs(10));
    config.close_timeout = Some(Duration::from_secs(1));
    // Each message is compressed once for everybody, so no visitor has a compression state.
    config.deflate = Some(Deflate::low_memory());
    Arc::new(config)
}

/// Admits a visitor, or returns the response to refuse with.
pub(crate) fn admit(
    request: &Request<Incoming>,
    config: &Config,
) -> Result<(Visitor, Response), Response> {
    match request.uri().path() {
        "/ws" => {}
        "/" => return Err(page()),
        _ => return Err(Response::new(404, "nothing here\n")),
    }
    let version = match request.version() {
        Version::HTTP_10 => HttpVersion::Http10,
        Version::HTTP_11 => HttpVersion::Http11,
        _ => HttpVersion::Other,
    };
    let method = request.method().as_str();
    let fields = request.headers().iter();
    let fields = fields.map(|(name, value)| (name.as_str(), value.as_bytes()));
    // A browser lets any page connect here with the user's cookies, and says which site the page is from
    // (RFC 6455 §10.2).
    let (headers, negotiated) = respond(version, method, fields, &[], Origins::SameHost, config)
        .map_err(RequestError::response)?;
    let name = name(request).ok_or_else(|| Response::new(400, "a name, please\n"))?;
    let mut switching = Response::new(101, "");
    switching.headers = headers;
    Ok((Visitor { name, negotiated }, switching))
}

/// Converts a response to hyper's type.
pub(crate) fn to_http(answer: Response) -> http::Result<hyper::Response<Full<Bytes>>> {
    let mut response = hyper::Response::builder().status(answer.status);
    for (name, value) in answer.headers.iter() {
        response = response.header(name, value);
    }
    response.body(Full::new(answer.body))
}

fn page() -> Response {
    let mut page = Response::new(200, include_str!("page.html"));
    let html = page.headers.push("Content-Type", "text/html");
    html.expect("a valid field");
    page
}

/// Returns the name in the request: 1 to 32 characters, without control characters.
fn name(request: &Request<Incoming>) -> Option<String> {
    let query = request.uri().query()?;
    let (_, name) = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "name")?;
    let name = name.trim();
    let fits = (1..=32).contains(&name.chars().count()) && !name.contains(char::is_control);
    fits.then(|| name.to_owned())
}
