//! The values that applications pass to builders are written as they were passed, or are refused before anything is
//! written: URLs, fields, subprotocols, credentials, targets, refusals. Nothing can be injected.

use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use bowline_bind::{Connect, Destination};
use proto::{
    Config, Utf8Bytes,
    handshake::{Client, Headers, Incoming, Request, Response, Server},
};

use crate::{
    bodies::{
        heads::{self, Head},
        transport,
    },
    ends,
};

mod oracle;

/// Runs one input.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let _ = match input.int_in_range(0..=3) {
        Ok(0) => check_answer(&mut input),
        Ok(1) => check_request(&mut input),
        Ok(3) => check_url(&mut input),
        _ => check_connect(&mut input),
    };
}

/// Returns the fields that an application passes.
fn fields(input: &mut Unstructured<'_>) -> Result<Vec<(String, Vec<u8>)>> {
    let mut fields = Vec::new();
    for _ in 0..input.int_in_range(0..=3)? {
        fields.push((name(input)?, value(input)?));
    }
    Ok(fields)
}

/// Returns a name, which is often one with a meaning.
fn name(input: &mut Unstructured<'_>) -> Result<String> {
    const NAMES: [&str; 14] = [
        "X-A",
        "Host",
        "Upgrade",
        "connection",
        "Origin",
        "Cookie",
        "Content-Length",
        "Transfer-Encoding",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Accept",
        "Expect",
    ];
    if input.ratio(1, 2)? {
        Ok((*input.choose(&NAMES)?).to_owned())
    } else {
        text(input)
    }
}

fn text(input: &mut Unstructured<'_>) -> Result<String> {
    let len = usize::from(input.arbitrary::<u8>()?) % 48;
    let bytes = input.bytes(len.min(input.len()))?;
    Ok(String::from_utf8_lossy(bytes).into_owned())
}

fn value(input: &mut Unstructured<'_>) -> Result<Vec<u8>> {
    let len = usize::from(input.arbitrary::<u8>()?) % 48;
    Ok(input.bytes(len.min(input.len()))?.to_vec())
}

fn config() -> Arc<Config> {
    let mut config = Config::new(transport::entropy);
    config.deflate = Some(Default::default());
    Arc::new(config)
}

/// Checks a URL made of parts with a meaning.
fn check_url(input: &mut Unstructured<'_>) -> Result<()> {
    const PIECES: [&str; 48] = [
        "ws://",
        "wss://",
        "WS",
        "://",
        "/",
        "//",
        "\\",
        "?",
        "#",
        "@",
        ":",
        "a",
        "a.test",
        "A.Test",
        "u:p@",
        "u",
        "%40",
        "%",
        "%2e",
        "%2E",
        "..",
        ".",
        ";",
        "&",
        "=",
        "'",
        "\"",
        "{",
        "|",
        "[",
        "]",
        "^",
        "`",
        "é",
        "ß",
        "\u{ff0e}",
        "\u{ad}",
        "xn--",
        "xn--9ca",
        "127.0.0.1",
        "0x7f",
        "1",
        "[::1]",
        "[2001:db8::1.2.3.4]",
        ":80",
        ":443",
        "+",
        " ",
    ];
    let mut url = input.choose(&["ws://", "wss://", ""])?.to_string();
    for _ in 0..input.int_in_range(0..=15)? {
        if input.ratio(7, 8)? {
            url.push_str(input.choose(&PIECES)?);
        } else {
            url.push_str(&text(input)?);
        }
    }
    oracle::check(&url);
    Ok(())
}

