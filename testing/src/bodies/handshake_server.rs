//! The server's half of the opening handshake: any bytes, cut anywhere, answered in any way.
//!
//! The outcome is the same however the request is cut; it is at most one error, and then nothing. An answer is one
//! response that another parser can read, and it contains nothing of the client's except what was agreed on. An
//! accepted request is one that another parser reads in the same way. A server that also serves pages decides the same
//! about everything else.

use arbitrary::Unstructured;
use proto::{
    ConnectionError, Event,
    deflate::Agreed,
    handshake::{
        Arrived, Exchange, HandshakeError, Headers, Incoming, PageRequest, RequestError, Response,
        Server,
    },
};

use crate::{
    bodies::{
        cuts::Cuts,
        handshake::{self, Setup},
        heads::{self, Head},
        transport::{self, End},
        words,
    },
    ends,
};

/// Runs one input: the server's configuration, and then what the client sends.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(options) = Options::read(&mut input) else {
        return;
    };
    let bytes = input.take_rest();
    let [upgrades, any] = [poll as Poll, Server::poll_any].map(|poll| {
        options
            .setup
            .in_cuts(|cuts| serve(&options, poll, bytes, cuts))
    });
    check(&options, bytes, &upgrades);
    check_any(bytes, &any, &upgrades);
}

#[derive(Debug)]
struct Options {
    setup: Setup,
    answer: Answer,
    end: End,
}

impl Options {
    fn read(input: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(Self {
            setup: Setup::read(input)?,
            answer: *input.choose(&[Answer::Open, Answer::Accept, Answer::Refuse])?,
            end: End::choose(input)?,
        })
    }
}

#[derive(Clone, Copy, Debug)]
enum Answer {
    Open,
    Accept,
    Refuse,
}

/// Everything that is visible from outside.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    request: Option<(String, Option<String>, Option<String>, Headers)>,
    /// Whether the request for a page is a HEAD.
    page: Option<bool>,
    error: Option<HandshakeError>,
    written: Vec<u8>,
    events: Vec<Result<Event, ConnectionError>>,
    /// The agreement of an open connection.
    agreed: Option<(Option<String>, Option<Agreed>)>,
}

const SUPPORTED: [&str; 2] = ["chat", "superchat"];

type Poll = fn(&mut Server) -> Result<Option<Arrived>, HandshakeError>;

fn poll(server: &mut Server) -> Result<Option<Arrived>, HandshakeError> {
    Ok(server.poll()?.map(Arrived::Upgrade))
}

fn serve(options: &Options, poll: Poll, bytes: &[u8], cuts: Cuts) -> Outcome {
    let mut server = Server::new(options.setup.config());
    handshake::feed(
        &mut server,
        Server::exchange,
        bytes,
        cuts,
        options.end,
        |server, rest| {
            let mut outcome = Outcome::default();
            match poll(server) {
                Ok(None) => return None,
                Ok(Some(Arrived::Upgrade(incoming))) => {
                    let rest = rest.expect("no request comes of the end of a transport");
                    answer(options, incoming, rest, cuts, &mut outcome);
                }
                Ok(Some(Arrived::Page(page))) => answer_page(options, page, &mut outcome),
                Err(error) => {
                    outcome.error = Some(error);
                    finish(server.exchange(), options.end, &mut outcome.written);
                }
            }
            assert!(matches!(poll(server), Ok(None)), "an outcome comes once");
            Some(outcome)
        },
    )
}

