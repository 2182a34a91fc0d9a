//! §5.1 and §7: offers, answers, declined offers and refused answers.

use std::sync::Arc;

use bowline_proto::{
    Config, Negotiated,
    deflate::{Agreed, Deflate},
    handshake::{
        Client, HandshakeError, Headers, HttpVersion, Origins, Request, RequestError,
        ResponseError, Server, respond,
    },
};
use bytes::Buf;
use testing::ends::{deflate::window, entropy};

const FIELDS: [(&str, &[u8]); 5] = [
    ("Host", b"a.test"),
    ("Upgrade", b"websocket"),
    ("Connection", b"Upgrade"),
    ("Sec-WebSocket-Key", b"dGhlIHNhbXBsZSBub25jZQ=="),
    ("Sec-WebSocket-Version", b"13"),
];

/// Returns the fields with which a server answers these fields of offers, and what was negotiated.
fn respond_to(config: &Config, offers: &[&str]) -> (Headers, Negotiated) {
    let offers = offers
        .iter()
        .map(|offer| ("Sec-WebSocket-Extensions", offer.as_bytes()));
    let fields = FIELDS.into_iter().chain(offers);
    let responded = respond(
        HttpVersion::Http11,
        "GET",
        fields,
        &[],
        Origins::Any,
        config,
    );
    responded.unwrap()
}

/// Returns the answer of a server with these options to these fields of offers, and what it then uses.
pub(crate) fn answer_to(options: Deflate, offers: &[&str]) -> (Option<String>, Option<Agreed>) {
    let mut config = Config::new(entropy);
    config.deflate = Some(options);
    let (headers, negotiated) = respond_to(&config, offers);
    let answer = headers.get("Sec-WebSocket-Extensions");
    let answer = answer.map(|answer| str::from_utf8(answer).unwrap().to_owned());
    (answer, negotiated.deflate)
}

pub(crate) fn answer(offer: &str) -> Option<String> {
    let (answer, agreed) = answer_to(Deflate::default(), &[offer]);
    assert_eq!(answer.is_some(), agreed.is_some());
    answer
}

/// Returns the offer of a client with these options, and what it makes of this answer.
fn offer_and(
    options: Option<Deflate>,
    answer: &str,
) -> (Option<String>, Result<Option<Agreed>, HandshakeError>) {
    let mut config = Config::new(|bytes| {
        bytes.copy_from_slice(&b"the sample nonce".repeat(99)[..bytes.len()]);
        Ok(())
    });
    config.deflate = options;
    let request = Request::new("a.test", "/").unwrap();
    let mut client = Client::new(request, config).unwrap();
    let mut sent = Vec::new();
    while let Some(bytes) = client.exchange().transmit() {
        sent.extend_from_slice(bytes.chunk());
        bytes.advance(bytes.chunk().len());
        client.exchange().handle_sent(true);
    }
    let sent = String::from_utf8(sent).unwrap();
    let name = "Sec-WebSocket-Extensions: ";
    let mut offers = sent.lines().filter_map(|line| line.strip_prefix(name));
    let offer = offers.next().map(str::to_owned);
    assert_eq!(offers.next(), None);

    let response = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n{answer}\r\n"
    );
    let room = client.exchange().recv_buf().unwrap();
    room[..response.len()].copy_from_slice(response.as_bytes());
    client.exchange().handle_input(response.len());
    let opened = client.poll();
    (offer, opened.map(|open| open.unwrap().1.deflate()))
}

pub(crate) fn agree(options: Deflate, answer: &str) -> Result<Option<Agreed>, ResponseError> {
    let field = format!("Sec-WebSocket-Extensions: {answer}\r\n");
    offer_and(Some(options), &field)
        .1
        .map_err(|error| match error {
            HandshakeError::Response(error) => error,
            other => panic!("not the server's fault: {other:?}"),
        })
}

pub(crate) fn with(change: impl FnOnce(&mut Deflate)) -> Deflate {
    let mut options = Deflate::default();
    change(&mut options);
    options
}

#[test]
fn s5_1_it_is_offered_and_answered_only_if_asked_for() {
    let (offer, agreed) = offer_and(None, "");
    assert_eq!((offer, agreed), (None, Ok(None)));
    let config = Config::new(entropy);
    let (headers, negotiated) = respond_to(&config, &["permessage-deflate"]);
    assert_eq!(headers.get("Sec-WebSocket-Extensions"), None);
    assert_eq!(negotiated, Negotiated::default());
    // Offered but not accepted: the connection opens without compression.
    let (offer, agreed) = offer_and(Some(Deflate::default()), "");
    assert!(offer.is_some());
    assert_eq!(agreed, Ok(None));
}

#[test]
fn s5_1_the_first_offer_that_can_be_kept_is_answered() {
    let to = |offers: &[&str]| answer_to(Deflate::default(), offers).0;
    let usual = Some("permessage-deflate".to_owned());
    assert_eq!(to(&["x, permessage-deflate"]), usual);
    assert_eq!(to(&["x", "permessage-deflate, y"]), usual);
    assert_eq!(to(&["x; y=1, z"]), None);
    let second = "permessage-deflate; server_max_window_bits=8, \
        permessage-deflate; server_max_window_bits=9, permessage-deflate";
    let nine = Some("permessage-deflate; server_max_window_bits=9".to_owned());
    assert_eq!(to(&[second]), nine);
    assert_eq!(to(&second.split(", ").collect::<Vec<_>>()), nine);
    // The order is the client's, not ours.
    let first = "permessage-deflate; server_no_context_takeover, permessage-deflate";
    let none = Some("permessage-deflate; server_no_context_takeover".to_owned());
    assert_eq!(to(&[first]), none);
}