/// Checks a client's options.
fn check_connect(input: &mut Unstructured<'_>) -> Result<()> {
    let url = if input.ratio(3, 4)? {
        let scheme = input.choose(&["ws://", "wss://", "WS:", "ws:\\", "http://"])?;
        format!("{scheme}{}", text(input)?)
    } else {
        text(input)?
    };
    oracle::check(&url);
    let mut connect = Connect::new(&url).config(config());
    let mut given: Vec<(String, Vec<u8>)> = Vec::new();
    let mut subprotocols = Vec::new();
    for _ in 0..input.int_in_range(0..=2)? {
        let name = text(input)?;
        connect = connect.subprotocol(name.clone());
        subprotocols.push(name);
    }
    if input.ratio(1, 3)? {
        let origin = text(input)?;
        given.push(("Origin".to_owned(), origin.clone().into()));
        connect = connect.origin(origin);
    }
    let mut credentials = None;
    match input.int_in_range(0..=3)? {
        0 => {
            let (user, password) = (text(input)?, text(input)?);
            credentials = Some(format!("{user}:{password}").into_bytes());
            connect = connect.basic(user, password);
        }
        1 => {
            let token = text(input)?;
            given.push(("Authorization".to_owned(), format!("Bearer {token}").into()));
            connect = connect.bearer(token);
        }
        _ => {}
    }
    let is_bearer = given.iter().any(|(name, _)| name == "Authorization");
    let more = fields(input)?;
    for (name, value) in &more {
        connect = connect.header(name.clone(), value.clone());
    }
    given.extend(more);
    let Ok(destination) = connect.prepare() else {
        return Ok(());
    };
    assert!(
        !url.bytes().any(|byte| byte.is_ascii_control()),
        "{url:?} has what ends lines"
    );
    let target = destination.request.target().to_owned();
    let authority = destination.request.host().expect("a host").to_owned();
    check_authority(&destination, &authority);
    let Some(bytes) = request(destination.request) else {
        return Ok(());
    };
    let head = Head::of_request(&bytes);
    assert_eq!(head.target, target);
    if !given
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head.assert_is("Host", &authority);
    }
    // Subprotocols, in their order; those in fields of the application follow.
    let list = fields_named(&head, "Sec-WebSocket-Protocol");
    assert!(list.len() <= 1);
    let mut offered = list
        .iter()
        .flat_map(|list| list.split(|&byte| byte == b','))
        .map(<[u8]>::trim_ascii);
    for name in &subprotocols {
        assert_eq!(offered.next(), Some(name.as_bytes()));
    }
    let sent = fields_named(&head, "Authorization");
    if let Some(credentials) = credentials {
        let pair = sent.first().and_then(|value| value.strip_prefix(b"Basic "));
        assert_eq!(
            pair.map(heads::decode),
            Some(credentials),
            "the credentials that were given"
        );
    } else if is_bearer {
        assert!(sent[0].starts_with(b"Bearer "));
    }
    check_given(&head, &given);
    Ok(())
}

/// Checks that host and port are those of the URL, and that nothing else is in the authority.
fn check_authority(destination: &Destination, authority: &str) {
    let default = if destination.tls { 443 } else { 80 };
    let expected = if destination.port == default {
        destination.host.to_string()
    } else {
        format!("{}:{}", destination.host, destination.port)
    };
    assert_eq!(authority, expected);
    assert!(!authority.contains(['/', '?', '#', '@', ' ']) && authority.is_ascii());
}

/// Checks the low level: any host, target and fields.
fn check_request(input: &mut Unstructured<'_>) -> Result<()> {
    let (host, target) = (text(input)?, text(input)?);
    let Ok(mut made) = Request::new(host.clone(), target.clone()) else {
        return Ok(());
    };
    let given = fields(input)?;
    push(made.headers_mut(), &given);
    let kept = made.headers().clone();
    let Some(bytes) = request(made) else {
        return Ok(());
    };
    let head = Head::of_request(&bytes);
    assert_eq!(head.target, target);
    head.assert_is("Host", &host);
    check_given(&head, &pairs(&kept));
    Ok(())
}

/// Pushes the fields that can be pushed, which must be all harmless ones.
fn push(headers: &mut Headers, fields: &[(String, Vec<u8>)]) {
    for (name, value) in fields {
        let pushed = headers.push(Utf8Bytes::from(name.clone()), value.clone());
        let is_token = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && !b"\"(),/:;<=>?@[\\]{}".contains(&byte));
        let is_value = value
            .iter()
            .all(|byte| *byte == b'\t' || !byte.is_ascii_control());
        assert_eq!(pushed.is_ok(), is_token && is_value, "{name:?}: {value:?}");
    }
}

fn pairs(headers: &Headers) -> Vec<(String, Vec<u8>)> {
    headers
        .iter()
        .map(|(name, value)| (name.to_owned(), value.to_vec()))
        .collect()
}

/// Returns the bytes of a request, if it is valid; our server must read it as it was meant.
fn request(request: Request) -> Option<Vec<u8>> {
    let meant = request.clone();
    let mut client = Client::new(request, config()).ok()?;
    let mut bytes = Vec::new();
    transport::take_output(client.exchange(), &mut bytes);
    let incoming = serve(&bytes)?;
    let read = incoming.request();
    assert_eq!(read.target(), meant.target());
    assert_eq!(read.host(), meant.host());
    assert!(read.subprotocols().eq(meant.subprotocols()));
    Some(bytes)
}

/// Returns `None` if the application set a field that no request with an upgrade may have.
fn serve(bytes: &[u8]) -> Option<Incoming> {
    let mut server = Server::new(config());
    let room = server.exchange().recv_buf().expect("it waits");
    room[..bytes.len()].copy_from_slice(bytes);
    server.exchange().handle_input(bytes.len());
    match server.poll() {
        Ok(incoming) => Some(incoming.expect("a whole request")),
        Err(error) => {
            use proto::handshake::{HandshakeError, RequestError};
            let applications = matches!(
                error,
                HandshakeError::Request(RequestError::Expectation | RequestError::Origin)
            );
            assert!(applications, "{error}: {}", bytes.escape_ascii());
            None
        }
    }
}