fn answer(options: &Options, incoming: Incoming, rest: &[u8], cuts: Cuts, outcome: &mut Outcome) {
    let request = incoming.request();
    outcome.request = Some((
        request.target().to_owned(),
        request.host().map(str::to_owned),
        request.origin().map(str::to_owned),
        request.headers().clone(),
    ));
    assert_eq!(
        request.query().map_or_else(
            || request.path().to_owned(),
            |query| format!("{}?{query}", request.path())
        ),
        request.target()
    );
    check_origin(&incoming);
    let mut connection = match options.answer {
        Answer::Open => incoming.open(),
        Answer::Accept => {
            let picked = incoming.pick_subprotocol(&SUPPORTED).map(str::to_owned);
            let mut extra = Headers::new();
            extra.push("Set-Cookie", "a=b").expect("a valid field");
            incoming
                .accept(picked.as_deref(), extra)
                .expect("it was offered")
        }
        Answer::Refuse => {
            let mut exchange = incoming.refuse(Response::new(403, "not you"));
            finish(&mut exchange, options.end, &mut outcome.written);
            return;
        }
    };
    outcome.agreed = Some(handshake::agreed(&connection));
    // Frames are the subject of another body: only the 101 counts here.
    outcome.written = ends::take(&mut connection);
    let head = heads::head_len(&outcome.written).expect("a whole head");
    outcome.written.truncate(head);
    outcome.events = handshake::converse(&mut connection, rest, cuts);
}

fn answer_page(options: &Options, page: PageRequest, outcome: &mut Outcome) {
    assert!(page.request().host().is_some());
    outcome.page = Some(page.is_head());
    let mut exchange = match options.answer {
        Answer::Refuse => page.refuse(),
        _ => page.respond(Response::new(200, "a page")),
    };
    finish(&mut exchange, options.end, &mut outcome.written);
}

/// Checks that one page's origin is allowed and no other's; a request without an origin comes from no page.
fn check_origin(incoming: &Incoming) {
    let listed = incoming.origin_allowed(&["https://app.test", "null"]);
    let expected = incoming.request().origin().is_none_or(|origin| {
        let lower = origin.to_ascii_lowercase();
        match lower.strip_prefix("https://app.test") {
            Some("" | ":") => true,
            Some(port) => port
                .strip_prefix(':')
                .is_some_and(|port| port.trim_start_matches('0') == "443"),
            None => origin == "null",
        }
    });
    assert_eq!(listed, expected, "{:?}", incoming.request().origin());
}

/// Serves an exchange until it is done: it writes, and then waits for the client's end, or for a deadline.
fn finish(exchange: &mut Exchange, end: End, written: &mut Vec<u8>) {
    transport::take_output(exchange, written);
    assert!(
        exchange.is_done() || exchange.wants_shutdown(),
        "all is written"
    );
    if let Some(room) = exchange.recv_buf() {
        room[0] = b'x';
        exchange.handle_input(1);
        assert!(!exchange.is_done(), "input is thrown away");
    }
    end.comes(exchange);
    assert!(exchange.is_done());
    assert!(exchange.recv_buf().is_none() && exchange.transmit().is_none());
}

fn check(options: &Options, bytes: &[u8], outcome: &Outcome) {
    let Outcome { request, error, .. } = outcome;
    assert!(
        request.is_some() != error.is_some(),
        "a request or an error"
    );
    if let Some(error) = error {
        words::one_line(error);
    }
    if let Some((target, host, _, headers)) = request {
        check_request(options, bytes, target, headers);
        assert!(host.is_some());
    }
    let answered = match error {
        None => true,
        Some(HandshakeError::Request(_)) => true,
        Some(HandshakeError::TimedOut) => !bytes.is_empty(),
        Some(HandshakeError::Lost(_)) => {
            assert!(bytes.is_empty());
            false
        }
        Some(HandshakeError::Truncated(_)) => false,
        Some(other) => panic!("no error of a server: {other}"),
    };
    assert_eq!(!outcome.written.is_empty(), answered, "{error:?}");
    if answered {
        check_answer(options, outcome);
    }
}

/// Checks that a server that also serves pages serves nothing else differently.
fn check_any(bytes: &[u8], any: &Outcome, upgrades: &Outcome) {
    let Some(HandshakeError::Request(error)) = upgrades.error else {
        return assert_eq!(any, upgrades);
    };
    let is_head = heads::skip_empty_lines(bytes).starts_with(b"HEAD ");
    match error {
        RequestError::NoUpgrade if any.page.is_some() => assert_eq!(any.page, Some(false)),
        RequestError::Method if is_head => assert_ne!(any.page, Some(false)),
        RequestError::Method => {
            assert_eq!(any.error, Some(RequestError::PageMethod.into()));
        }
        _ => assert_eq!(any, upgrades),
    }
    if any.error != upgrades.error && !any.written.is_empty() {
        let head = Head::of_response(&any.written);
        if is_head {
            assert!(head.body.is_empty(), "a HEAD asks for no content");
            assert_ne!(head.get("Content-Length"), Some("0"));
        } else {
            head.assert_last();
        }
    }
}

