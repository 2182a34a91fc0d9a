//! The client's half of the opening handshake: any bytes as the answer, cut anywhere.
//!
//! The outcome is the same however the answer is cut; there is at most one, and then nothing. A connection is
//! opened only by a 101 that has everything that RFC 6455 §4.1 demands. Limits are respected.

use std::sync::Arc;

use arbitrary::Unstructured;
use proto::{
    Config, ConnectionError, Event,
    deflate::Agreed,
    handshake::{Client, HandshakeError, Request, Response},
};

use crate::bodies::{
    cuts::Cuts,
    handshake::{self, Setup},
    heads,
    transport::{self, End},
    words,
};

/// Runs one input: the client's configuration, and then what the server sends.
pub fn run(data: &[u8]) {
    let mut input = Unstructured::new(data);
    let Ok(options) = Options::read(&mut input) else {
        return;
    };
    let bytes = input.take_rest();
    let outcome = options.setup.in_cuts(|cuts| connect(&options, bytes, cuts));
    check(&options, bytes, &outcome);
}

#[derive(Debug)]
struct Options {
    setup: Setup,
    offers: bool,
    requires: bool,
    end: End,
}

impl Options {
    fn read(input: &mut Unstructured<'_>) -> arbitrary::Result<Self> {
        Ok(Self {
            setup: Setup::read(input)?,
            offers: input.arbitrary()?,
            requires: input.arbitrary()?,
            end: End::choose(input)?,
        })
    }
}

/// Everything that is visible from outside.
type Outcome = Result<Open, HandshakeError>;

#[derive(Debug, PartialEq)]
struct Open {
    response: Response,
    agreed: (Option<String>, Option<Agreed>),
    events: Vec<Result<Event, ConnectionError>>,
}

const OFFERS: [&str; 2] = ["chat", "superchat"];

fn config(options: &Options) -> Config {
    let mut config = options.setup.config();
    config.require_subprotocol = options.requires;
    config
}

fn connect(options: &Options, bytes: &[u8], cuts: Cuts) -> Outcome {
    let config = Arc::new(config(options));
    let mut request = Request::new("a.test", "/chat").expect("a valid request");
    if options.offers {
        let offers = OFFERS.join(", ");
        let pushed = request.headers_mut().push("Sec-WebSocket-Protocol", offers);
        pushed.expect("a valid field");
    }
    let mut client = Client::new(request, config.clone()).expect("a valid handshake");
    let mut written = Vec::new();
    transport::take_output(client.exchange(), &mut written);
    handshake::feed(
        &mut client,
        Client::exchange,
        bytes,
        cuts,
        options.end,
        |client, rest| poll(client, rest, cuts),
    )
}

/// Returns the outcome, if there is one.
fn poll(client: &mut Client, rest: Option<&[u8]>, cuts: Cuts) -> Option<Outcome> {
    let outcome = match client.poll() {
        Ok(None) => return None,
        Ok(Some((response, mut connection))) => {
            let rest = rest.expect("no connection comes of the end of a transport");
            let events = handshake::converse(&mut connection, rest, cuts);
            let agreed = handshake::agreed(&connection);
            Ok(Open {
                response,
                agreed,
                events,
            })
        }
        Err(error) => {
            words::one_line(&error);
            Err(error)
        }
    };
    assert!(matches!(client.poll(), Ok(None)), "an outcome comes once");
    assert!(client.exchange().is_done() && client.exchange().recv_buf().is_none());
    Some(outcome)
}

fn check(options: &Options, bytes: &[u8], outcome: &Outcome) {
    let config = config(options);
    let error = match outcome {
        Ok(open) => return check_open(options, bytes, open),
        Err(error) => error,
    };
    match error {
        HandshakeError::Refused(response) => {
            assert!((200..=999).contains(&response.status), "{response:?}");
            assert!(response.body.len() <= config.max_error_body);
            assert!(response.headers.len() <= config.max_head_fields);
            let body = &response.body[..];
            let is_in_input = body.len() <= bytes.len();
            assert!(is_in_input, "a body that was not received");
        }
        HandshakeError::Response(_) => {}
        HandshakeError::TimedOut => assert!(matches!(options.end, End::Silence)),
        HandshakeError::Lost(_) => assert!(bytes.is_empty()),
        HandshakeError::Truncated(_) => assert!(!bytes.is_empty()),
        other => panic!("no error of a client: {other}"),
    }
}

/// Checks what §4.1 requires a client to validate.
fn check_open(options: &Options, bytes: &[u8], open: &Open) {
    let headers = &open.response.headers;
    assert_eq!(open.response.status, 101);
    let accept = heads::one(headers, "Sec-WebSocket-Accept");
    assert_eq!(accept, Some(ACCEPT.as_bytes()));
    let (subprotocol, deflate) = &open.agreed;
    let upgrade = heads::one(headers, "Upgrade").expect("it was demanded");
    assert!(upgrade.eq_ignore_ascii_case(b"websocket"));
    assert!(heads::has_token(headers.get_all("Connection"), b"upgrade"));
    let picked = heads::one(headers, "Sec-WebSocket-Protocol");
    assert_eq!(picked, subprotocol.as_deref().map(str::as_bytes));
    assert!(picked.is_none_or(|picked| {
        options.offers && OFFERS.iter().any(|offer| offer.as_bytes() == picked)
    }));
    assert!(picked.is_some() || !options.offers || !options.requires);
    let extension = heads::one(headers, "Sec-WebSocket-Extensions");
    assert_eq!(extension.is_some(), deflate.is_some());
    assert!(options.setup.deflate || deflate.is_none());

    // Another parser reads the same last head.
    let (mut bytes, mut interim) = (bytes, 0);
    loop {
        bytes = heads::skip_empty_lines(bytes);
        let mut fields = [httparse::EMPTY_HEADER; 128];
        let mut other = httparse::Response::new(&mut fields);
        let mut parser = httparse::ParserConfig::default();
        parser.allow_obsolete_multiline_headers_in_responses(true);
        let Ok(httparse::Status::Complete(len)) = parser.parse_response(&mut other, bytes) else {
            panic!("no response to others");
        };
        let (code, version) = (other.code.expect("a status"), other.version);
        if code == 101 {
            assert_eq!(version, Some(1));
            let theirs = other.headers.iter().map(|field| (field.name, field.value));
            let ours = headers.iter();
            assert!(
                theirs.map(words_of).eq(ours.map(words_of)),
                "{headers:?} are others' fields"
            );
            break;
        }
        assert!((100..=199).contains(&code));
        interim += 1;
        bytes = &bytes[len..];
    }
    assert!(interim <= config(options).max_interim_responses);
}

/// Returns a field, regardless of how it was folded.
fn words_of<'a>((name, value): (&'a str, &'a [u8])) -> (&'a str, Vec<&'a [u8]>) {
    let words = value.split(u8::is_ascii_whitespace);
    (name, words.filter(|word| !word.is_empty()).collect())
}

/// The `Sec-WebSocket-Accept` for the key of [`transport::entropy`].
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