/// Checks that the application's fields are present with their values, and otherwise only those of the handshake.
fn check_given(head: &Head<'_>, given: &[(String, Vec<u8>)]) {
    const OURS: [&str; 7] = [
        "Host",
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Protocol",
        "Sec-WebSocket-Extensions",
    ];
    let is_ours = |name: &str| OURS.iter().any(|ours| name.eq_ignore_ascii_case(ours));
    for name in OURS {
        if name != "Sec-WebSocket-Protocol" {
            assert!(head.get(name).is_some(), "{name}");
        }
    }
    let sent = head
        .fields
        .iter()
        .filter(|(name, _)| !is_ours(name) && *name != "Authorization");
    let given = given
        .iter()
        .filter(|(name, _)| !is_ours(name) && name != "Authorization")
        .map(|(name, value)| (name.as_str(), value.trim_ascii()));
    assert!(
        sent.map(|(name, value)| (*name, value.trim_ascii()))
            .eq(given),
        "{:?}",
        head.fields
    );
}

fn fields_named<'a>(head: &Head<'a>, name: &str) -> Vec<&'a [u8]> {
    head.fields
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| *value)
        .collect()
}

/// Checks a server's answers: fields for the 101, or a refusal.
fn check_answer(input: &mut Unstructured<'_>) -> Result<()> {
    let offers = text(input)?;
    let mut made = Request::new("a.test", "/").expect("a valid request");
    let pushed = made.headers_mut().push("Sec-WebSocket-Protocol", offers);
    let client = Client::new(made, config());
    let (Ok(()), Ok(mut client)) = (pushed, client) else {
        return Ok(());
    };
    let mut bytes = Vec::new();
    transport::take_output(client.exchange(), &mut bytes);
    let incoming = serve(&bytes).expect("a valid request");
    let mut extra = Headers::new();
    push(&mut extra, &fields(input)?);
    let given = pairs(&extra);
    let is_theirs = |name: &str| given.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));

    if input.arbitrary()? {
        let status = input.arbitrary::<u16>()? % 1100;
        let body = value(input)?;
        let mut response = Response::new(status, body.clone());
        response.headers = extra;
        let mut exchange = incoming.refuse(response);
        let mut out = Vec::new();
        transport::take_output(&mut exchange, &mut out);
        let head = Head::of_response(&out);
        let sent = if (200..=599).contains(&status) {
            status
        } else {
            500
        };
        assert_eq!(head.status, sent);
        if matches!(status, 204 | 304) {
            assert!(head.body.is_empty() && head.get("Content-Length").is_none());
        } else {
            assert_eq!(head.body, body);
            head.assert_last();
        }
        let ours = ["Connection", "Content-Length", "Transfer-Encoding"];
        let is_ours = |name: &str| ours.iter().any(|ours| name.eq_ignore_ascii_case(ours));
        let kept = given.iter().filter(|(name, _)| !is_ours(name));
        let sent = head.fields.iter().filter(|(name, _)| !is_ours(name));
        assert!(
            sent.map(|(name, value)| (*name, *value))
                .eq(kept.map(|(name, value)| (name.as_str(), &value[..])))
        );
        return Ok(());
    }
    let picked = input
        .arbitrary::<bool>()?
        .then(|| text(input))
        .transpose()?;
    let offered = incoming.request().subprotocols();
    let offered = picked
        .as_ref()
        .is_none_or(|picked| offered.into_iter().any(|offer| offer == picked));
    let accepted = incoming.accept(picked.as_deref(), extra);
    let reserved = [
        "Upgrade",
        "Connection",
        "Sec-WebSocket-Key",
        "Sec-WebSocket-Version",
        "Sec-WebSocket-Accept",
        "Sec-WebSocket-Extensions",
        "Sec-WebSocket-Protocol",
        "Content-Length",
        "Transfer-Encoding",
    ];
    let harmless = !reserved.into_iter().any(is_theirs);
    assert_eq!(accepted.is_ok(), offered && harmless);
    let Ok(mut connection) = accepted else {
        return Ok(());
    };
    let out = ends::take(&mut connection);
    let head = Head::of_response(&out);
    assert_eq!(head.status, 101);
    head.assert_is("Upgrade", "websocket");
    assert_eq!(head.get("Sec-WebSocket-Protocol"), picked.as_deref());
    assert!(head.body.is_empty());
    // The client that sent the request accepts it.
    let room = client.exchange().recv_buf().expect("it waits");
    room[..out.len()].copy_from_slice(&out);
    client.exchange().handle_input(out.len());
    let (_, connection) = client.poll().expect("a valid answer").expect("whole");
    assert_eq!(connection.subprotocol(), picked.as_deref());
    assert!(connection.deflate().is_some());
    Ok(())
}