/// Checks that another parser reads the same request, that it has what §4.2.1 demands, and that it is within the
/// limits.
fn check_request(options: &Options, bytes: &[u8], target: &str, headers: &Headers) {
    let bytes = heads::skip_empty_lines(bytes);
    let mut fields = [httparse::EMPTY_HEADER; 128];
    let mut other = httparse::Request::new(&mut fields);
    let parsed = other.parse(bytes).expect("a request to others too");
    let httparse::Status::Complete(len) = parsed else {
        panic!("half a request was taken");
    };
    assert_eq!((other.method, other.version), (Some("GET"), Some(1)));
    let path = other.path.expect("a target");
    assert!(
        path == target || path.contains("://"),
        "{path:?} is not {target:?}"
    );
    let config = options.setup.config();
    assert!(len <= config.max_head_size && other.headers.len() <= config.max_head_fields);
    // `Host` may be the host of the target, and is the last field then.
    let differs = |name: &str| name.eq_ignore_ascii_case("host");
    let theirs = other
        .headers
        .iter()
        .filter(|field| !differs(field.name))
        .map(|field| (field.name, field.value.trim_ascii()));
    let ours = headers.iter().filter(|(name, _)| !differs(name));
    assert!(theirs.eq(ours), "{headers:?} are others' fields");

    let one = |name| heads::one(headers, name).expect("a field that must be there");
    assert_eq!(one("Sec-WebSocket-Version"), b"13");
    assert!(heads::decodes_to_16(one("Sec-WebSocket-Key")));
    one("Host");
    assert!(heads::has_token(headers.get_all("Upgrade"), b"websocket"));
    assert!(heads::has_token(headers.get_all("Connection"), b"upgrade"));
    assert!(headers.get("Transfer-Encoding").is_none());
}

/// Checks that this is one complete response, which contains only what the server put into it.
fn check_answer(options: &Options, outcome: &Outcome) {
    let head = Head::of_response(&outcome.written);
    match (&outcome.request, options.answer) {
        (Some((.., headers)), Answer::Open | Answer::Accept) => {
            assert_eq!(head.status, 101);
            let key = headers.get("Sec-WebSocket-Key").expect("a key");
            head.assert_is("Upgrade", "websocket");
            head.assert_is("Connection", "Upgrade");
            head.assert_is("Sec-WebSocket-Accept", &heads::accept(key));
            let (subprotocol, deflate) = outcome.agreed.as_ref().expect("a connection");
            let offered = heads::has_exact(
                headers.get_all("Sec-WebSocket-Protocol"),
                subprotocol.as_deref(),
            );
            assert!(offered, "{subprotocol:?} was not offered");
            assert_eq!(head.get("Sec-WebSocket-Protocol"), subprotocol.as_deref());
            assert_eq!(
                head.get("Sec-WebSocket-Extensions").is_some(),
                deflate.is_some()
            );
            assert!(
                deflate.is_none() || options.setup.deflate,
                "nobody wanted that"
            );
            let extra = matches!(options.answer, Answer::Accept);
            assert_eq!(head.get("Set-Cookie").is_some(), extra);
            let count = 3 + [subprotocol.is_some(), deflate.is_some(), extra]
                .map(usize::from)
                .iter()
                .sum::<usize>();
            assert_eq!(head.fields.len(), count);
        }
        (Some(_), Answer::Refuse) => {
            assert_eq!(head.status, 403);
            assert_eq!(head.body, b"not you");
            head.assert_last();
        }
        (None, _) => {
            assert!((400..=599).contains(&head.status));
            head.assert_last();
        }
    }
}