#[test]
fn s5_1_a_server_and_a_hosted_upgrade_answer_the_same() {
    let mut config = Config::new(entropy);
    config.deflate = Some(Deflate::low_memory());
    let config = Arc::new(config);
    let mut server = Server::new(config.clone());
    let mut request = String::from("GET / HTTP/1.1\r\n");
    for (name, value) in FIELDS {
        request += &format!("{name}: {}\r\n", str::from_utf8(value).unwrap());
    }
    request += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n\r\n";
    let room = server.exchange().recv_buf().unwrap();
    room[..request.len()].copy_from_slice(request.as_bytes());
    server.exchange().handle_input(request.len());
    let incoming = server.poll().unwrap().unwrap();
    let mut conn = incoming.accept(None, Headers::new()).unwrap();
    let sent = conn.transmit().unwrap().chunk().to_vec();
    let sent = String::from_utf8(sent).unwrap();
    let expected = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
        server_max_window_bits=12";
    assert!(sent.contains(&format!("\r\nSec-WebSocket-Extensions: {expected}\r\n")));
    let offer = "permessage-deflate; client_max_window_bits";
    let (answer, agreed) = answer_to(Deflate::low_memory(), &[offer]);
    assert_eq!(answer.as_deref(), Some(expected));
    assert_eq!(conn.deflate(), agreed);
}

#[test]
fn s7_the_clients_offers() {
    let offer = |options| offer_and(Some(options), "").0.unwrap();
    let usual = "permessage-deflate; client_max_window_bits";
    assert_eq!(offer(Deflate::default()), usual);
    assert_eq!(
        offer(Deflate::low_memory()),
        "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
        client_max_window_bits=12"
    );
    assert_eq!(
        offer(with(|options| options.recv = window(10, true))),
        "permessage-deflate; server_max_window_bits=10; client_max_window_bits"
    );
    assert_eq!(
        offer(with(|options| options.recv.takeover = false)),
        "permessage-deflate; server_no_context_takeover; client_max_window_bits"
    );
    assert_eq!(
        offer(with(|options| options.send = window(9, false))),
        "permessage-deflate; client_no_context_takeover; client_max_window_bits=9"
    );
    // There is nothing below 9 or above 15.
    let least = with(|options| (options.send.bits, options.recv.bits) = (0, 8));
    assert_eq!(
        offer(least),
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9"
    );
    let most = with(|options| (options.send.bits, options.recv.bits) = (16, 255));
    assert_eq!(offer(most), usual);
}

#[test]
fn s7_a_server_declines_parameters_that_are_not_valid() {
    for params in [
        "x",
        "x=1",
        "Server_no_context_takeover",
        "server_no_context_takeover=1",
        "server_no_context_takeover=true",
        "client_no_context_takeover=0",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=015",
        "server_max_window_bits=+9",
        "server_max_window_bits=-9",
        "server_max_window_bits=1",
        "server_max_window_bits=100",
        "server_max_window_bits=266",
        "server_max_window_bits=9x",
        "server_max_window_bits=0x9",
        "server_max_window_bits=10; server_max_window_bits=10",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=08",
        "client_max_window_bits; client_max_window_bits",
        "client_max_window_bits; client_max_window_bits=10",
    ] {
        let bad = format!("permessage-deflate; {params}");
        assert_eq!(answer(&bad), None, "{params}");
        // The next offer is tried.
        let next = answer(&format!("{bad}, permessage-deflate"));
        assert_eq!(next.as_deref(), Some("permessage-deflate"), "{params}");
    }
    // Names are compared with case.
    assert_eq!(answer("Permessage-Deflate"), None);
    // A field that is no list of extensions makes the request invalid.
    let mut config = Config::new(entropy);
    config.deflate = Some(Deflate::default());
    let malformed = "permessage-deflate; server_max_window_bits=\" 10\"";
    let offered = ("Sec-WebSocket-Extensions", malformed.as_bytes());
    let responded = respond(
        HttpVersion::Http11,
        "GET",
        FIELDS.into_iter().chain([offered]),
        &[],
        Origins::Any,
        &config,
    );
    assert_eq!(responded, Err(RequestError::Extensions));
}

#[test]
fn s7_a_client_fails_on_parameters_that_are_not_valid() {
    for params in [
        "x",
        "server_no_context_takeover=1",
        "client_no_context_takeover=1",
        "server_no_context_takeover; server_no_context_takeover",
        "client_no_context_takeover; client_no_context_takeover",
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=08",
        "server_max_window_bits=10; server_max_window_bits=10",
        // In an answer it must have a value.
        "client_max_window_bits",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=10; client_max_window_bits=10",
    ] {
        let answer = format!("permessage-deflate; {params}");
        let agreed = agree(Deflate::default(), &answer);
        assert_eq!(agreed, Err(ResponseError::ExtensionParameters), "{params}");
    }
}

#[test]
fn s7_a_client_fails_on_an_answer_to_what_it_did_not_offer() {
    for answer in [
        "x",
        "x-webkit-deflate-frame",
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, x",
    ] {
        let agreed = agree(Deflate::default(), answer);
        assert_eq!(agreed, Err(ResponseError::Extension), "{answer}");
    }
    for answer in ["permessage-deflate;;", "", ","] {
        let agreed = agree(Deflate::default(), answer);
        assert_eq!(agreed, Err(ResponseError::Extensions), "{answer}");
    }
    // RFC 6455 §11.3.2: not more than one field, whatever is in it.
    let field = "Sec-WebSocket-Extensions: permessage-deflate\r\n";
    let (_, agreed) = offer_and(Some(Deflate::default()), &field.repeat(2));
    assert_eq!(agreed, Err(ResponseError::Extensions.into()));
    let (_, agreed) = offer_and(None, field);
    assert_eq!(agreed, Err(ResponseError::Extension.into()));
}
